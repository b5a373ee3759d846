"""``deepfake bench ablation``: what each part of a recipe is worth."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import show_findings
from deepfake_detector.cli.measure_options import BenchOutput, Bootstrap, SeedOfChoice, Threads
from deepfake_detector.cli.trainings import Overrides, resumable_trainings
from deepfake_detector.training.bench.ablation import Ablation, AblationOptions, bench_ablation
from deepfake_detector.training.bench.ablation_report import TITLES, summary
from deepfake_detector.training.bench.page import REPORT_NAME
from deepfake_detector.training.config import load_config
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling

if TYPE_CHECKING:
    from rich.table import Table


def ablation(
    config: Annotated[
        Path, typer.Argument(help="A YAML file as for `deepfake train`, with `families` and `ingredients`.")
    ],
    *,
    fold: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Leave out this family; may be repeated.", show_default="each in turn"),
    ] = None,
    foreign: Annotated[
        list[Path] | None,
        typer.Option(help="Folder or manifest of more pictures that no fold trains on; may be repeated."),
    ] = None,
    pictures: Annotated[
        int, typer.Option(min=2, help="Measure at most so many of each class of a set and split.")
    ] = 300,
    changed_pictures: Annotated[
        int, typer.Option(min=2, help="Change at most so many foreign ones of each class of a set and split.")
    ] = 30,
    overrides: Overrides = None,
    output: BenchOutput = None,
    bootstrap: Bootstrap = 1000,
    seed: SeedOfChoice = 0,
    threads: Threads = 0,
) -> None:
    """Train a recipe in full and without each ingredient, on several folds of sources, and say what each is worth.

    A run is a folder <name>-no-<ingredient>-without-<family>. May be interrupted: the same command goes on, and keeps
    what is trained. The test split is not touched. Writes report.html, ablation.json, ablation.csv and a plot.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    options = AblationOptions(
        folds=tuple(fold or ()),
        foreign=tuple(foreign or ()),
        pictures=pictures,
        changed_pictures=changed_pictures,
        overrides=tuple(overrides or ()),
        settings=Settings(resampling=Resampling(bootstrap, seed)),
        threads=threads,
    )
    settings = load_config(config, options.overrides)
    with resumable_trainings() as callbacks:
        found, folder = bench_ablation(settings, config, output, options, callbacks)
    show_findings(summary(found), folder / REPORT_NAME, _table(found))


def _table(found: Ablation) -> Table:
    from rich.table import Table

    table = Table(title=f"{found.name}: ROC-AUC of the full recipe less that without the ingredient")
    table.add_column("without")
    for title in TITLES.values():
        table.add_column(title, justify="right")
    table.add_column("minutes", justify="right")
    for row in found.rows:
        name = row.name if row.worth else "nothing: ROC-AUC"
        figures = row.worth or row.figures
        table.add_row(name, *(said(figures[figure]) for figure in TITLES), f"{row.minutes:.1f}")
    return table
