"""Benches that train: a finished run is kept, an interrupted one goes on, and so does the table of them all."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from deepfake_detector.core.errors import ConfigError, ExportError
from deepfake_detector.scoring.bundle import CARD_FILE
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.run import RunFolder, create_run

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One row for each network or recipe, with what is needed to repeat it.

    ``epochs`` are of the head and of fine-tuning; ``waiting`` are the rows that are still to be trained.
    """

    name: str
    data: str
    fingerprint: str
    command: str
    settings: Settings
    epochs: tuple[int, int]
    machine: str
    rows: tuple[Any, ...] = ()
    waiting: tuple[str, ...]

    @property
    def unfinished(self) -> list[str]:
        """A sentence on what is not in the table; none if all is."""
        return [f"Not trained yet: {', '.join(self.waiting)}."] if self.waiting else []


AnyTable = TypeVar("AnyTable", bound=Table)


def fill(
    table: AnyTable, row_of: Callable[[str], Any], save: Callable[[AnyTable], None], *, needed: str | None = None
) -> AnyTable:
    """Make one waiting row after the other, and save the table each time, so that an interruption leaves one.

    What cannot be exported is left out. Raises ExportError if nothing else remains, or if it is the ``needed`` one, and
    what ``row_of`` and ``save`` raise.
    """
    failure: ExportError | None = None
    for name in table.waiting:
        try:
            row = row_of(name)
        except ExportError as error:  # the others are compared all the same
            if name == needed:
                raise
            logger.warning("%s is left out: %s", name, error)
            failure = error
            continue
        waiting = tuple(other for other in table.waiting if other != name)
        table = replace(table, rows=(*table.rows, row), waiting=waiting)
        save(table)
    if failure and not table.rows:
        raise failure
    return table


def machine() -> str:
    """What this machine is, for a table."""
    return f"{platform.machine()}, {os.cpu_count()} cores"


def trained_run(config: TrainConfig, callbacks: Sequence[Callback] = ()) -> RunFolder:
    """The finished run of a config, in the folder of its name; trained unless it is there.

    Raises ConfigError if the folder is that of another experiment, and what ``train`` raises.
    """
    run = RunFolder(config.outputs / config.name)
    if run.config_file.is_file():
        if run.config() != config:
            raise ConfigError(f"{run.path} is a run of another config; remove it, or give this one another name")
        if run.record_file.is_file() and run.record().finished and (run.bundle / CARD_FILE).is_file():
            logger.info("%s is trained already", run.path)
            return run
    else:
        run = create_run(config)
    import keras

    from deepfake_detector.training.train import train

    keras.backend.clear_session()
    return train(run, callbacks).run
