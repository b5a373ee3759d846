"""What happens beside training: progress on the screen or in the log, and the CSV and TensorBoard files."""

# ruff: noqa: D102 - the methods are documented in Callback

from __future__ import annotations

import csv
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake_detector.training.checkpoint import Check, write_whole

if TYPE_CHECKING:
    import tensorflow as tf
    from rich.progress import Progress, TaskID

logger = logging.getLogger(__name__)


class Callback:
    """Is told what happens; every method does nothing until it is overridden."""

    def on_phase(self, phase: str, images: int, done: int) -> None:
        """A phase begins (or goes on, with ``done`` images behind it) that has ``images`` in all."""

    def on_batch(self, images: int, loss: float | None) -> None:
        """A batch of so many images is done; the loss is None where nothing is learnt."""

    def on_check(self, checks: Sequence[Check]) -> None:
        """A validation is done, the last of these; the state that goes with it is on disk."""

    def on_finish(self) -> None:
        """Everything is done, and the run folder is complete."""

    def on_end(self) -> None:
        """A part of the run ends, or is interrupted."""


class Callbacks(Callback):
    """Passes everything on to each of a list."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._all = tuple(callbacks)

    def on_phase(self, phase: str, images: int, done: int) -> None:
        for callback in self._all:
            callback.on_phase(phase, images, done)

    def on_batch(self, images: int, loss: float | None) -> None:
        for callback in self._all:
            callback.on_batch(images, loss)

    def on_check(self, checks: Sequence[Check]) -> None:
        for callback in self._all:
            callback.on_check(checks)

    def on_finish(self) -> None:
        for callback in self._all:
            callback.on_finish()

    def on_end(self) -> None:
        for callback in self._all:
            callback.on_end()


class CsvLog(Callback):
    """One line per validation; written anew each time, so that a resumed run leaves no double lines."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def on_check(self, checks: Sequence[Check]) -> None:
        write_whole(self._file, lambda path: write_checks(path, checks))


def write_checks(file: Path, checks: Sequence[Check]) -> None:
    """Write the table of validations; the columns are the fields of ``Check``."""
    with file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, [column.name for column in fields(Check)])
        table.writeheader()
        table.writerows(asdict(check) for check in checks)


class TensorBoardLog(Callback):
    """Loss and validation figures for TensorBoard, by the number of images seen in the phase."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: tf.summary.SummaryWriter | None = None
        self._phase = ""
        self._seen = 0

    def on_phase(self, phase: str, images: int, done: int) -> None:
        self._phase, self._seen = phase, done

    def on_batch(self, images: int, loss: float | None) -> None:
        self._seen += images

    def on_check(self, checks: Sequence[Check]) -> None:
        import tensorflow as tf

        if self._writer is None:
            self._writer = tf.summary.create_file_writer(str(self._folder))
        check = checks[-1]
        with self._writer.as_default(step=self._seen):
            for name in ("lr", "loss", "val_loss", "auc", "set_auc"):
                tf.summary.scalar(f"{self._phase}/{name}", getattr(check, name))
        self._writer.flush()

    def on_end(self) -> None:
        if self._writer is not None:
            self._writer.close()


class PlainProgress(Callback):
    """Lines in the log: one every ``every`` seconds, with images/s and the time left, and one per validation."""

    def __init__(self, every: float = 30.0) -> None:
        self._every = every
        self._rate = Rate("", 0, 0)
        self._said = time.monotonic()

    def on_phase(self, phase: str, images: int, done: int) -> None:
        self._rate, self._said = Rate(phase, images, done), time.monotonic()
        logger.info("%s: %d images%s", phase, images, f", {done} done" if done else "")

    def on_batch(self, images: int, loss: float | None) -> None:
        self._rate.add(images)
        if time.monotonic() - self._said >= self._every:
            self._said = time.monotonic()
            shown = "" if loss is None else f", loss {loss:.4f}"
            logger.info("%s%s", self._rate.said(), shown)

    def on_check(self, checks: Sequence[Check]) -> None:
        logger.info("%s", describe(checks[-1]))


class RichProgress(Callback):
    """A live bar on a terminal's standard error."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._rate = Rate("", 0, 0)

    def on_phase(self, phase: str, images: int, done: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._rate = Rate(phase, images, done)
        self.on_end()
        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"), TimeRemainingColumn())
        self._progress = Progress(TextColumn("{task.description}"), *columns, console=Console(stderr=True))
        self._task = self._progress.add_task(phase, total=images, completed=done, speed="")
        self._progress.start()

    def on_batch(self, images: int, loss: float | None) -> None:
        self._rate.add(images)
        if self._progress is not None and self._task is not None:
            shown = "" if loss is None else f" loss {loss:.4f}"
            self._progress.update(self._task, advance=images, speed=f"{self._rate.per_second:.1f} images/s{shown}")

    def on_check(self, checks: Sequence[Check]) -> None:
        if self._progress is not None:
            self._progress.console.print(describe(checks[-1]), highlight=False)

    def on_end(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


class Rate:
    """How fast a phase goes since it began or went on, and what is left of it."""

    def __init__(self, phase: str, total: int, done: int) -> None:
        self._phase, self._total, self._done = phase, total, done
        self._added = 0
        self._start = time.monotonic()

    def add(self, images: int) -> None:
        """So many more are done."""
        self._added += images

    @property
    def per_second(self) -> float:
        """Images per second."""
        return self._added / max(time.monotonic() - self._start, 1e-9)

    def said(self) -> str:
        """For example "fine-tuning: 640 of 8000 images, 6.4 images/s, 0:19:10 left"."""
        done = self._done + self._added
        left = int((self._total - done) / max(self.per_second, 1e-9))
        clock = f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        return f"{self._phase}: {done} of {self._total} images, {self.per_second:.1f} images/s, {clock} left"


def describe(check: Check) -> str:
    """One line about a validation."""
    star = " (best)" if check.best else ""
    return (
        f"{check.phase}, epoch {check.epoch}, step {check.step}: loss {check.loss:.4f}, validation loss "
        f"{check.val_loss:.4f}, AUC {check.auc:.4f}, mean AUC over sets {check.set_auc:.4f}{star}"
    )
