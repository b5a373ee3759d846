"""``deepfake bench compare``: detectors against each other on the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli import measure_options as options
from deepfake_detector.cli.console import progress_bars, show_findings
from deepfake_detector.cli.measure_options import SplitChoice
from deepfake_detector.training.bench.compare import Compared, Match, bench_compare
from deepfake_detector.training.bench.compare_report import said_p, summary
from deepfake_detector.training.bench.page import REPORT_NAME
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluate import EvaluateOptions
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling

if TYPE_CHECKING:
    from rich.table import Table


def compare(
    data: Annotated[Path, typer.Argument(help="A folder with Real and Fake, or a CSV manifest.")],
    detectors: Annotated[
        list[str],
        typer.Argument(help="Two or more: a CSV of path and score, a bundle, a run, or a shipped model's name."),
    ],
    *,
    split: options.Which = SplitChoice.TEST,
    output: options.BenchOutput = None,
    sets: options.Sets = None,
    exclude_sets: options.ExcludeSets = None,
    used_for_selection: options.UsedForSelection = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples for intervals and tests; 0 for none.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    crops: options.Crops = None,
    threads: options.Threads = 0,
) -> None:
    """Compare the first detector with each of the others: ROC-AUC in all, in each set, by method, face size, quality.

    Scores of any other detector come as a CSV with the columns path and score (higher for fake); predictions.csv of
    `deepfake evaluate` is one. Missing scores count against a detector. Tests: DeLong's and a paired bootstrap, both
    after Holm's correction. Writes report.html, comparison.json, comparison.csv and plots (PNG and SVG).
    """
    chosen = EvaluateOptions(
        split=split.chosen,
        sets=tuple(sets or ()),
        exclude_sets=tuple(exclude_sets or ()),
        settings=Settings(resampling=Resampling(bootstrap, seed), used_for_selection=tuple(used_for_selection or ())),
        crops=crops,
        threads=threads,
    )
    with progress_bars() as progress:
        found, folder = bench_compare(data, detectors, output, chosen, progress)
    show_findings(summary(found), folder / REPORT_NAME, *(_table(found, match) for match in found.matches))


def _table(found: Compared, match: Match) -> Table:
    from rich.table import Table

    table = Table(title=f"1: {found.first.name}   2: {match.second.name}   on {found.data} ({found.split})")
    for column in (
        "pictures",
        "real",
        "fake",
        "missing",
        "AUC 1",
        "AUC 2",
        "2 less 1",
        "DeLong",
        "bootstrap",
        "better",
    ):
        table.add_column(column)
    for part in match.parts:
        one = part.comparison
        name = part.name + (" (used for selection)" if part.used_for_selection else "")
        counts = [str(part.real), str(part.fake), f"{part.missing[0]}, {part.missing[1]}"]
        tests = [said_p(part.p_delong_holm), said_p(part.p_bootstrap_holm), str(part.better or "–")]
        table.add_row(name, *counts, said(one.first), said(one.second), said(one.gain), *tests)
    return table
