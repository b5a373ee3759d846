"""One self-contained page about an evaluation: what it says in plain words, tables, plots, and how to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from deepfake_detector._version import __version__
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation import Evaluation, Part, PointRates
from deepfake_detector.training.evaluation_files import skipped_reasons
from deepfake_detector.training.evaluation_plots import POINT_NAMES, Plot
from deepfake_detector.training.intervals import Rate
from deepfake_detector.training.metrics import FIGURES
from deepfake_detector.training.people import widest_gap

FIGURE_NAMES = {
    "roc_auc": ("ROC-AUC", "how often a fake scores above a real picture"),
    "average_precision": ("Average precision", "precision over all thresholds; chance is the share of fakes"),
    "eer": ("Equal error rate", "both error rates where they are equal; lower is better"),
    "tpr_at_fpr1": ("TPR at 1 % FPR", "fakes found if 1 % of these reals may be called fake"),
    "tpr_at_fpr5": ("TPR at 5 % FPR", "fakes found if 5 % of these reals may be called fake"),
    "accuracy": ("Accuracy", "share of right answers; depends on the share of fakes"),
    "balanced_accuracy": ("Balanced accuracy", "mean of both recalls; chance is 0.5"),
    "precision_fake": ("Precision, fake", "of those called fake, how many are"),
    "recall_fake": ("Recall, fake", "of the fakes, how many are called fake"),
    "f1_fake": ("F1, fake", "harmonic mean of the two"),
    "precision_real": ("Precision, real", "of those not called fake, how many are real"),
    "recall_real": ("Recall, real", "of the reals, how many are not called fake"),
    "f1_real": ("F1, real", "harmonic mean of the two"),
    "brier": ("Brier score", "mean squared error of p_fake; 0.25 for always saying 0.5; lower is better"),
    "ece": ("Calibration error", "how far p_fake is from the share that was fake (ECE); lower is better"),
}


def write_page(evaluation: Evaluation, plots: Sequence[Plot], file: Path) -> None:
    """Write the page: one file, no script, no network."""
    from jinja2 import Environment, StrictUndefined

    template = files("deepfake_detector.training").joinpath("templates/evaluation.html.j2").read_text(encoding="utf-8")
    style = files("deepfake_detector.training").joinpath("templates/evaluation.css").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(said=said, share=said_rate, percent=percent)
    total = evaluation.figures.total
    page = environment.from_string(template).render(
        style=style,
        evaluation=evaluation,
        card=evaluation.card,
        figures=evaluation.figures,
        total=total,
        rows=[(*FIGURE_NAMES[name], getattr(total.metrics.figures, name)) for name in FIGURES] if total.metrics else [],
        points=[(POINT_NAMES[at.point], at) for at in total.points],
        chosen=POINT_NAMES[evaluation.settings.point],
        at_point=[(part, chosen_point(part, evaluation)) for part in evaluation.figures.sets],
        methods=[(part, chosen_point(part, evaluation)) for part in evaluation.figures.methods],
        summary=summary(evaluation),
        skipped=skipped_reasons(evaluation.predictions),
        plots=plots,
        version=__version__,
    )
    file.write_text(page, encoding="utf-8")


def chosen_point(part: Part, evaluation: Evaluation) -> PointRates | None:
    """The part's rates at the operating point of the evaluation."""
    return next((at for at in part.points if at.point is evaluation.settings.point), None)


def summary(evaluation: Evaluation) -> list[str]:
    """What the figures say, in sentences that need no statistics."""
    total, figures = evaluation.figures.total, evaluation.figures
    at = chosen_point(total, evaluation)
    sentences = []
    if at is not None and at.fpr.n:
        sentences.append(
            f"Of {at.fpr.n} real pictures, {at.fpr.count} ({percent(at.fpr.value)}) were called fake. The threshold is "
            f"meant for {percent(at.promised_fpr)}: {_against(at)}."
        )
    if at is not None and at.tpr.n:
        open_ = total.fake.uncertain
        sentences.append(
            f"Of {at.tpr.n} fakes, {at.tpr.count} ({percent(at.tpr.value)}) were called fake, and {open_} more were "
            f"left open as uncertain."
        )
    auc = None if total.metrics is None else total.metrics.figures.roc_auc
    if auc is not None and auc.value is not None:
        sentences.append(
            f"Shown a random fake and a random real picture of these sets, it scores the fake higher in "
            f"{percent(auc.value)} of cases; guessing gives 50%. That is the ROC-AUC: {said(auc)}."
        )
    ranked = sorted(
        (part.metrics.figures.roc_auc.value, part.set)
        for part in figures.sets
        if part.metrics is not None and part.metrics.figures.roc_auc.value is not None
    )
    if len(ranked) > 1:
        (low, worst), (high, best) = ranked[0], ranked[-1]
        sentences.append(f"Sets differ: the AUC reaches from {low:.3f} ({worst}) to {high:.3f} ({best}).")
        sentences.append("The figure of all pictures together partly measures which set a picture is from.")
    return [*sentences, *_doubt(total), *_people(evaluation), *_missing(evaluation)]


def _doubt(total: Part) -> list[str]:
    found = total.selective
    if found is None or found.answered.value is None or found.right.value is None or found.risk.value is None:
        return []
    open_ = found.answered.n - found.answered.count
    return [
        f"{open_} of {found.answered.n} pictures ({percent(open_ / found.answered.n)}) are left open as uncertain; of "
        f"the rest {percent(found.right.value)} are answered rightly. Without doubt it would be "
        f"{percent(1.0 - found.risk.value)} of all."
    ]


def _people(evaluation: Evaluation) -> list[str]:
    gap = widest_gap(evaluation.figures.people)
    if gap is None:
        return []
    high, low = gap
    apart = high.fpr.low is not None and low.fpr.high is not None and high.fpr.low > low.fpr.high
    return [
        f"Of people, false alarms differ most by {high.trait} in {high.set or 'these pictures'}: {said_rate(high.fpr)} "
        f"({high.group}) and {said_rate(low.fpr)} ({low.group}); "
        + ("that is more than chance would do." if apart else "the intervals overlap, so that may be chance.")
    ]


def _against(at: PointRates) -> str:
    low, high = at.fpr.low, at.fpr.high
    if low is not None and low > at.promised_fpr:
        return "here it is more than that"
    if high is not None and high < at.promised_fpr:
        return "here it is less than that"
    return "these pictures do not contradict it"


def _missing(evaluation: Evaluation) -> list[str]:
    sentences = []
    without = sum(one.no_face for one in evaluation.predictions)
    lost = sum(one.answer is None for one in evaluation.predictions) - without
    if without:
        sentences.append(
            f"In {without} pictures no face was found; they have no score and are in no figure but the counts."
        )
    if lost:
        sentences.append(f"{lost} pictures could not be read.")
    return sentences


def said_rate(share: Rate) -> str:
    """A share with its interval in percent: ``3.8% (2.4–5.6%)``."""
    if share.value is None or share.low is None or share.high is None:
        return "–"
    return f"{percent(share.value)} ({100 * share.low:.1f}–{percent(share.high)})"


def percent(share: float | None) -> str:
    """A share as ``3.8%``."""
    return "–" if share is None else f"{100 * share:.1f}%"
