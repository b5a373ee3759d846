"""``deepfake evaluate``: how good a model is on labelled pictures, with intervals, plots and a page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli import measure_options as options
from deepfake_detector.cli.console import console, progress_bars, show_findings
from deepfake_detector.cli.detect_options import Point
from deepfake_detector.cli.measure_options import SplitChoice
from deepfake_detector.core.types import OperatingPoint
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluate import REPORT_NAME, EvaluateOptions
from deepfake_detector.training.evaluate import evaluate as run_evaluation
from deepfake_detector.training.evaluation import Evaluation, Part, Settings
from deepfake_detector.training.evaluation_report import FIGURE_NAMES, chosen_point, said_rate, summary
from deepfake_detector.training.intervals import Resampling

if TYPE_CHECKING:
    from rich.table import Table


def evaluate(
    model: options.Model = None,
    data: options.Data = None,
    *,
    split: options.Which = SplitChoice.TEST,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the page, plots and numbers.", show_default="outputs/evaluations/…")
    ] = None,
    sets: options.Sets = None,
    exclude_sets: options.ExcludeSets = None,
    used_for_selection: options.UsedForSelection = None,
    operating_point: Annotated[Point, typer.Option(help="Which of the shipped thresholds to use.")] = Point.FPR5,
    bootstrap: options.Bootstrap = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    crops: options.Crops = None,
    threads: options.Threads = 0,
) -> None:
    """Measure a model on labelled pictures: ROC-AUC, error rates, calibration, for all and for each set.

    The exported model file is scored, so that what is measured is what ships. Writes report.html, metrics.json,
    metrics.csv, predictions.csv and plots (PNG and SVG).
    """
    chosen = EvaluateOptions(
        split=split.chosen,
        sets=tuple(sets or ()),
        exclude_sets=tuple(exclude_sets or ()),
        settings=Settings(
            OperatingPoint(operating_point.value), Resampling(bootstrap, seed), tuple(used_for_selection or ())
        ),
        crops=crops,
        threads=threads,
    )
    with progress_bars() as progress:
        evaluation, folder = run_evaluation(model, data, output, chosen, progress)
    show(evaluation, folder)


def show(evaluation: Evaluation, folder: Path) -> None:
    """Tables and sentences for the terminal."""
    out = console(sys.stdout)
    out.print(_set_table(evaluation))
    out.print(_figure_table(evaluation.figures.total))
    show_findings(summary(evaluation), folder / REPORT_NAME)


def _set_table(evaluation: Evaluation) -> Table:
    from rich.table import Table

    point = evaluation.settings.point.value
    table = Table(title=f"{evaluation.card.name} {evaluation.card.version} on {evaluation.data} ({evaluation.split})")
    table.add_column("set")
    for column in ("real", "fake"):
        table.add_column(column, justify="right")
    for column in ("ROC-AUC", f"reals called fake ({point})", f"fakes called fake ({point})"):
        table.add_column(column)
    table.add_column("no face", justify="right")
    figures = evaluation.figures
    for part in (*figures.sets, *figures.methods, figures.total):
        table.add_row(*_cells(part, evaluation), end_section=part is (figures.methods or figures.sets)[-1])
    return table


def _cells(part: Part, evaluation: Evaluation) -> list[str]:
    metrics, at = part.metrics, chosen_point(part, evaluation)
    name = part.name + (" (used for selection)" if part.used_for_selection else "")
    missing = str(part.real.no_face + part.fake.no_face)
    if metrics is None or at is None:
        return [name, "0", "0", "–", "–", "–", missing]
    auc = said(metrics.figures.roc_auc)
    return [name, str(metrics.real), str(metrics.fake), auc, said_rate(at.fpr), said_rate(at.tpr), missing]


def _figure_table(total: Part) -> Table:
    from rich.table import Table

    table = Table("figure", "value (interval)", title="All pictures")
    if total.metrics is not None:
        for name, (words, _) in FIGURE_NAMES.items():
            table.add_row(words, said(getattr(total.metrics.figures, name)))
    return table
