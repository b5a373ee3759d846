"""From validation logits to a card's calibration: temperature and bias, thresholds by false-positive rate, the band."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from deepfake_detector.core.errors import DataError
from deepfake_detector.scoring.calibration import conformal_rank, just_above
from deepfake_detector.scoring.card import Calibration, FprPoint
from deepfake_detector.scoring.own_threshold import BAND_RATE
from deepfake_detector.training.intervals import Floats, Ints

RATES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)
DEFAULT_RATE = BAND_RATE
"""The band is fitted below the threshold of this rate, which is the default operating point."""

MIN_PER_CLASS = 20
MIN_SOURCE = 20
MIN_UNSEEN = 60
MIN_EXPECTED = 3.0
"""A source decides a rate by itself if so many of its reals are expected above the threshold: 60 at 5 %."""
MAX_MISSED = 0.10
MAX_UNCERTAIN = 0.20
MIN_BAND = math.log(2.0)
ALL_SOURCES = "all sources"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RatePoint:
    """One threshold: the calibrated logit for a false-positive rate, and the source whose reals decided it.

    ``measured`` says that this source has enough reals for the rate; else the threshold is a forecast.
    """

    fpr: float
    logit: float
    source: str
    reals: int
    measured: bool


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """A calibration, and what it does to the pictures that it was fitted on.

    ``missed`` is the share of fakes called real and ``uncertain`` the share of faces (half real, half fake) left
    open, at the 5 % operating point; ``loss_before`` and ``loss_after`` are the balanced log loss in nats.
    """

    calibration: Calibration
    points: tuple[RatePoint, ...]
    missed: float
    uncertain: float
    loss_before: float
    loss_after: float


def fit_calibration(  # noqa: PLR0913 - two heads, their labels, and the three facts that the card must state
    raw_logits: ArrayLike,
    labels: ArrayLike,
    kind_logits: ArrayLike | None = None,
    kind_labels: ArrayLike | None = None,
    *,
    sets: Sequence[str],
    unseen: ArrayLike,
    fitted_on: str,
) -> Calibration:
    """The calibration alone; see ``fit`` and ``fit_kind_temperature``. Raises DataError."""
    done = fit(raw_logits, labels, sets=sets, unseen=unseen, fitted_on=fitted_on)
    _log(done)
    found = done.calibration
    if kind_logits is None or kind_labels is None:
        return found
    return found.model_copy(update={"kind_temperature": fit_kind_temperature(kind_logits, kind_labels)})


def _log(done: CalibrationFit) -> None:
    logger.info(
        "calibrated on %s: log loss %.4f, before %.4f; with the 5 %% threshold %.1f %% of the fakes are called real "
        "and %.1f %% of all uncertain",
        *(done.calibration.fitted_on, done.loss_after, done.loss_before, 100 * done.missed, 100 * done.uncertain),
    )
    for point in done.points:
        how = "set" if point.measured else "forecast"
        logger.info(
            "threshold for %g %%: %s by %d reals of %s", 100 * point.fpr, how, point.reals, point.source or "the data"
        )


def fit(
    raw_logits: ArrayLike, labels: ArrayLike, *, sets: Sequence[str], unseen: ArrayLike, fitted_on: str
) -> CalibrationFit:
    """Fit temperature, bias, thresholds and band to N raw fake logits with labels (0 real, 1 fake) and set names.

    ``unseen`` (N,) says of which pictures the network has seen no other one of their source. All reals count, since the
    source that raises most false alarms decides; with ``MIN_UNSEEN`` unseen ones the calibration is "out of source".
    Real and fake weigh the same, so that the probabilities mean a prior of 0.5; within a class each set weighs the
    same, once it has ``MIN_SOURCE`` pictures. Raises DataError if there are fewer than ``MIN_PER_CLASS`` of a class.
    """
    raw, known = _checked(raw_logits, labels, sets)
    names = np.asarray(sets)
    out_of_source = int(((known == 0) & np.asarray(unseen, dtype=bool)).sum()) >= MIN_UNSEEN
    weights = set_weights(known, names)
    temperature, bias = fit_temperature(raw, known, weights)
    logits = raw / temperature + bias
    points = fpr_points(logits[known == 0], names[known == 0])
    threshold = next(point.logit for point in points if point.fpr == DEFAULT_RATE)
    # What is rather fake than real is never called real, however many faces are left open by that.
    band = max(fit_band(logits, known, weights, threshold), threshold)
    calibration = Calibration(
        temperature=temperature,
        bias=bias,
        fpr_curve=tuple(FprPoint(fpr=point.fpr, logit=point.logit) for point in points),
        band_below=band,
        out_of_source=out_of_source,
        fitted_on=fitted_on,
    )
    open_ = (logits < threshold) & (logits >= threshold - band)
    missed = (known == 1) & (logits < threshold - band)
    return CalibrationFit(
        calibration=calibration,
        points=points,
        missed=float(2.0 * weights[missed].sum()),
        uncertain=float(weights[open_].sum()),
        loss_before=_log_loss(raw, known.astype(np.float64), weights),
        loss_after=_log_loss(logits, known.astype(np.float64), weights),
    )


def _checked(raw_logits: ArrayLike, labels: ArrayLike, sets: Sequence[str]) -> tuple[Floats, Ints]:
    raw, known = np.asarray(raw_logits, dtype=np.float64), np.asarray(labels).astype(np.int64)
    if raw.ndim != 1 or raw.shape != known.shape or len(sets) != len(raw):
        raise DataError(f"calibration got {raw.shape} logits, {known.shape} labels and {len(sets)} set names")
    if not np.isfinite(raw).all():
        raise DataError(f"{int((~np.isfinite(raw)).sum())} of {len(raw)} logits are not finite; the network is broken")
    real, fake = int((known == 0).sum()), int((known == 1).sum())
    if real + fake != len(known):
        raise DataError("labels must be 0 (real) or 1 (fake)")
    if min(real, fake) < MIN_PER_CLASS:
        raise DataError(
            f"calibration needs at least {MIN_PER_CLASS} real and {MIN_PER_CLASS} fake validation pictures, "
            f"here are {real} and {fake}; give the validation split more of the data"
        )
    return raw, known


def set_weights(labels: Ints, sets: ArrayLike) -> Floats:
    """Weights (N,) that sum to 0.5 in each class, shared equally by its sets; smaller ones count by their pictures."""
    names = np.asarray(sets)
    weights = np.zeros(len(labels))
    for label in (0, 1):
        for name in np.unique(names[labels == label]):
            chosen = (labels == label) & (names == name)
            weights[chosen] = min(chosen.sum(), MIN_SOURCE) / chosen.sum()
        weights[labels == label] *= 0.5 / weights[labels == label].sum()
    return weights


def fit_temperature(raw: Floats, labels: Ints, weights: Floats, with_bias: bool = True) -> tuple[float, float]:
    """Temperature and bias of ``raw / temperature + bias`` that minimise the weighted log loss.

    Temperature scaling (Guo et al. 2017) with a bias, towards Platt's (1999) smoothed targets, so that classes which
    do not overlap give no endless confidence.
    """
    from scipy.optimize import minimize

    real, fake = int((labels == 0).sum()), int((labels == 1).sum())
    targets = np.where(labels == 1, (fake + 1.0) / (fake + 2.0), 1.0 / (real + 2.0))
    scale = max(float(np.std(raw)), 1e-6)

    def loss(parameters: Floats) -> float:
        bias = parameters[1] if with_bias else 0.0
        return _log_loss(raw * math.exp(-parameters[0]) + bias, targets, weights)

    bounds = [(math.log(scale) - 7.0, math.log(scale) + 7.0), (-50.0, 50.0)]
    start = np.array([math.log(scale), 0.0])
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds if with_bias else [*bounds[:1], (0.0, 0.0)])
    return float(math.exp(found.x[0])), float(found.x[1])


def _log_loss(logits: Floats, targets: Floats, weights: Floats) -> float:
    losses = np.logaddexp(0.0, logits) - targets * logits
    return float((weights * losses).sum() / weights.sum())


def fit_kind_temperature(kind_logits: ArrayLike, kind_labels: ArrayLike) -> float:
    """The temperature of the kind head; labels are 0 manipulated, 1 generated, anything else unknown.

    1.0 if either kind has fewer than ``MIN_PER_CLASS`` pictures: then there is nothing to fit it to.
    """
    logits, labels = np.asarray(kind_logits, dtype=np.float64), np.asarray(kind_labels, dtype=np.float64)
    chosen = np.isin(labels, (0.0, 1.0)) & np.isfinite(logits)
    known = labels[chosen].astype(np.int64)
    if min((known == 0).sum(), (known == 1).sum()) < MIN_PER_CLASS:
        return 1.0
    weights = 0.5 / np.bincount(known, minlength=2)[known]
    return fit_temperature(logits[chosen], known, weights, with_bias=False)[0]


def fpr_points(real_logits: Floats, sources: ArrayLike) -> tuple[RatePoint, ...]:
    """For each rate the threshold at which no source of reals exceeds it, from the loosest to the strictest.

    The source with the highest threshold decides; all reals together are one more source. A source with too few
    reals for the rate (``MIN_SOURCE``, ``MIN_EXPECTED``) counts in that one only, else a single odd picture of a small
    set would decide. Thresholds never fall towards stricter rates.
    """
    names = np.asarray(sources)
    everything = np.sort(real_logits)
    pools = {str(name): np.sort(real_logits[names == name]) for name in np.unique(names)}
    points: list[RatePoint] = []
    for fpr in RATES:
        enough = max(MIN_SOURCE, MIN_EXPECTED / fpr)
        deciding = {ALL_SOURCES: everything, **{name: pool for name, pool in pools.items() if len(pool) >= enough}}
        best = max((_rate_point(fpr, pool, name) for name, pool in deciding.items()), key=lambda point: point.logit)
        logit = max(best.logit, points[-1].logit) if points else best.logit
        points.append(RatePoint(fpr, logit, best.source, best.reals, best.measured))
    return tuple(points)


def _rate_point(fpr: float, ordered: Floats, source: str) -> RatePoint:
    """The threshold which the next real of this source reaches with a probability of at most ``fpr``.

    See ``conformal_rank``. Where the reals are too few for the rate: above all of them, and not under the normal
    prediction limit mean + t · s · √(1 + 1/n).
    """
    n = len(ordered)
    k = conformal_rank(n, fpr)
    if k <= n:
        return RatePoint(fpr, just_above(ordered, k), source, n, measured=True)
    from scipy.stats import t

    limit = float(ordered.mean() + t.ppf(1.0 - fpr, n - 1) * ordered.std(ddof=1) * math.sqrt(1.0 + 1.0 / n))
    return RatePoint(fpr, max(limit, just_above(ordered, n)), source, n, measured=False)


def fit_band(logits: Floats, labels: Ints, weights: Floats, threshold: float) -> float:
    """How far below the threshold a face is still uncertain, in calibrated logits.

    As far as leaves at most ``MAX_MISSED`` of the fakes under it, and at least ``MIN_BAND`` (half the odds); but
    never so far that more than ``MAX_UNCERTAIN`` of the faces, half of them real, are uncertain. Where the two
    wishes collide, the second wins, and more fakes are missed. (``fit`` opens what is above even odds all the same.)
    """
    fakes = labels == 1
    order = np.argsort(logits[fakes])
    below = np.cumsum(weights[fakes][order]) / weights[fakes].sum()
    first_kept = min(int(np.searchsorted(below, MAX_MISSED, side="right")), len(below) - 1)
    wanted = max(threshold - float(logits[fakes][order][first_kept]), MIN_BAND)

    under = np.flatnonzero(logits < threshold)
    descending = under[np.argsort(-logits[under])]
    opened = np.cumsum(weights[descending])
    allowed = int(np.searchsorted(opened, MAX_UNCERTAIN * weights.sum(), side="right"))
    if allowed == len(descending):
        return wanted
    return min(wanted, max(0.0, threshold - float(logits[descending[allowed]]) - 1e-9))
