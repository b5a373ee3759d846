"""``deepfake search``: better settings for a training, by trying."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli.console import console
from deepfake_detector.cli.trainings import resumable_trainings
from deepfake_detector.training.search import BEST_FILE, TRIALS_FILE, load_space
from deepfake_detector.training.search import search as run_search


def search(
    config: Annotated[Path, typer.Argument(help="A YAML file that describes the experiment.")],
    space: Annotated[Path, typer.Argument(help="A YAML file that says which settings are tried.")],
    trials: Annotated[int, typer.Option(min=1, help="How many trainings there shall be, those before included.")] = 20,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of all trials.")
    ] = None,
) -> None:
    """Train with settings that Optuna proposes, give up early on what looks bad, and write the best config.

    All is in outputs/<name>-search: a run folder for each trial, study.db, trials.csv, best.yaml. May be interrupted;
    the same command goes on. Needs the extra [search].
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with resumable_trainings() as callbacks:
        found = run_search(config, load_space(space), trials, overrides or (), callbacks)
    out = console(sys.stdout)
    out.print(f"trials: {found.finished} finished, {found.given_up} given up early; all: {found.folder / TRIALS_FILE}")
    out.print(f"best:   {found.value:.4f} by {found.run}", soft_wrap=True)
    for name, value in found.settings.items():
        out.print(f"        {name}: {value}", soft_wrap=True)
    out.print(f"next:   deepfake train {found.folder / BEST_FILE}", soft_wrap=True)
