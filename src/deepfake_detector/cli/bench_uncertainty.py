"""``deepfake bench uncertainty``: what each reason to leave a face uncertain is worth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli import measure_options as options
from deepfake_detector.cli.console import console, print_table, progress_bars
from deepfake_detector.cli.detect_options import Point
from deepfake_detector.cli.measure_options import SplitChoice
from deepfake_detector.core.types import OperatingPoint
from deepfake_detector.training.bench.uncertainty import Uncertainty, Way, bench_uncertainty, write
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluate import EvaluateOptions
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.evaluation_report import said_rate
from deepfake_detector.training.intervals import Resampling

COLUMNS = ("pictures", "uncertain by", "AURC", "less the band's", "answered", "right among them", "doubted", "errors")


def uncertainty(
    model: options.Model = None,
    data: options.Data = None,
    *,
    split: options.Which = SplitChoice.TEST,
    output: Annotated[Path | None, typer.Option(help="Write the figures to this JSON file, too.")] = None,
    sets: options.Sets = None,
    exclude_sets: options.ExcludeSets = None,
    limit: options.Limit = None,
    operating_point: Annotated[Point, typer.Option(help="Which of the shipped thresholds to use.")] = Point.FPR5,
    bootstrap: options.Bootstrap = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples and the choice of --limit.")] = 0,
    crops: options.Crops = None,
    threads: options.Threads = 0,
) -> None:
    """Measure what leaving a face uncertain is worth: by the band alone, and if it is far, unstable, or both.

    Far faces need a model that deepfake familiarise has made. A doubt has earned its place if it lowers the area under
    the risk-coverage curve (AURC) on pictures of sources that the model does not know.
    """
    chosen = EvaluateOptions(
        split=split.chosen,
        sets=tuple(sets or ()),
        exclude_sets=tuple(exclude_sets or ()),
        settings=Settings(OperatingPoint(operating_point.value), Resampling(bootstrap, seed)),
        crops=crops,
        threads=threads,
    )
    with progress_bars() as progress:
        found = bench_uncertainty(model, data, chosen, limit, progress)
    _show(found)
    if output is not None:
        write(found, output)
        console(sys.stdout).print(f"written to {output}", soft_wrap=True)


def _show(found: Uncertainty) -> None:
    from rich.table import Table

    table = Table(title=f"{found.card.name} {found.card.version} on {found.data} ({found.split})")
    for column in COLUMNS:
        table.add_column(column)
    for part in found.parts:
        for way in part.ways:
            table.add_row(*_cells(f"{part.name} ({part.pictures})", way), end_section=way is part.ways[-1])
    print_table(sys.stdout, table)


def _cells(name: str, way: Way) -> list[str]:
    selective = way.selective
    worth = "–" if way.lower is None else said(way.lower)
    doubted = ["–", "–"] if not way.doubts else [said_rate(way.doubted), said_rate(way.errors)]
    answers = [said_rate(selective.answered), said_rate(selective.right)]
    return [name, " + ".join(("band", *way.doubts)), said(selective.aurc), worth, *answers, *doubted]
