"""The bytes of a video, wherever they are: read in pieces, so that a long file never lies in memory."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from deepfake_detector.core.errors import EmptyInputError, InputError, LimitExceededError, UnreadableInputError
from deepfake_detector.core.settings import VideoLimits

VideoSource = str | os.PathLike[str] | bytes
"""A path, or the bytes of a video file."""


def name_of(source: VideoSource) -> str:
    """What messages call a source. Raises InputError for an object that is none."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the input"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    raise InputError(f"got an object of type {type(source).__name__}; give the path or the bytes of a video")


@contextmanager
def bytes_of(source: VideoSource, limits: VideoLimits) -> Iterator[BinaryIO]:
    """A binary file to read from. Raises UnreadableInputError, EmptyInputError or LimitExceededError."""
    name = name_of(source)
    if isinstance(source, bytes | bytearray | memoryview):
        _check_size(len(source), name, limits)
        yield io.BytesIO(source)
        return
    with ExitStack() as stack:
        try:
            status = Path(source).stat()
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableInputError(f"{name} is not a regular file; give a video file")
            _check_size(status.st_size, name, limits)
            file = stack.enter_context(Path(source).open("rb"))
        except OSError as error:
            raise UnreadableInputError(f"cannot read {name}: {error.strerror or error}") from error
        except ValueError as error:  # a null byte in the path
            raise UnreadableInputError(f"cannot read {name!r}: {error}") from error
        yield file


def hash_of(file: BinaryIO) -> tuple[str, int]:
    """The SHA-256 of a file and the number of its bytes."""
    file.seek(0)
    digest, size = hashlib.sha256(), 0
    while block := file.read(1 << 20):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _check_size(size: int, name: str, limits: VideoLimits) -> None:
    if size == 0:
        raise EmptyInputError(f"{name} is empty (0 bytes); get the file again from where it came from")
    if size > limits.max_bytes:
        raise LimitExceededError(f"{name} has {size} bytes; the limit is {limits.max_bytes}: give a smaller file")
