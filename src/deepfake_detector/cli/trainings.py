"""What the commands that train share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from deepfake_detector.cli.console import show_note
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.train import showing_progress

Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: --set train.epochs=3.")
]


@contextmanager
def resumable_trainings() -> Iterator[list[Callback]]:
    """Yields callbacks that show the progress; says after Ctrl-C that nothing finished is lost."""
    try:
        with showing_progress() as callbacks:
            yield callbacks
    except KeyboardInterrupt:
        show_note("interrupted; the same command goes on")
        raise
