"""Light ways of saving a picture again. None makes it a fake, so what the score does under them says how firm it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import cv2
import numpy as np

from deepfake_detector.core.types import ImageArray

Reencode = Callable[[ImageArray], ImageArray]


def _saved(ending: str, option: int, quality: int) -> Reencode:
    def save(image: ImageArray) -> ImageArray:
        _, data = cv2.imencode(ending, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [option, quality])
        return np.asarray(cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), dtype=np.uint8)

    return save


def _shrunk(image: ImageArray) -> ImageArray:
    height, width = image.shape[:2]
    small = cv2.resize(image, (max(1, round(width * 0.75)), max(1, round(height * 0.75))), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


LIGHT: Mapping[str, Reencode] = MappingProxyType(
    {
        "JPEG quality 90": _saved(".jpg", cv2.IMWRITE_JPEG_QUALITY, 90),
        "JPEG quality 75": _saved(".jpg", cv2.IMWRITE_JPEG_QUALITY, 75),
        "WebP quality 80": _saved(".webp", cv2.IMWRITE_WEBP_QUALITY, 80),
        "three quarters of the size": _shrunk,
    }
)
"""Name → change of an RGB picture (h, w, 3), uint8; the size stays."""
