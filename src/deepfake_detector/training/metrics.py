"""What a detector's scores are worth: every figure of the evaluation, each with its bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.intervals import (
    DEFAULT_RESAMPLING,
    MIN_GROUPS,
    Estimate,
    Floats,
    Ints,
    Resampling,
    bootstrap,
    percentile,
    rate,
    reflected,
)
from deepfake_detector.training.reliability import ECE_BINS, balanced_weights, expected_calibration_error, mass_bins

MIN_ECE = 2 * ECE_BINS
MIN_REAL_TPR1 = 100
MIN_REAL_TPR5 = 20


@dataclass(frozen=True, slots=True, eq=False)
class ScoredSet:
    """N scored pictures: ``labels`` (N,) 0 real or 1 fake; ``logits`` (N,) calibrated at prior 0.5; ``groups`` (N,)."""

    labels: Ints
    logits: Floats
    groups: Ints

    @classmethod
    def of(cls, labels: ArrayLike, logits: ArrayLike, groups: Sequence[str] | None = None) -> ScoredSet:
        """Check and number; without ``groups`` each picture is its own group. Raises DataError."""
        label_array, logit_array = np.asarray(labels), np.asarray(logits, dtype=np.float64)
        if label_array.ndim != 1 or label_array.shape != logit_array.shape:
            raise DataError(f"labels {label_array.shape} and logits {logit_array.shape} must be lists of one length")
        if not len(label_array):
            raise DataError("there is nothing to measure: no scored picture")
        if not np.isin(label_array, (0, 1)).all():
            raise DataError(f"labels must be 0 (real) or 1 (fake), got {sorted(set(label_array.tolist()))[:5]}")
        if not np.isfinite(logit_array).all():
            raise DataError(f"{int((~np.isfinite(logit_array)).sum())} logits are not finite; the model file is broken")
        if groups is not None and len(groups) != len(label_array):
            raise DataError(f"{len(groups)} groups for {len(label_array)} pictures")
        numbers = np.arange(len(label_array)) if groups is None else np.unique(groups, return_inverse=True)[1]
        return cls(label_array.astype(np.int64), logit_array, numbers.astype(np.int64))

    @property
    def p_fake(self) -> Floats:
        """The calibrated probabilities (N,) at prior 0.5."""
        from scipy.special import expit

        return np.asarray(expit(self.logits), dtype=np.float64)

    @property
    def real(self) -> int:
        """The number of real pictures."""
        return int((self.labels == 0).sum())

    @property
    def fake(self) -> int:
        """The number of fake pictures."""
        return int((self.labels == 1).sum())

    def where(self, chosen: Sequence[bool] | Floats | Ints) -> ScoredSet:
        """The pictures where ``chosen`` (N,) is true; groups keep together and are numbered anew."""
        mask = np.asarray(chosen, dtype=bool)
        numbers = np.unique(self.groups[mask], return_inverse=True)[1].astype(np.int64)
        return ScoredSet(self.labels[mask], self.logits[mask], numbers)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts at a threshold: fake is the positive class."""

    true_real: int
    false_fake: int
    false_real: int
    true_fake: int


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures; ``docs/evaluation.md`` says what each means.

    Those from ``accuracy`` to ``f1_real`` hold at the threshold; ``brier`` and ``ece`` give both classes half of
    the weight, because the probabilities assume prior 0.5.
    """

    roc_auc: Estimate
    average_precision: Estimate
    eer: Estimate
    tpr_at_fpr1: Estimate
    tpr_at_fpr5: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate
    precision_fake: Estimate
    recall_fake: Estimate
    f1_fake: Estimate
    precision_real: Estimate
    recall_real: Estimate
    f1_real: Estimate
    brier: Estimate
    ece: Estimate


FIGURES = tuple(field.name for field in fields(Figures))
_ROW = {name: row for row, name in enumerate(FIGURES)}


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured on one set of pictures; ``threshold`` is the calibrated logit that was used."""

    real: int
    fake: int
    groups: int
    threshold: float
    confusion: Confusion
    figures: Figures


def measure(scored: ScoredSet, threshold: float = 0.0, resampling: Resampling = DEFAULT_RESAMPLING) -> Metrics:
    """Measure everything at a threshold (calibrated logit; at it and above is called fake).

    A figure that does not exist on these pictures is None with a reason, never NaN.
    """
    calculate = _calculator(scored, threshold)
    ones = np.ones(len(scored.labels))
    values = calculate(ones)
    confusion = Confusion(*_confusion(scored.labels, scored.logits >= threshold, ones).astype(int).ravel().tolist())
    missing, shares = _reasons(scored), _shares(confusion)
    groups = int(scored.groups.max()) + 1
    without = no_interval(groups, resampling)
    distribution = None if without else bootstrap(calculate, scored.groups, resampling)

    def estimate(name: str, row: int) -> Estimate:
        value = float(values[row])
        if name in missing or not np.isfinite(value):
            return Estimate(None, reason=missing.get(name, f"no picture was called {name[-4:]} at this threshold"))
        if distribution is None:
            return Estimate(value, reason=without)
        interval = reflected if name == "ece" else percentile
        found = interval(value, distribution[row], resampling)
        if found.low is None and name in shares:
            exact = rate(*shares[name], resampling.confidence)
            return Estimate(value, exact.low, exact.high, "exact binomial interval, where a bootstrap has none")
        return found

    figures = Figures(**{name: estimate(name, row) for name, row in _ROW.items()})
    return Metrics(scored.real, scored.fake, groups, threshold, confusion, figures)


