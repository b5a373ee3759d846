"""``deepfake bench backbones``: several networks, trained on the same pictures with the same budget."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import show_findings
from deepfake_detector.cli.measure_options import BenchOutput, Bootstrap, SeedOfChoice, Threads
from deepfake_detector.cli.trainings import Overrides, resumable_trainings
from deepfake_detector.training.bench.backbones import Backbones, BackbonesOptions, bench_backbones
from deepfake_detector.training.bench.backbones_report import summary
from deepfake_detector.training.bench.page import REPORT_NAME, bare
from deepfake_detector.training.config import load_config
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling

if TYPE_CHECKING:
    from rich.table import Table


def backbones(
    config: Annotated[Path, typer.Argument(help="A YAML file as for `deepfake train`, with a section `backbones`.")],
    *,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this one of the config; may be repeated.")
    ] = None,
    pictures: Annotated[
        int | None,
        typer.Option(min=2, help="Use at most so many of each class of each set and split.", show_default="all"),
    ] = None,
    robust_pictures: Annotated[
        int, typer.Option(min=2, help="Change at most so many test pictures of each class of each known set.")
    ] = 40,
    overrides: Overrides = None,
    output: BenchOutput = None,
    bootstrap: Bootstrap = 1000,
    seed: SeedOfChoice = 0,
    threads: Threads = 0,
) -> None:
    """Train several backbones on one data set with one budget, and compare them: size, speed, known and foreign AUC.

    Each is a run folder <name>-<candidate>. May be interrupted: the same command goes on, and keeps what is trained.
    Foreign are the test pictures of sets that the config does not train on. Writes report.html, backbones.json,
    backbones.csv, and Pareto plots (PNG and SVG).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    settings = load_config(config, overrides or [])
    options = BackbonesOptions(
        pictures=pictures,
        robust_pictures=robust_pictures,
        only=tuple(only or ()),
        overrides=tuple(overrides or ()),
        settings=Settings(resampling=Resampling(bootstrap, seed)),
        threads=threads,
    )
    with resumable_trainings() as callbacks:
        found, folder = bench_backbones(settings, config, output, options, callbacks)
    show_findings(summary(found), folder / REPORT_NAME, _table(found))


def _table(found: Backbones) -> Table:
    from rich.table import Table

    table = Table(title=f"{found.name}: ROC-AUC and cost; ° from random weights")
    table.add_column("backbone")
    for title in ("million weights", "MB", "ms per face", "training images/s", "known sets", "foreign", "changed"):
        table.add_column(title, justify="right")
    for row in found.rows:
        table.add_row(
            row.name + (" °" if row.random else ""),
            f"{row.parameters / 1e6:.2f}",
            f"{row.megabytes:.1f}",
            f"{row.milliseconds:.1f}",
            f"{row.training.per_second:.1f}" if row.training else "–",
            *(bare(estimate) for estimate in (row.own, row.foreign, row.robust)),
        )
    return table
