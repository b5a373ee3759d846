"""``deepfake train``: from a config to a model, with progress, and on after an interruption."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli.console import show_note
from deepfake_detector.cli.trainings import Overrides
from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.config import load_config
from deepfake_detector.training.run import RunFolder, create_run
from deepfake_detector.training.train import DEFAULT_CONFIG, showing_progress, summary
from deepfake_detector.training.train import train as run_training


def train(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file that describes the experiment.", show_default=str(DEFAULT_CONFIG))
    ] = None,
    overrides: Overrides = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with an interrupted run folder, to the same result.")
    ] = None,
) -> None:
    """Train a model in two phases, calibrate it, and export it into the run folder outputs/<name>.

    May be interrupted at any time (Ctrl-C, kill); --resume goes on from the last checkpoint.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if resume is not None and (config is not None or overrides):
        raise ConfigError("--resume takes the config of the run; leave the config and --set out")
    run = (
        RunFolder(resume) if resume is not None else create_run(load_config(config or DEFAULT_CONFIG, overrides or []))
    )
    try:
        with showing_progress() as callbacks:
            trained = run_training(run, callbacks)
    except KeyboardInterrupt:
        show_note(f"interrupted; go on with: deepfake train --resume {run.path}")
        raise
    print(summary(trained))
