"""``deepfake bench robustness``: how a model bears what pictures go through on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli import measure_options as options
from deepfake_detector.cli.console import progress_bars, show_findings
from deepfake_detector.cli.detect_options import Point
from deepfake_detector.cli.measure_options import SplitChoice
from deepfake_detector.core.types import OperatingPoint
from deepfake_detector.training.bench.page import REPORT_NAME
from deepfake_detector.training.bench.reactions import Reaction
from deepfake_detector.training.bench.robustness import Robustness, RobustnessOptions, bench_robustness
from deepfake_detector.training.bench.robustness_report import summary
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluate import EvaluateOptions
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.evaluation_report import said_rate
from deepfake_detector.training.intervals import Resampling

if TYPE_CHECKING:
    from rich.table import Table


def robustness(
    model: options.Model = None,
    data: options.Data = None,
    *,
    split: options.Which = SplitChoice.TEST,
    output: options.BenchOutput = None,
    sets: options.Sets = None,
    exclude_sets: options.ExcludeSets = None,
    limit: options.Limit = None,
    used_for_selection: options.UsedForSelection = None,
    operating_point: Annotated[Point, typer.Option(help="Which of the shipped thresholds to use.")] = Point.FPR5,
    find_again: Annotated[
        bool, typer.Option("--find-again", help="Look for the face in each changed picture, too; several times slower.")
    ] = False,
    bootstrap: options.Bootstrap = 1000,
    seed: Annotated[int, typer.Option(help="Of the noise, the resamples and the choice of --limit.")] = 0,
    crops: options.Crops = None,
    threads: options.Threads = 0,
) -> None:
    """Measure a model on pictures as they are and after 34 changes: JPEG, WebP, scaling, blur, noise, light, crop,
    rotation, a screenshot, uploads to social media.

    For each change: ROC-AUC and what is lost of it, false alarms, verdicts that become another one. Writes
    report.html, robustness.json, robustness.csv, answers.csv and plots (PNG and SVG).
    """
    evaluation = EvaluateOptions(
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
        found, folder = bench_robustness(
            model, data, output, RobustnessOptions(evaluation, limit, find_again), progress
        )
    show_findings(summary(found), folder / REPORT_NAME, _table(found))


def _table(found: Robustness) -> Table:
    from rich.table import Table

    total = found.parts[0]
    table = Table(title=f"{found.card.name} {found.card.version} on {found.data} ({found.split})")
    for column in ("change", "ROC-AUC", "AUC lost", "reals called fake", "fakes called fake", "other verdict"):
        table.add_column(column)
    for one in (total.clean, *total.changed):
        table.add_row(*_cells(one), end_section=one is total.clean)
    return table


def _cells(one: Reaction) -> list[str]:
    changed = [said(one.loss), said_rate(one.flips)] if one.family else ["–", "–"]
    return [one.name, said(one.roc_auc), changed[0], said_rate(one.fpr), said_rate(one.tpr), changed[1]]
