"""Errors of NumPy, OpenCV and ONNX Runtime that concern one input become errors of that input."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import cv2

from deepfake_detector.core.errors import InputError
from deepfake_detector.core.onnx import runtime_errors


@contextmanager
def errors_of(name: str, width: int, height: int) -> Iterator[None]:
    """What cannot be done with one picture or frame of this size stops no other input. Raises InputError."""
    concerning: tuple[type[Exception], ...] = (MemoryError, cv2.error, *runtime_errors())
    try:
        yield
    except concerning as error:
        raise InputError(
            f"{name} ({width} × {height} pixels) could not be searched for faces "
            f"({' '.join(str(error).split())[:200] or 'out of memory'}); make it smaller"
        ) from error
