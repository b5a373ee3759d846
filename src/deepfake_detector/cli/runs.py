"""``deepfake runs list``, ``compare`` and ``plot``: trainings side by side."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import console, print_table
from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.runs import Figure, Run, differences, find_runs, plot_runs, read_run, sorted_runs

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = (Figure.SET_AUC, Figure.AUC, Figure.VAL_LOSS)
Folders = Annotated[list[Path], typer.Argument(help="Run folders, such as outputs/first.")]


def list_runs(
    outputs: Annotated[Path, typer.Argument(help="The folder that the run folders are in.")] = Path("outputs"),
    sort: Annotated[Figure | None, typer.Option(help="The best by this figure first; without it the oldest.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the runs below a folder, each with the figures of the check whose weights it kept."""
    found = find_runs(outputs)
    runs = sorted_runs(found, sort) if sort else list(found)
    if as_json:
        print(json.dumps([_facts(run) for run in runs], indent=2))
    elif not runs:
        raise ConfigError(f"there is no run below {outputs}; deepfake train makes one")
    else:
        print_table(sys.stdout, _table(runs))


def compare(runs: Folders) -> None:
    """Show the figures of runs, and every setting, data set, commit and package version in which they differ."""
    found = _several(runs)
    print_table(sys.stdout, _table(found))
    from rich.table import Table

    table = Table("what differs", *(run.folder.name for run in found))
    rows = differences(found)
    for name, values in rows.items():
        table.add_row(name, *values)
    if rows:
        print_table(sys.stdout, table)
    else:
        console(sys.stdout).print("nothing differs in settings, data, code and packages")


def plot(
    runs: Folders,
    figure: Annotated[Figure, typer.Option(help="What is drawn over the validations.")] = Figure.SET_AUC,
    output: Annotated[Path, typer.Option(help="The PNG; an SVG is written beside it.")] = Path("outputs/runs.png"),
) -> None:
    """Draw one figure of several runs over their validations."""
    png, svg = plot_runs([read_run(run) for run in runs], figure, output)
    console(sys.stdout).print(f"written: {png} and {svg}", soft_wrap=True)


def _several(folders: Sequence[Path]) -> list[Run]:
    if len(folders) < 2:
        raise ConfigError("give two run folders or more; deepfake runs list shows what there is")
    return [read_run(folder) for folder in folders]


def _table(runs: Sequence[Run]) -> Table:
    from rich.table import Table

    table = Table("run", "begun", "finished", "backbone", "best at")
    for figure in _SHOWN:
        table.add_column(figure.value.replace("_", " "), justify="right")
    table.add_column("minutes", justify="right")
    for run in runs:
        best = run.best
        place = f"{best.phase} {best.epoch}" if best else "–"
        values = [f"{run.figure(figure):.4f}" if best else "–" for figure in _SHOWN]
        backbone = "joined" if run.settings.get("join.branches") else str(run.settings.get("model.backbone", "–"))
        begun = run.record.created[:16].replace("T", " ")
        minutes = f"{_seconds(run) / 60:.1f}"
        finished = "yes" if run.record.finished else "no"
        table.add_row(run.folder.name, begun, finished, backbone, place, *values, minutes)
    return table


def _seconds(run: Run) -> float:
    return sum(run.record.seconds.values()) or sum(check.seconds for check in run.checks)


def _facts(run: Run) -> dict[str, object]:
    figures = {figure.value: run.figure(figure) for figure in _SHOWN}
    return {
        "run": str(run.folder),
        **run.record.model_dump(mode="json"),
        "checks": len(run.checks),
        "best": {name: None if math.isnan(value) else value for name, value in figures.items()},
        "settings": run.settings,
    }
