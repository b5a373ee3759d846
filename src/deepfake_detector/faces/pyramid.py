"""A picture at many sizes, each made when it is first asked for, so that nothing is shrunk by aliasing."""

from __future__ import annotations

import math

import cv2
import numpy as np

from deepfake_detector.core.types import FloatArray, ImageArray

FACTOR = 0.709
"""From one level to the next: half the area."""


class Pyramid:
    """One RGB picture (height, width, 3), uint8, and its halves; not for several threads."""

    def __init__(self, image: ImageArray) -> None:
        self.height, self.width = image.shape[:2]
        self._halves = [np.ascontiguousarray(image)]

    def _at_least(self, scale: float) -> ImageArray:
        """The smallest half that still has ``scale`` times the picture's size."""
        index = max(0, math.floor(-math.log2(scale))) if scale < 1.0 else 0
        while len(self._halves) <= index:
            last = self._halves[-1]
            size = (max(1, last.shape[1] // 2), max(1, last.shape[0] // 2))
            self._halves.append(np.asarray(cv2.resize(last, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
        return self._halves[index]

    def level(self, scale: float, margin: int) -> tuple[ImageArray, tuple[float, float]]:
        """The picture at ``scale``, with a margin that repeats its edge, and how many times larger the picture is."""
        width, height = max(1, round(self.width * scale)), max(1, round(self.height * scale))
        way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
        small = cv2.resize(self._at_least(scale), (width, height), interpolation=way)
        level = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        return np.asarray(level, dtype=np.uint8), (self.width / width, self.height / height)

    def cut(self, squares: FloatArray, side: int) -> ImageArray:
        """Crops (n, side, side, 3) of squares (n, 4) as left, top, right, bottom; black outside of the picture."""
        crops = np.empty((len(squares), side, side, 3), dtype=np.uint8)
        for crop, (left, top, right, _) in zip(crops, squares.astype(np.float64), strict=True):
            length = max(right - left, 1.0)
            source = self._at_least(side / length)
            x_scale, y_scale = source.shape[1] / self.width, source.shape[0] / self.height
            step_x, step_y = length * x_scale / side, length * y_scale / side
            # From the middle of a crop's pixel to the middle of the source's pixel, hence the halves.
            to_source = np.array(
                [
                    [step_x, 0.0, left * x_scale + (step_x - 1.0) / 2.0],
                    [0.0, step_y, top * y_scale + (step_y - 1.0) / 2.0],
                ]
            )
            cv2.warpAffine(
                source,
                to_source,
                (side, side),
                dst=crop,
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT,
            )
        return crops


def level_scales(width: int, height: int, largest: float, budget: int, smallest: int) -> list[float]:
    """The scales of the levels, each half the area of the one before.

    The first is ``largest``, or less if it had more than ``budget`` pixels; the shorter side of the last has
    at least ``smallest`` pixels.
    """
    scale = min(largest, math.sqrt(budget / (width * height)))
    scales = []
    while min(width, height) * scale >= smallest:
        scales.append(scale)
        scale *= FACTOR
    return scales
