"""``deepfake bench sources``: how a training does on families of sources that it was not shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import show_findings
from deepfake_detector.cli.detect_options import Point
from deepfake_detector.cli.measure_options import BenchOutput, Bootstrap, SplitChoice, Threads
from deepfake_detector.cli.trainings import Overrides, resumable_trainings
from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import OperatingPoint
from deepfake_detector.training.bench.page import REPORT_NAME
from deepfake_detector.training.bench.sources import Sources, SourcesOptions, bench_sources
from deepfake_detector.training.bench.sources_report import summary
from deepfake_detector.training.config import load_config
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling

if TYPE_CHECKING:
    from rich.table import Table


def sources(
    config: Annotated[Path, typer.Argument(help="A YAML file that describes the experiment, as for `deepfake train`.")],
    *,
    family: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SET,SET",
            help="Sets that are left out together; may be repeated.",
            show_default="the config's",
        ),
    ] = None,
    overrides: Overrides = None,
    split: Annotated[
        SplitChoice, typer.Option(help="Which pictures to test on; only test ones give honest figures.")
    ] = (SplitChoice.TEST),
    validate_left_out: Annotated[
        bool,
        typer.Option(
            "--validate-left-out",
            help="Let the left-out family choose the best epoch; then its figures are marked as used for selection.",
        ),
    ] = False,
    output: BenchOutput = None,
    operating_point: Annotated[Point, typer.Option(help="Which of the folds' thresholds to use.")] = Point.FPR5,
    bootstrap: Bootstrap = 1000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    threads: Threads = 0,
) -> None:
    """Train one model without each family of sources, and test each on every set: a matrix and heat maps.

    A fold is a run folder <name>-without-<family>. May be interrupted: the same command goes on, and keeps what is
    trained. Writes report.html, sources.json, sources.csv, each fold's predictions, and plots (PNG and SVG).
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    settings = load_config(config, overrides or [])
    if family:
        settings = settings.model_copy(update={"families": dict(_family(one) for one in family)})
    options = SourcesOptions(
        split=split.chosen,
        settings=Settings(OperatingPoint(operating_point.value), Resampling(bootstrap, seed)),
        validate_left_out=validate_left_out,
        overrides=tuple(overrides or ()),
        threads=threads,
    )
    with resumable_trainings() as callbacks:
        found, folder = bench_sources(settings, config, output, options, callbacks)
    show_findings(summary(found), folder / REPORT_NAME, _table(found))


def _family(text: str) -> tuple[str, tuple[str, ...]]:
    name, equals, sets = text.partition("=")
    members = tuple(one.strip() for one in sets.split(",") if one.strip())
    if not equals or not name.strip() or not members:
        raise ConfigError(f"--family {text!r}: write it as name=set,set")
    return name.strip(), members


def _table(found: Sources) -> Table:
    from rich.table import Table

    table = Table(title=f"{found.name}: ROC-AUC on each set ({found.split}); * not in the training")
    table.add_column("set")
    for family in found.families:
        table.add_column(f"without {family}", justify="right")
    for name in found.sets:
        cells = [found.cell(family, name) for family in found.families]
        if any(cell is not None and cell.roc_auc.value is not None for cell in cells):
            table.add_row(
                name,
                *(
                    "–"
                    if cell is None or cell.roc_auc.value is None
                    else f"{cell.roc_auc.value:.3f}{' *' if found.unseen(cell) else '  '}"
                    for cell in cells
                ),
            )
    return table
