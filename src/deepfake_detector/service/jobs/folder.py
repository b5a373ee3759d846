"""Where uploads lie: files that are called by the service's own ids, never by what somebody sent."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from deepfake_detector.core.errors import ConfigError

ORPHAN_AGE = 3600.0
"""Seconds after which a file that no analysis knows is left over from a crash, not about to be known."""


class Folder:
    """The uploads below the service's folder, readable by its own user only. Raises ConfigError if it cannot be."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._uploads = root / "uploads"
        try:
            self._uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
            root.chmod(0o700)
        except OSError as error:
            raise ConfigError(f"cannot use the folder {root}: {error.strerror or error}; give another one") from error

    def path(self, name: str) -> Path:
        """The file of an analysis."""
        if not (len(name) == 32 and all(mark in "0123456789abcdef" for mark in name)):
            raise ValueError("not an id of this service")
        return self._uploads / name

    def keep(self, name: str, source: BinaryIO) -> None:
        """Write the file of an analysis, whole or not at all."""
        target = self.path(name)
        part = target.with_suffix(".part")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                shutil.copyfileobj(source, file)
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def remove(self, name: str) -> None:
        """Delete the file of an analysis, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self.path(name).unlink()

    def names(self) -> Iterator[str]:
        """What lies there and is older than ``ORPHAN_AGE``; leftovers of writing are deleted on the way."""
        oldest = time.time() - ORPHAN_AGE
        for file in self._uploads.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if file.stat().st_mtime < oldest:
                    if file.suffix:
                        file.unlink()
                    else:
                        yield file.name
