"""Finds the cuts of a video, frame by frame."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 64, 36
"""The size to which a frame is made small before it is compared."""


class CutFinder:
    """Counts scenes: a frame that looks unlike the one before it begins a new one.

    The measure is the mean absolute difference of hue, saturation and brightness (0–255), as in PySceneDetect's
    ContentDetector, whose threshold of 27 is kept; and, as in its AdaptiveDetector, the difference must stand out:
    it must be three times that of the frames before (their running mean), so that a shaking camera makes no cuts.
    """

    def __init__(self, threshold: float = 27.0, stands_out: float = 3.0) -> None:
        self.scene = 0
        self._threshold, self._stands_out = threshold, stands_out
        self._before: NDArray[np.int16] | None = None
        self._usual = 0.0

    def look(self, small: NDArray[np.uint8], *, jumped: bool = False) -> int:
        """The scene of a frame, counted from 0; ``small`` is RGB of shape (HEIGHT, WIDTH, 3).

        ``jumped`` says that frames were left out before it: then only the threshold counts.
        """
        now = cv2.cvtColor(small, cv2.COLOR_RGB2HSV).astype(np.int16)
        if self._before is not None:
            self._compare(float(np.abs(now - self._before).mean()), jumped)
        self._before = now
        return self.scene

    def _compare(self, change: float, jumped: bool) -> None:
        if change >= self._threshold and (jumped or change >= self._stands_out * self._usual):
            self.scene += 1
        if not jumped:
            self._usual += 0.2 * (change - self._usual)
