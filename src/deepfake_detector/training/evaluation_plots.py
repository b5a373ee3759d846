"""The plots of an evaluation: which ones its pictures allow, drawn and saved as PNG and SVG."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake_detector.core.types import OperatingPoint
from deepfake_detector.training.curve_plots import (
    OperatingThreshold,
    histogram,
    precision_recall,
    rates_over_threshold,
    reliability,
    risk_and_coverage,
    roc,
)
from deepfake_detector.training.evaluation import Evaluation, Part, doubts, raw_set, scored_set
from deepfake_detector.training.intervals import Estimate
from deepfake_detector.training.plot_style import look, save
from deepfake_detector.training.plots import RateRow, SetRow, confusion_matrix, people_rates, set_aucs, set_rates
from deepfake_detector.training.predict import Prediction, bounds

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINT_NAMES = {OperatingPoint.FPR1: "1 % FPR", OperatingPoint.FPR5: "5 % FPR", OperatingPoint.FPR10: "10 % FPR"}


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot's file name without suffix, what it shows (for who cannot see it), and its SVG file."""

    name: str
    words: str
    svg: Path

    @property
    def source(self) -> str:
        """A data URL."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg.read_bytes()).decode("ascii")


def draw(evaluation: Evaluation, folder: Path) -> tuple[Plot, ...]:
    """Draw all plots that these pictures allow, each as PNG and SVG."""
    drawn = []
    with look():
        for name, words, figure in _figures(evaluation):
            if figure is not None:
                drawn.append(Plot(name, words, save(figure, folder, name)[1]))
    return tuple(drawn)


def _figures(evaluation: Evaluation) -> list[tuple[str, str, Figure | None]]:
    settings, total = evaluation.settings, evaluation.figures.total
    chosen = [one for one in evaluation.predictions if counted_in_total(evaluation, one.sample.set)]
    scored = scored_set(chosen)
    if scored is None or total.metrics is None:
        return []
    found, band = total.metrics.figures, evaluation.card.calibration.band_below
    thresholds = [
        OperatingThreshold(POINT_NAMES[at.point], at.logit, at.point is settings.point) for at in total.points
    ]
    point = POINT_NAMES[settings.point]
    sets = [_set_row(part) for part in evaluation.figures.sets if part.metrics is not None]
    confusion = confusion_matrix(total.metrics.confusion, f"At the {point} threshold")
    false_alarms = f"Real people called fake at the {point} threshold"
    called_fake = set_rates(_rate_rows(evaluation), f"Called fake at the {point} threshold")
    return [
        ("confusion_matrix", "Counts at the threshold", confusion),
        ("roc", "ROC curve", roc(scored, found.roc_auc, thresholds, settings.resampling)),
        ("precision_recall", "Precision over recall", precision_recall(scored, found.average_precision)),
        ("reliability", "Share of fakes over probability", _reliability(chosen, total)),
        ("risk_coverage", "Error over the share of pictures that is answered", _risk_coverage(chosen, evaluation)),
        ("set_aucs", "ROC-AUC of each set", set_aucs(sets)),
        ("set_rates", "Share called fake in each set", called_fake),
        ("scores", "Histogram of the scores of each class", histogram(scored, thresholds, band)),
        ("rates", "Error rates over the threshold", rates_over_threshold(scored, thresholds)),
        ("people", "Real pictures called fake by group of people", people_rates(_people(evaluation), false_alarms)),
    ]


def _reliability(predictions: Sequence[Prediction], total: Part) -> Figure | None:
    scored = scored_set(predictions)
    if scored is None or total.metrics is None or total.uncalibrated is None:
        return None
    return reliability(scored, total.metrics.figures.ece, raw_set(predictions), total.uncalibrated.ece)


def _risk_coverage(predictions: Sequence[Prediction], evaluation: Evaluation) -> Figure | None:
    found = evaluation.figures.total.selective
    if found is None:
        return None
    limits = bounds(evaluation.card.calibration, evaluation.settings.point)
    return risk_and_coverage(doubts(predictions, limits), found)


def _people(evaluation: Evaluation) -> list[SetRow]:
    marked = evaluation.settings.used_for_selection
    return [
        SetRow(one.name, f"{one.fpr.n}", Estimate(one.fpr.value, one.fpr.low, one.fpr.high), one.set in marked)
        for one in evaluation.figures.people
    ]


def counted_in_total(evaluation: Evaluation, set_: str) -> bool:
    """True if the figures of all pictures include this set."""
    return evaluation.figures.total.used_for_selection or set_ not in evaluation.settings.used_for_selection


def _set_row(part: Part) -> SetRow:
    metrics = part.metrics
    estimate = Estimate(None) if metrics is None else metrics.figures.roc_auc
    counts = "" if metrics is None else f"{metrics.real} real, {metrics.fake} fake"
    return SetRow(part.set or "(no name)", counts, estimate, part.used_for_selection)


def _rate_rows(evaluation: Evaluation) -> list[RateRow]:
    rows = []
    for part in evaluation.figures.sets:
        for at in part.points:
            if at.point is evaluation.settings.point:
                both = ((False, at.fpr), (True, at.tpr))
                name = part.set or "(no name)"
                rows += [RateRow(name, fake, share, part.used_for_selection) for fake, share in both if share.n]
    return rows
