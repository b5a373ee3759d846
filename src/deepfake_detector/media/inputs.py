"""What was typed on the command line (files, folders, patterns, ``-``) to a stream of single pictures and videos."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deepfake_detector.core.errors import InputError, NoPicturesError, UnreadableInputError
from deepfake_detector.core.settings import Limits
from deepfake_detector.media.formats import (
    FORMAT_OF_EXTENSION,
    FORMATS_IN_WORDS,
    VIDEO_OF_EXTENSION,
    VIDEOS_IN_WORDS,
    is_video,
)

STDIN = "-"
_ENOUGH = 512
"""First bytes of a file that tell a video from a picture."""

Endings = AbstractSet[str]
PICTURES: Endings = FORMAT_OF_EXTENSION.keys()
_BOTH_IN_WORDS = f"{FORMATS_IN_WORDS}; {VIDEOS_IN_WORDS}"


@dataclass(frozen=True, slots=True)
class InputItem:
    """One picture or video to load, or one argument that leads to none.

    ``path`` is as given, or as found below a folder or by a pattern; ``data`` holds the bytes where there is no file
    (standard input); ``error`` says why there is nothing to load.
    """

    path: str
    data: bytes | None = None
    error: InputError | None = None

    @property
    def source(self) -> str | bytes:
        """What ``load_image`` takes. Raises ``error`` if there is one."""
        if self.error is not None:
            raise self.error
        return self.path if self.data is None else self.data

    @property
    def is_video(self) -> bool:
        """True if the first bytes are those of a video; False for pictures (a GIF is one) and what cannot be read."""
        if self.error is not None:
            return False
        if self.data is not None:
            return is_video(self.data[:_ENOUGH])
        try:
            if not Path(self.path).is_file():  # a pipe would wait for its writer
                return False
            with Path(self.path).open("rb") as file:
                return is_video(file.read(_ENOUGH))
        except (OSError, ValueError):  # load_image says what is wrong
            return False


def expand(
    arguments: Sequence[str], stdin: BinaryIO | None = None, limits: Limits | None = None, *, videos: bool = False
) -> Iterator[InputItem]:
    """The pictures that each argument leads to, in the order of the arguments, found while earlier ones are worked on.

    A file is taken whatever it is called. A folder is searched with all its subfolders in the order of names, for
    files with the ending of a known format, of pictures and (with ``videos``) of videos; hidden files and folders are
    skipped, linked folders entered once. A pattern (``*``, ``?``, ``[…]``, ``**``) is expanded as a shell does; what
    exists under its exact name is no pattern. ``-`` reads one picture or video from standard input. What leads to
    nothing gives an item with an error.
    An argument is answered even if another one led to the same picture, so that no path that was given is missing.
    """
    stdin_was_read = False
    for argument in arguments:
        if argument == STDIN and stdin_was_read:
            yield _failed(STDIN, UnreadableInputError("standard input can be read once only; give - once"))
        elif argument == STDIN:
            yield _from_stdin(stdin, limits or Limits())
            stdin_was_read = True
        else:
            yield from _expand_path(argument, PICTURES | VIDEO_OF_EXTENSION.keys() if videos else PICTURES)


def _from_stdin(given: BinaryIO | None, limits: Limits) -> InputItem:
    stream = given or getattr(sys.stdin, "buffer", None)
    if stream is None:
        return _failed(STDIN, UnreadableInputError("standard input is closed; send a picture to it, or give a file"))
    try:
        # One byte more than allowed is enough for load_image to say that it is too large.
        return InputItem(STDIN, data=stream.read(limits.max_bytes + 1))
    except OSError as error:
        return _failed(STDIN, UnreadableInputError(f"cannot read standard input: {error.strerror or error}"))


def _expand_path(argument: str, endings: Endings) -> Iterator[InputItem]:
    if not argument or "\0" in argument:
        yield _failed(argument, UnreadableInputError(f"{argument!r} is no path; give a file, a folder or a pattern"))
    elif os.path.isdir(argument):  # noqa: PTH112 - plain strings keep the path as it was given
        sought = f"picture ({FORMATS_IN_WORDS}" if endings == PICTURES else f"picture or video ({_BOTH_IN_WORDS}"
        nothing = f"the folder {argument} holds no {sought}, by their file endings)"
        yield from _items_or_error(argument, nothing, _walk(argument, endings))
    elif not os.path.lexists(argument) and glob.has_magic(argument):
        nothing = f"nothing matches the pattern {argument}, or only folders without a picture; check it"
        yield from _items_or_error(argument, nothing, _match(argument, endings))
    elif not os.path.lexists(argument):
        yield _failed(argument, UnreadableInputError(f"{argument} does not exist; check the path"))
    else:
        yield InputItem(argument)


def _failed(path: str, error: InputError) -> InputItem:
    return InputItem(path, error=error)


def _items_or_error(argument: str, nothing: str, found: Iterable[InputItem]) -> Iterator[InputItem]:
    empty = True
    for item in found:
        empty = False
        yield item
    if empty:
        yield _failed(argument, NoPicturesError(nothing))


def _walk(top: str, endings: Endings) -> Iterator[InputItem]:
    """Pictures below a folder, in the order of names; a folder that links lead back to is entered once."""
    entered: set[str] = set()
    waiting = [(top, True)]
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            yield InputItem(path)
            continue
        place = os.path.realpath(path)
        if place in entered:
            continue
        entered.add(place)
        try:
            waiting += reversed(_listed(path, endings))
        except OSError as error:
            yield _failed(path, UnreadableInputError(f"cannot look into the folder {path}: {error.strerror or error}"))


def _listed(folder: str, endings: Endings) -> list[tuple[str, bool]]:
    """The subfolders and pictures in a folder, as (path, is it a folder), in the order of names."""
    with os.scandir(folder) as entries:
        # Not entry.is_dir(), which raises for a link to itself.
        visible = [(entry.path, os.path.isdir(entry.path)) for entry in entries if not entry.name.startswith(".")]  # noqa: PTH112
    return sorted(entry for entry in visible if entry[1] or _ending(entry[0]) in endings)


def _ending(path: str) -> str:
    return Path(path).suffix.lower()


def _match(pattern: str, endings: Endings) -> Iterator[InputItem]:
    """What a pattern matches, in the order of names; matched folders are searched like given ones.

    ``pathlib`` expands it, whose ``**`` does not follow links, so that linked loops end.
    """
    parts = Path(pattern).parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    base, rest = Path(*parts[:first]), str(Path(*parts[first:]))
    try:
        matches = sorted(path for path in base.glob(rest) if not _hidden(path, base, rest))
    except (OSError, ValueError) as error:
        yield _failed(pattern, UnreadableInputError(f"cannot expand the pattern {pattern}: {error}"))
        return
    seen: set[str] = set()  # "**" matches a folder and the folders inside
    for path in matches:
        for item in _walk(str(path), endings) if path.is_dir() else (InputItem(str(path)),):
            if item.path not in seen:
                seen.add(item.path)
                yield item


def _hidden(path: Path, base: Path, rest: str) -> bool:
    """As in a shell, a wildcard finds hidden names only where the pattern itself says a leading dot."""
    asked = any(part.startswith(".") for part in Path(rest).parts)
    return not asked and any(part.startswith(".") for part in path.relative_to(base).parts)
