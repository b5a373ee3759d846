"""What the commands that train several networks share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from deepfake_detector.cli.console import show_note
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.train import showing_progress


@contextmanager
def resumable_trainings() -> Iterator[list[Callback]]:
    """Yields callbacks that show the progress; says after Ctrl-C that nothing finished is lost."""
    try:
        with showing_progress() as callbacks:
            yield callbacks
    except KeyboardInterrupt:
        show_note("interrupted; the same command goes on")
        raise
