"""Reads run folders side by side: what was set, what came out, and where the settings differ."""

from __future__ import annotations

import csv
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.checkpoint import Check
from deepfake_detector.training.run import RunFolder, RunRecord, flat_settings

logger = logging.getLogger(__name__)

_MISSING = "–"
_NAMES = ("name", "outputs")
"""Settings that differ between any two runs and say nothing."""


class Figure(StrEnum):
    """What runs are sorted by, and what is plotted of them: columns of ``training.csv``."""

    SET_AUC = "set_auc"
    AUC = "auc"
    VAL_LOSS = "val_loss"
    LOSS = "loss"
    LR = "lr"

    @property
    def lower_is_better(self) -> bool:
        """Whether it is a loss."""
        return self in (Figure.VAL_LOSS, Figure.LOSS)


_TITLES = {
    Figure.SET_AUC: "mean AUC over sets",
    Figure.AUC: "AUC",
    Figure.VAL_LOSS: "validation loss",
    Figure.LOSS: "training loss",
    Figure.LR: "learning rate",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: its folder, record, settings by their full name (``train.lr``) and checks."""

    folder: Path
    record: RunRecord
    settings: dict[str, Any]
    checks: tuple[Check, ...]

    @property
    def best(self) -> Check | None:
        """The check whose weights were kept; None where nothing was trained (networks were joined)."""
        return next((check for check in reversed(self.checks) if check.best), None)

    def figure(self, figure: Figure) -> float:
        """A figure of the best check; NaN without one."""
        return float(getattr(self.best, figure)) if self.best else math.nan


def find_runs(outputs: Path) -> tuple[Run, ...]:
    """All runs directly below a folder, the oldest first; what is no run, or cannot be read, is left out and logged.

    Raises ConfigError if there is no such folder.
    """
    if not outputs.is_dir():
        raise ConfigError(f"there is no folder {outputs}; give the one that the run folders are in")
    runs = []
    for record in outputs.glob("*/run.json"):
        try:
            runs.append(read_run(record.parent))
        except ConfigError as error:
            logger.warning("left out: %s", error)
    return tuple(sorted(runs, key=lambda run: (run.record.created, run.folder.name)))


def read_run(folder: Path) -> Run:
    """One run. Raises ConfigError if the folder is none, or is damaged."""
    import yaml

    run = RunFolder(folder)
    record = run.record()
    try:
        # Not as a TrainConfig: a run of an older version may have settings that are gone.
        content = yaml.safe_load(run.config_file.read_text(encoding="utf-8"))
        return Run(folder, record, flat_settings(content), read_checks(run.checks_file))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise ConfigError(f"{folder} is a damaged run folder: {error}") from error


def read_checks(file: Path) -> tuple[Check, ...]:
    """What ``callbacks.write_checks`` wrote; empty if there is no such file."""
    if not file.is_file():
        return ()
    with file.open(newline="", encoding="utf-8") as stream:
        return tuple(_check(row) for row in csv.DictReader(stream))


def _check(row: dict[str, str]) -> Check:
    words = {name: row.pop(name) for name in ("phase", "epoch", "step", "best")}
    numbers = {name: float(value) for name, value in row.items()}
    return Check(words["phase"], int(words["epoch"]), int(words["step"]), best=words["best"] == "True", **numbers)


def sorted_runs(runs: Sequence[Run], figure: Figure) -> list[Run]:
    """The best first; those without the figure last."""
    sign = 1.0 if figure.lower_is_better else -1.0
    values = {id(run): run.figure(figure) for run in runs}
    return sorted(runs, key=lambda run: (math.isnan(values[id(run)]), sign * values[id(run)]))


def differences(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """The settings, the data and the code that are not the same in all runs: name → what each has."""
    facts = [
        {
            **{name: _said(value) for name, value in run.settings.items() if name not in _NAMES},
            "(data)": run.record.data_fingerprint[:12],
            "(commit)": (run.record.git_commit or _MISSING)[:12],
            **{f"({name})": version for name, version in run.record.packages.items()},
        }
        for run in runs
    ]
    names = dict.fromkeys(name for known in facts for name in known)
    table = {name: tuple(known.get(name, _MISSING) for known in facts) for name in names}
    return {name: values for name, values in table.items() if len(set(values)) > 1}


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def plot_runs(runs: Sequence[Run], figure: Figure, file: Path) -> tuple[Path, Path]:
    """Draw one figure of several runs over their validations, a star at each best check; PNG and SVG.

    Raises ConfigError if no run has a check.
    """
    from matplotlib.ticker import MaxNLocator

    from deepfake_detector.training.plot_style import MARKERS, SERIES, look, new_figure, save

    drawn = [run for run in runs if run.checks]
    if not drawn:
        raise ConfigError("none of these runs has a validation to draw")
    with look():
        page, axes = new_figure(8.0, 5.0)
        for number, run in enumerate(drawn):
            values = [getattr(check, figure) for check in run.checks]
            colour, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
            axes.plot(
                range(1, len(values) + 1), values, color=colour, marker=marker, markersize=4, label=run.folder.name
            )
            if run.best is not None:
                place = run.checks.index(run.best)
                axes.plot([place + 1], [values[place]], "*", color=colour, markersize=15, markeredgecolor="white")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        name = (
            figure.value.replace("val_", "validation ").replace("set_auc", "mean AUC over sets").replace("auc", "AUC")
        )
        axes.set(xlabel="validation (star: the one that was kept)", title=name.replace("_", " "))
        if figure is Figure.LR and any(check.lr > 0.0 for run in runs for check in run.checks):
            axes.set_yscale("log")
        axes.legend()
        return save(page, file.parent, file.stem)
