"""Plots over all thresholds: ROC, precision and recall, reliability, score histogram, error rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.training.intervals import Estimate, Floats, Resampling, bootstrap
from deepfake_detector.training.metrics import ScoredSet
from deepfake_detector.training.plot_style import (
    FAKE,
    GREY,
    INK,
    LIGHT,
    MAIN,
    MARKERS,
    PALE,
    REAL,
    new_figure,
    probability_axis,
)
from deepfake_detector.training.reliability import balanced_weights, mass_bins
from deepfake_detector.training.selective import Answered, Selective, risk_coverage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BAND_RESAMPLES = 200
SHOWN_LOGITS = 10.0


@dataclass(frozen=True, slots=True)
class OperatingThreshold:
    """A named threshold on the calibrated logit, e.g. ``5 % FPR``, and whether it is the default one."""

    name: str
    logit: float
    default: bool = False


def roc(
    scored: ScoredSet, auc: Estimate, thresholds: Sequence[OperatingThreshold], resampling: Resampling
) -> Figure | None:
    """The ROC curve with its pointwise bootstrap band and the operating points; None without both classes."""
    from sklearn.metrics import roc_curve

    if not scored.real or not scored.fake:
        return None
    figure, axes = new_figure(5.6, 5.4)
    fpr, tpr, _ = roc_curve(scored.labels, scored.logits)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle=":", label="chance")
    if auc.low is not None:
        grid, low, high = _roc_band(scored, resampling)
        axes.fill_between(grid, low, high, color=LIGHT, alpha=0.35, linewidth=0, label=f"{_percent(resampling)} band")
    axes.plot(fpr, tpr, color=REAL, label=f"AUC {said(auc)}")
    for marker, point in zip(MARKERS, thresholds, strict=False):
        called = scored.logits >= point.logit
        x, y = called[scored.labels == 0].mean(), called[scored.labels == 1].mean()
        axes.plot(
            x, y, marker, color=FAKE, markersize=10 if point.default else 8, markeredgecolor="white", label=point.name
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="real pictures called fake (FPR)")
    axes.set(ylabel="fakes found (TPR)", title="ROC curve", aspect="equal")
    axes.legend(loc="lower right")
    return figure


def _roc_band(scored: ScoredSet, resampling: Resampling) -> tuple[Floats, Floats, Floats]:
    from sklearn.metrics import roc_curve

    grid = np.concatenate([np.linspace(0, 0.1, 51), np.linspace(0.1, 1, 91)[1:]])

    def at_grid(weights: Floats) -> Floats:
        if not weights[scored.labels == 0].any() or not weights[scored.labels == 1].any():
            return np.full(len(grid), np.nan)
        fpr, tpr, _ = roc_curve(scored.labels, scored.logits, sample_weight=weights, drop_intermediate=False)
        return np.asarray(np.interp(grid, fpr, tpr), dtype=np.float64)

    few = Resampling(min(BAND_RESAMPLES, resampling.resamples), resampling.seed, resampling.confidence)
    curves = bootstrap(at_grid, scored.groups, few)
    low, high = np.nanquantile(curves, resampling.tails, axis=1)
    return grid, low, high


def precision_recall(scored: ScoredSet, average_precision: Estimate) -> Figure | None:
    """Precision over recall, with the share of fakes in these pictures as the line of chance; None for one class."""
    from sklearn.metrics import precision_recall_curve

    if not scored.real or not scored.fake:
        return None
    precision, recall, _ = precision_recall_curve(scored.labels, scored.logits)
    share = scored.fake / len(scored.labels)
    figure, axes = new_figure(5.6, 5.4)
    axes.plot(recall, precision, color=REAL, drawstyle="steps-post", label=f"AP {said(average_precision)}")
    axes.axhline(share, color=GREY, linewidth=1.2, linestyle=":", label=f"chance: {share:.0%} of these are fake")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="fakes found (recall)", aspect="equal")
    axes.set(ylabel="share of fakes among those called fake (precision)", title="Precision and recall")
    axes.legend(loc="lower left")
    return figure


def reliability(scored: ScoredSet, ece: Estimate, raw: ScoredSet, ece_before: Estimate) -> Figure | None:
    """Share of fakes over p_fake in bins of equal weight, both classes weighing the same; None for one class.

    ``raw``: the same pictures with their logits before the calibration, drawn in grey.
    """
    if not scored.real or not scored.fake:
        return None
    said_p, was, counted = _reliability_bins(scored)
    spread = 1.96 * np.sqrt(np.clip(was * (1 - was), 0.25 / (counted + 4), None) / counted)
    figure, axes = new_figure(5.6, 5.4)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1.2, linestyle=":", label="keeps its word")
    low, high = np.clip(was - spread, 0, 1), np.clip(was + spread, 0, 1)
    axes.vlines(said_p, low, high, color=LIGHT, linewidth=2)
    axes.plot(
        *_reliability_bins(raw)[:2], "--o", color=GREY, markersize=4, linewidth=1.2, label=f"before {said(ece_before)}"
    )
    axes.plot(said_p, was, "-o", color=REAL, markersize=7, linewidth=1.6, label=f"calibrated, ECE {said(ece)}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability of being fake that was given")
    axes.set(ylabel="share that was fake (classes weighted equally)", title="Reliability", aspect="equal")
    axes.legend(loc="upper left")
    return figure


def _reliability_bins(scored: ScoredSet) -> tuple[Floats, Floats, Floats]:
    """For each bin the mean probability, the share of fakes, and the number of pictures."""
    weights = balanced_weights(scored.labels, np.ones(len(scored.labels)))
    bins = mass_bins(scored.p_fake, weights)
    mass = np.bincount(bins, weights=weights)
    said_p, was = (np.bincount(bins, weights=weights * values) / mass for values in (scored.p_fake, scored.labels))
    return said_p, was, np.bincount(bins).astype(np.float64)


def risk_and_coverage(answered: Answered, found: Selective) -> Figure:
    """The error among the pictures that are answered, surest first, and the place at which this detector stops."""
    figure, axes = new_figure(5.6, 5.0)
    coverage, risk = risk_coverage(answered)
    axes.plot(coverage, risk, color=REAL, label=f"AURC {said(found.aurc)}")
    if found.risk.value is not None:
        axes.axhline(found.risk.value, color=GREY, linestyle=":", linewidth=1.2, label="error without doubt")
    if found.right.value is not None and found.answered.value is not None:
        place = ([found.answered.value], [1.0 - found.right.value])
        axes.plot(
            *place, "o", color=FAKE, markersize=10, markeredgecolor="white", label="as it ships: uncertain left out"
        )
    axes.set(xlim=(-0.02, 1.02), ylim=(0.0, max(0.05, 1.15 * float(risk.max()))), title="What doubt is worth")
    axes.set(xlabel="share of the pictures that are answered, surest first", ylabel="share of wrong answers among them")
    axes.legend(loc="best")
    return figure


def histogram(scored: ScoredSet, thresholds: Sequence[OperatingThreshold], band_below: float) -> Figure:
    """How the scores of each class spread, with the thresholds and the band in which a face is uncertain."""
    from seaborn import histplot

    figure, axes = new_figure(7.4, 4.4)
    logits = np.clip(scored.logits, -SHOWN_LOGITS, SHOWN_LOGITS)
    low, high = float(min(logits.min(), -3.0)) - 0.3, float(max(logits.max(), 3.0)) + 0.3
    edges = np.linspace(low, high, 41)
    for label, colour, name in ((0, REAL, "real"), (1, FAKE, "fake")):
        chosen = logits[scored.labels == label]
        if len(chosen):
            histplot(
                x=chosen, bins=edges.tolist(), stat="probability", element="step", color=colour, alpha=0.35,
                linewidth=2.0, ax=axes, label=f"{name} ({len(chosen)})",
            )  # fmt: skip
    _mark(axes, thresholds)
    for point in thresholds:
        if point.default:
            axes.axvspan(point.logit - band_below, point.logit, color=PALE, zorder=0, label="uncertain")
    probability_axis(axes, low, high)
    axes.set(xlabel="p_fake (spaced by log odds)", ylabel="share of the class", title="Scores by class")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def rates_over_threshold(scored: ScoredSet, thresholds: Sequence[OperatingThreshold]) -> Figure:
    """The share of reals called fake, and of fakes found, at each threshold."""
    figure, axes = new_figure(7.4, 4.4)
    shown = np.clip(scored.logits, -SHOWN_LOGITS, SHOWN_LOGITS)
    low, high = float(min(shown.min(), -3.0)) - 0.3, float(max(shown.max(), 3.0)) + 0.3
    grid = np.linspace(low, high, 801)
    lines = ((1, MAIN, "-", "fakes found (TPR)"), (0, FAKE, "--", "reals called fake (FPR)"))
    for label, colour, style, name in lines:
        chosen = np.sort(scored.logits[scored.labels == label])
        if len(chosen):
            axes.plot(
                grid, 1.0 - np.searchsorted(chosen, grid) / len(chosen), color=colour, linestyle=style, label=name
            )
    _mark(axes, thresholds)
    probability_axis(axes, low, high)
    axes.set(ylim=(-0.02, 1.02), xlabel="threshold on p_fake (spaced by log odds)", ylabel="share of the class")
    axes.set_title("Error rates over the threshold")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _mark(axes: Axes, thresholds: Sequence[OperatingThreshold]) -> None:
    for style, point in zip((":", "--", "-.", (0, (5, 1))), thresholds, strict=False):
        axes.axvline(point.logit, color=INK, linewidth=2.0 if point.default else 1.2, linestyle=style, label=point.name)


def said(estimate: Estimate) -> str:
    """A figure with its interval for a legend or a table: ``0.951 (0.931–0.968)``, ``-0.020 (-0.051 to 0.010)``."""
    if estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3f}"
    to = " to " if estimate.low < 0.0 else "–"
    return f"{estimate.value:.3f} ({estimate.low:.3f}{to}{estimate.high:.3f})"


def _percent(resampling: Resampling) -> str:
    return f"{resampling.confidence:.0%}"