def _shares(table: Confusion) -> dict[str, tuple[int, int]]:
    """The figures that are a plain share of pictures: (count, of how many)."""
    real, fake = table.true_real + table.false_fake, table.false_real + table.true_fake
    return {
        "accuracy": (table.true_real + table.true_fake, real + fake),
        "precision_fake": (table.true_fake, table.true_fake + table.false_fake),
        "recall_fake": (table.true_fake, fake),
        "precision_real": (table.true_real, table.true_real + table.false_real),
        "recall_real": (table.true_real, real),
    }


def no_interval(groups: int, resampling: Resampling) -> str | None:
    """Why there can be no bootstrap, or None."""
    if not resampling.resamples:
        return "no interval: no bootstrap was asked for"
    if groups < MIN_GROUPS:
        return f"no interval: {groups} independent groups of pictures, a bootstrap needs {MIN_GROUPS}"
    return None


def _reasons(scored: ScoredSet) -> dict[str, str]:
    """Which figures these pictures cannot give, and why."""
    real, fake = scored.real, scored.fake
    reasons: dict[str, str] = {}
    if not real or not fake:
        both = (
            "roc_auc",
            "average_precision",
            "eer",
            "tpr_at_fpr1",
            "tpr_at_fpr5",
            "balanced_accuracy",
            "brier",
            "ece",
        )
        one = ("precision_fake", "f1_fake", "precision_real", "f1_real", "recall_real" if not real else "recall_fake")
        reasons.update(
            dict.fromkeys((*both, *one), f"needs both classes, here are {real} real and {fake} fake pictures")
        )
        return reasons
    for name, least, share in (("tpr_at_fpr1", MIN_REAL_TPR1, "1 %"), ("tpr_at_fpr5", MIN_REAL_TPR5, "5 %")):
        if real < least:
            reasons[name] = f"needs {least} real pictures ({share} of fewer is less than one), here are {real}"
    if real + fake < MIN_ECE:
        reasons["ece"] = f"needs {MIN_ECE} pictures (two in a bin), here are {real + fake}"
    return reasons


def _calculator(scored: ScoredSet, threshold: float) -> Callable[[Floats], Floats]:
    """The function from how often each picture counts (N,) to all figures, NaN where one does not exist."""
    from sklearn import config_context
    from sklearn.metrics import average_precision_score, brier_score_loss

    labels, logits, p_fake = scored.labels, scored.logits, scored.p_fake
    called = logits >= threshold
    bins = mass_bins(p_fake, balanced_weights(labels, np.ones(len(labels)))) if scored.real and scored.fake else None

    def calculate(weights: Floats) -> Floats:
        found = np.full(len(FIGURES), np.nan)

        def put(**values: float) -> None:
            for name, value in values.items():
                found[_ROW[name]] = value

        put(**_rates(_confusion(labels, called, weights)))
        if bins is None or not weights[labels == 0].any() or not weights[labels == 1].any():
            return found
        balanced = balanced_weights(labels, weights)
        with config_context(assume_finite=True, skip_parameter_validation=True):
            put(**_curve_figures(labels, logits, weights))
            put(average_precision=average_precision_score(labels, logits, sample_weight=weights))
            put(brier=brier_score_loss(labels, p_fake, sample_weight=balanced))
        put(ece=expected_calibration_error(labels, p_fake, bins, balanced))
        return found

    return calculate


def _confusion(labels: Ints, called: NDArray[np.bool_], weights: Floats) -> Floats:
    """Rows: real, fake; columns: called real, called fake."""
    counts = np.bincount(2 * labels + called, weights=weights, minlength=4)
    return np.asarray(counts, dtype=np.float64).reshape(2, 2)


def _rates(table: Floats) -> dict[str, float]:
    (true_real, false_fake), (false_real, true_fake) = table

    def share(part: float, whole: float) -> float:
        return float(part / whole) if whole else float("nan")

    recall_real, recall_fake = share(true_real, true_real + false_fake), share(true_fake, true_fake + false_real)
    return {
        "accuracy": share(true_real + true_fake, table.sum()),
        "balanced_accuracy": (recall_real + recall_fake) / 2.0,
        "precision_fake": share(true_fake, true_fake + false_fake),
        "recall_fake": recall_fake,
        "f1_fake": share(2 * true_fake, 2 * true_fake + false_fake + false_real),
        "precision_real": share(true_real, true_real + false_real),
        "recall_real": recall_real,
        "f1_real": share(2 * true_real, 2 * true_real + false_fake + false_real),
    }


def _curve_figures(labels: Ints, logits: Floats, weights: Floats) -> dict[str, float]:
    """Figures of the ROC curve. TPR at an FPR is the best that a threshold reaches without exceeding it."""
    from sklearn.metrics import auc, roc_curve

    fpr, tpr, _ = roc_curve(labels, logits, sample_weight=weights, drop_intermediate=False)
    gap = (1.0 - tpr) - fpr
    after = int(np.argmax(gap <= 0.0))
    share = gap[after - 1] / (gap[after - 1] - gap[after])
    return {
        "roc_auc": float(auc(fpr, tpr)),
        "eer": float(fpr[after - 1] + share * (fpr[after] - fpr[after - 1])),
        "tpr_at_fpr1": float(tpr[fpr <= 0.01 + 1e-9].max()),
        "tpr_at_fpr5": float(tpr[fpr <= 0.05 + 1e-9].max()),
    }
