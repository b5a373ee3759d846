"""Pillow's global switches while it decodes for us: warnings go to the report, truncated files stay refused."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TextIO

from PIL import Image, ImageFile

_lock = threading.Lock()
_of_thread = threading.local()
_switched = ExitStack()
_inside = 0


@contextmanager
def guarded() -> Iterator[list[str]]:
    """Within this block, warnings of Pillow and pillow-heif land in the list; those of other code pass by.

    The filters and ``ImageFile.LOAD_TRUNCATED_IMAGES`` are global, so that restoring them at the end of each block
    would pull them from under another thread's feet: the first thread to enter sets them, the last one to leave
    restores them. Pillow's warning of large pictures is dropped, because our own limits decide.
    """
    notes: list[str] = []
    _enter()
    outer = getattr(_of_thread, "notes", None)
    _of_thread.notes = notes
    try:
        yield notes
    finally:
        _of_thread.notes = outer
        _leave()


def _enter() -> None:
    global _inside  # noqa: PLW0603 - it counts the users of switches that are global, too
    with _lock:
        if _inside == 0:
            _switched.enter_context(_switches())
        _inside += 1


def _leave() -> None:
    global _inside  # noqa: PLW0603
    with _lock:
        _inside -= 1
        if _inside == 0:
            _switched.close()


@contextmanager
def _switches() -> Iterator[None]:
    truncated_before = ImageFile.LOAD_TRUNCATED_IMAGES
    pillow_log, silence = logging.getLogger("PIL"), logging.NullHandler()
    with warnings.catch_warnings():
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
            if not _note(message, category):
                shown_before(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        # Where the program has set up no logging, Python would print Pillow's log lines to the terminal.
        pillow_log.addHandler(silence)
        try:
            yield
        finally:
            pillow_log.removeHandler(silence)
            ImageFile.LOAD_TRUNCATED_IMAGES = truncated_before


def _note(message: Warning | str, category: type[Warning]) -> bool:
    """Keep a warning for the thread that caused it; False if that thread is not within ``guarded``."""
    notes = getattr(_of_thread, "notes", None)
    if notes is None:
        return False
    if not issubclass(category, Image.DecompressionBombWarning) and str(message) not in notes:
        notes.append(str(message))
    return True
