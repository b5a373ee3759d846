"""The folder of one run: where everything is, and the record of how it was made."""

from __future__ import annotations

import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import pydantic
from pydantic import BaseModel, ConfigDict

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.checkpoint import write_whole
from deepfake_detector.training.config import Experiment, TrainConfig, dump_config, load_config

PACKAGES = ("deepfake-detector", "tensorflow", "keras", "numpy", "opencv-python-headless", "onnxruntime", "tf2onnx")
GIT_SECONDS = 10


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Count(_Strict):
    """How many pictures of a set were used in a part: "train", "validation" or "foreign validation"."""

    set: str
    part: str
    real: int
    fake: int


class RunRecord(_Strict):
    """How a run was made; ``seconds`` are of this run's stages, without those before an interruption."""

    name: str
    created: str
    seed: int
    python: str
    packages: dict[str, str]
    git_commit: str | None
    data_fingerprint: str
    counts: tuple[Count, ...]
    skipped: dict[str, int]
    seconds: dict[str, float] = {}
    finished: bool = False


class RunFolder:
    """``outputs/<run>``: ``checkpoints``, ``logs``, ``plots``, ``bundle``, ``config.yaml`` and ``run.json``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.logs = path / "logs"
        self.plots = path / "plots"
        self.bundle = path / "bundle"
        self.config_file = path / "config.yaml"
        self.record_file = path / "run.json"
        self.predictions_file = path / "logs" / "validation.csv"
        self.checks_file = path / "logs" / "training.csv"
        self.sample_file = path / "checkpoints" / "sample_crops.npy"

    def config(self) -> TrainConfig:
        """The resolved config of the run. Raises ConfigError if the folder is no run."""
        if not self.config_file.is_file():
            raise ConfigError(f"{self.path} is no run folder: there is no config.yaml; give one below outputs/")
        return load_config(self.config_file)

    def record(self) -> RunRecord:
        """The record of the run. Raises ConfigError if it is missing or broken."""
        try:
            return RunRecord.model_validate_json(self.record_file.read_bytes())
        except (OSError, pydantic.ValidationError) as error:
            raise ConfigError(f"cannot read {self.record_file}: {error}") from error

    def discard_unless_begun(self) -> None:
        """Remove a folder that holds no more than what ``create_run`` and the log put there."""
        if self.record_file.exists():
            return
        for file in (self.config_file, self.logs / "train.log"):
            file.unlink(missing_ok=True)
        for folder in (self.checkpoints, self.logs, self.plots, self.path):
            with suppress(OSError):  # there is something else in it, or it is gone
                folder.rmdir()

    def write_record(self, record: RunRecord) -> None:
        """Write ``run.json``."""
        text = record.model_dump_json(indent=2) + "\n"
        write_whole(self.record_file, lambda path: path.write_text(text, encoding="utf-8"))


def create_run(config: Experiment) -> RunFolder:
    """A new folder ``outputs/<name>``, or ``<name>-2``, ``<name>-3`` … where that exists, with the resolved config."""
    number = 1
    while True:
        name = config.name if number == 1 else f"{config.name}-{number}"
        folder = RunFolder(config.outputs / name)
        try:
            folder.path.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
    for inner in (folder.checkpoints, folder.logs, folder.plots):
        inner.mkdir()
    write_whole(folder.config_file, lambda path: path.write_text(dump_config(config), encoding="utf-8"))
    return folder


def new_record(
    folder: RunFolder, seed: int, fingerprint: str, counts: Sequence[Count], skipped: dict[str, int]
) -> RunRecord:
    """What is known of a run when its data has been read."""
    return RunRecord(
        name=folder.path.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        python=platform.python_version(),
        packages={name: version for name in PACKAGES if (version := package_version(name))},
        git_commit=git_commit(),
        data_fingerprint=fingerprint,
        counts=tuple(counts),
        skipped=skipped,
    )


def flat_settings(content: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested settings as one level: ``{"train": {"lr": 1}}`` becomes ``{"train.lr": 1}``; lists stay."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= flat_settings(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return flat


def package_version(name: str) -> str | None:
    """The installed version; TensorFlow's may be that of its CPU edition."""
    for candidate in (name, f"{name}-cpu", f"{name}_cpu"):
        try:
            return metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
    return None


def git_commit() -> str | None:
    """The commit of the checkout that this package runs from, or None for an installed copy."""
    git, here = shutil.which("git"), Path(__file__)
    if git is None:
        return None

    def ask(*words: str) -> str | None:
        command = [git, "-C", str(here.parent), *words]
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)  # noqa: S603
        except (OSError, subprocess.TimeoutExpired):
            return None
        return found.stdout.strip() if found.returncode == 0 else None

    return ask("rev-parse", "HEAD") if ask("ls-files", "--error-unmatch", here.name) else None
