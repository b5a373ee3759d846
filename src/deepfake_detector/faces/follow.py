"""Finds the faces of a video's frames: all over a key frame, and between key frames where they were a moment ago."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from deepfake_detector.core.types import Box, DetectedFace, ImageArray
from deepfake_detector.faces.find import Finder, look_further

KEY_SECONDS = 0.5
"""After this time a frame is searched as a whole again, for those who came in."""

SURE = 0.9
"""The confidence that a followed face must keep; else the whole frame is searched."""

FURTHER_TRIES = 8
"""In so many frames without a face the further tries of ``look_further`` are made; then only if one of them helped."""


@runtime_checkable
class Follower(Protocol):
    """A finder that can look at chosen places only."""

    def follow(self, image: ImageArray, boxes: Sequence[Box]) -> tuple[DetectedFace, ...]:
        """The faces at or near these boxes in an RGB picture (height, width, 3), uint8, the largest first."""
        ...


class FrameFinder:
    """Any finder, used frame by frame in the order of time; one for each video."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._searched: float | None = None
        self._scene = 0
        self._tries, self._helped = 0, False

    def find(self, image: ImageArray, time: float, scene: int, expected: Sequence[Box]) -> tuple[DetectedFace, ...]:
        """The faces in an RGB frame (height, width, 3), uint8, the largest first.

        ``time`` is in seconds, ``scene`` changes with each cut, ``expected`` says where faces should be.
        """
        key = self._searched is None or scene != self._scene or time - self._searched >= KEY_SECONDS
        follower = self._finder if isinstance(self._finder, Follower) and expected and scene == self._scene else None
        if follower is not None and not key:
            found = follower.follow(image, expected)
            if len(found) == len(expected) and all(face.confidence >= SURE for face in found):
                return found
        self._searched, self._scene = time, scene
        found = self._search(image)
        if follower is None or len(found) >= len(expected):
            return found
        # Somebody is missing whom the search may have overlooked: look again where they should be.
        again = [face for face in follower.follow(image, expected) if face.confidence >= SURE]
        missing = [face for face in again if all(_overlap(face.box, other.box) < 0.3 for other in found)]
        return tuple(sorted((*found, *missing), key=lambda face: face.box.area, reverse=True))

    def _search(self, image: ImageArray) -> tuple[DetectedFace, ...]:
        found = self._finder.find(image)
        if found or (self._tries >= FURTHER_TRIES and not self._helped):
            return found
        self._tries += 1
        found = look_further(self._finder, image)
        self._helped = self._helped or bool(found)
        return found


def _overlap(one: Box, other: Box) -> float:
    """The share of the union that two boxes have in common, 0–1."""
    width = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    height = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / max(one.area + other.area - shared, 1e-9)
