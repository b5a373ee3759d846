"""The index of the crop cache: a log in JSON lines that an interruption cannot harm."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_FORMAT = 1
INDEX_NAME = "index.jsonl"


@dataclass(frozen=True, slots=True)
class Key:
    """What a cached crop hangs on besides the picture: the mode, the finder's version, the margin."""

    mode: str
    finder: str
    margin: float

    @property
    def folder(self) -> str:
        """The name of the folder inside the cache; another key has another one."""
        text = f"{_FORMAT}|{self.mode}|{self.finder}|{self.margin!r}"
        return f"{self.mode}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one picture: ``reason`` says why it is not used, or is empty.

    ``bytes`` and ``mtime_ns`` tell whether the file is still the same; ``file`` is the PNG, relative to the cache;
    ``box`` (x, y, w, h) and ``landmarks`` (five times x, y) are in pixels of the upright picture.
    """

    path: str
    bytes: int
    mtime_ns: int
    sha256: str
    file: str = ""
    width: int = 0
    height: int = 0
    left: int = 0
    top: int = 0
    box: tuple[float, ...] = ()
    landmarks: tuple[float, ...] = ()
    reason: str = ""

    def moved(self, path: str, size: int, mtime_ns: int) -> Entry:
        """The same content in a file at another place or of another time."""
        return replace(self, path=path, bytes=size, mtime_ns=mtime_ns)


class EntryLog:
    """Reads the index of one cache folder and appends to it; the last line about a file counts."""

    def __init__(self, folder: Path, key: Key) -> None:
        self._folder = folder
        self._file = folder / INDEX_NAME
        self._key = key
        self._by_path: dict[str, Entry] = {}
        self._by_content: dict[str, Entry] = {}
        text = self._file.read_text(encoding="utf-8") if self._file.is_file() else ""
        # An interruption may have left the last line half written; the next one must not be glued to it.
        self._torn = bool(text) and not text.endswith("\n")
        lines = text.splitlines()
        for line in lines:
            entry = _parsed(line)
            if entry is not None:
                self._by_path[entry.path] = entry
                if entry.sha256:
                    self._by_content[entry.sha256] = entry
        if len(lines) > 2 * len(self._by_path) + 2:
            self._compact()

    def current(self, paths: Sequence[Path]) -> tuple[dict[Path, Entry], list[Path]]:
        """The entries that still hold, and the pictures that must be looked at (again)."""
        entries: dict[Path, Entry] = {}
        fresh: dict[Path, None] = {}
        for path in paths:
            entry = self._by_path.get(str(path))
            if entry is not None and self._holds(entry, path):
                entries[path] = entry
            else:
                fresh[path] = None
        return entries, list(fresh)

    def same_content(self, sha256: str) -> Entry | None:
        """What was found in a file with the same bytes, if its crop is still there."""
        entry = self._by_content.get(sha256)
        return entry if entry is not None and self._has_crop(entry) else None

    def append(self, entry: Entry) -> None:
        """Remember an entry, on disk at once."""
        new = not self._file.is_file()
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._file.open("a", encoding="utf-8") as stream:
            if new:
                stream.write(json.dumps({"format": _FORMAT, **asdict(self._key)}) + "\n")
            stream.write("\n" * self._torn + _line(entry))
        self._torn = False
        self._by_path[entry.path] = entry
        if entry.sha256:
            self._by_content[entry.sha256] = entry

    def _holds(self, entry: Entry, path: Path) -> bool:
        try:
            status = path.stat()
        except OSError:
            return False
        same = (status.st_size, status.st_mtime_ns) == (entry.bytes, entry.mtime_ns)
        return same and self._has_crop(entry)

    def _has_crop(self, entry: Entry) -> bool:
        return not entry.file or (self._folder / entry.file).is_file()

    def _compact(self) -> None:
        part = self._file.with_suffix(".part")
        header = json.dumps({"format": _FORMAT, **asdict(self._key)}) + "\n"
        part.write_text(header + "".join(_line(entry) for entry in self._by_path.values()), encoding="utf-8")
        part.replace(self._file)


def _line(entry: Entry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False) + "\n"


def _parsed(line: str) -> Entry | None:
    """The entry of a line; None for the header, blank lines, and one that was cut off."""
    try:
        fields = json.loads(line)
        entry = Entry(**fields)
    except (ValueError, TypeError):
        return None
    return replace(entry, box=tuple(entry.box), landmarks=tuple(entry.landmarks))
