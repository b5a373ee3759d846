"""Collects what Pillow warns of, per thread, so that it reaches the report and not the terminal."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from PIL import Image

_lock = threading.Lock()
_mine = threading.local()
_open_catchers: list[warnings.catch_warnings[None]] = []
_depth = 0


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Within this block, warnings of Pillow and pillow-heif land in the list; those of other code pass by.

    ``warnings.catch_warnings`` alone is not safe with threads: the last one to leave would restore another
    thread's filters. So the first thread to enter sets the filter, and the last one to leave takes it away.
    Pillow's own warning of large pictures is dropped: our limits have been checked by then.
    """
    notes: list[str] = []
    _enter()
    before = getattr(_mine, "notes", None)
    _mine.notes = notes
    try:
        yield notes
    finally:
        _mine.notes = before
        _leave()


def _enter() -> None:
    global _depth  # noqa: PLW0603 - the warning filters that this counts the users of are global, too
    with _lock:
        if _depth == 0:
            catcher = warnings.catch_warnings()
            catcher.__enter__()
            _open_catchers.append(catcher)
            warnings.filterwarnings("always", module=r"PIL\.|pillow_heif")
            shown_before = warnings.showwarning

            def show(
                message: Warning | str,
                category: type[Warning],
                filename: str,
                lineno: int,
                file: TextIO | None = None,
                line: str | None = None,
            ) -> None:
                notes = getattr(_mine, "notes", None)
                if notes is None:
                    shown_before(message, category, filename, lineno, file, line)
                elif not issubclass(category, Image.DecompressionBombWarning) and str(message) not in notes:
                    notes.append(str(message))

            warnings.showwarning = show
        _depth += 1


def _leave() -> None:
    global _depth  # noqa: PLW0603
    with _lock:
        _depth -= 1
        if _depth == 0:
            _open_catchers.pop().__exit__(None, None, None)
