"""Keeps the people of a video apart: which face of this frame is which person of the frames before.

Frames may lie far apart. A face goes to a person if it is near where they are expected, as near as the time between
allows, and looks like them; of all ways to give the faces to the persons the one that fits best as a whole is taken.
Who was out of sight is taken back anywhere in the frame, if they look just the same. A cut ends everybody: what stands
after it is a new person, even if it is the same one, since nothing here can recognise a face in another light. Where it
is in doubt, a person is split in two rather than two joined in one.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import Box, DetectedFace, ImageArray
from deepfake_detector.faces.appearance import Appearance, appearance, likeness
from deepfake_detector.faces.assign import best_pairs

LOOKS_KEPT = 5
"""A person turns and speaks; a face must look like one of the last few."""


@dataclass(frozen=True, slots=True)
class TrackerSettings:
    """When a face may be a person of an earlier frame.

    ``reach`` is how far a face may be from where it is expected, in sides of its box, and ``speed`` by how much that
    grows a second; ``zoom`` and ``zoom_speed`` are the same for the logarithm of its size. ``alike`` is the likeness,
    0–1, that a face must have at the expected place a moment later, ``alike_far`` the one it must have elsewhere or
    after more than ``moment`` seconds, ``alike_back`` the one of somebody who was not seen for ``patience`` seconds.

    Of six clips of real people the likeness within a person is .92 or more up to nine seconds apart, and .95 within
    1.5 seconds; between two of the seven people it is .81 at most.
    """

    reach: float = 0.6
    speed: float = 2.0
    zoom: float = 0.35
    zoom_speed: float = 0.4
    alike: float = 0.8
    alike_far: float = 0.88
    alike_back: float = 0.92
    moment: float = 0.5
    patience: float = 2.0


@dataclass(slots=True)
class _Open:
    """A person of this scene."""

    id: int
    face: DetectedFace
    time: float
    looks: deque[Appearance]
    velocity: tuple[float, float] = (0.0, 0.0)

    def expected(self, time: float, moment: float) -> tuple[float, float]:
        """Where the middle of the face should be: moved on for a moment, and no further."""
        ahead = min(time - self.time, moment)
        (x, y), (vx, vy) = self.face.box.center, self.velocity
        return x + vx * ahead, y + vy * ahead


class Tracker:
    """Gives each face of each frame the number of a person, from 1 on; frames must come in the order of time."""

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self._settings = settings or TrackerSettings()
        self._open: list[_Open] = []
        self._scene = 0
        self._count = 0

    def update(self, image: ImageArray, time: float, scene: int, faces: Sequence[DetectedFace]) -> tuple[int, ...]:
        """The person that each face belongs to, new ones included.

        ``image`` is the RGB frame, ``time`` in seconds, ``scene`` a number that changes with each cut.
        """
        if scene != self._scene:
            self._open, self._scene = [], scene
        looks = [appearance(image, face) for face in faces]
        pairs = dict(best_pairs(self._fits(time, faces, looks)))
        seen_by = {column: self._open[row] for row, column in pairs.items()}
        return tuple(
            self._seen(seen_by.get(index), face, look, time)
            for index, (face, look) in enumerate(zip(faces, looks, strict=True))
        )

    def expected(self, time: float) -> tuple[Box, ...]:
        """Where the faces that were seen a short while ago should be, for a finder that looks there first."""
        boxes = []
        for person in self._open:
            if time - person.time > self._settings.patience:
                continue
            (x, y), box = person.expected(time, self._settings.moment), person.face.box
            boxes.append(Box(x - box.w / 2.0, y - box.h / 2.0, box.w, box.h))
        return tuple(boxes)

    def _fits(self, time: float, faces: Sequence[DetectedFace], looks: Sequence[Appearance]) -> NDArray[np.float64]:
        """How well each person (rows) and each face (columns) go together: 0 not at all, 2 perfectly."""
        fits = np.zeros((len(self._open), len(faces)))
        for row, person in enumerate(self._open):
            for column, (face, look) in enumerate(zip(faces, looks, strict=True)):
                alike = max(likeness(look, known) for known in person.looks)
                near = self._nearness(person, face, time)
                fits[row, column] = near + alike if alike >= self._needed(time - person.time, near) else 0.0
        return fits

    def _needed(self, gap: float, near: float) -> float:
        """The likeness that makes a face this near, after this time, the person; more than 1 for none."""
        settings = self._settings
        if gap > settings.patience:
            return settings.alike_back
        if near <= 0.0:
            return math.inf
        return settings.alike if near >= 0.5 and gap <= settings.moment else settings.alike_far

    def _nearness(self, person: _Open, face: DetectedFace, time: float) -> float:
        """1 at the expected place and size, 0 where the person cannot have got to in this time."""
        settings, gap = self._settings, time - person.time
        (x, y), (cx, cy) = person.expected(time, settings.moment), face.box.center
        side = math.sqrt(math.sqrt(max(person.face.box.area * face.box.area, 1.0)))
        far = math.hypot(cx - x, cy - y) / side / (settings.reach + settings.speed * gap)
        ratio = max(face.box.area, 1.0) / max(person.face.box.area, 1.0)
        zoomed = abs(math.log(ratio)) / 2.0 / (settings.zoom + settings.zoom_speed * gap)
        return max(0.0, 1.0 - far) * max(0.0, 1.0 - zoomed)

    def _seen(self, person: _Open | None, face: DetectedFace, look: Appearance, time: float) -> int:
        if person is None:
            self._count += 1
            self._open.append(_Open(self._count, face, time, deque([look], maxlen=LOOKS_KEPT)))
            return self._count
        gap = time - person.time
        if 0.0 < gap <= self._settings.moment:
            (x, y), (cx, cy) = person.face.box.center, face.box.center
            vx, vy = person.velocity
            person.velocity = ((vx + (cx - x) / gap) / 2.0, (vy + (cy - y) / gap) / 2.0)
        else:
            person.velocity = (0.0, 0.0)
        person.face, person.time = face, time
        person.looks.append(look)
        return person.id
