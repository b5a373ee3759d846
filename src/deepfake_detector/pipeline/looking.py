"""The second stage of a video's analysis: the faces of each frame, who they are, and what is cut of them."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.stopwatch import Stopwatch
from deepfake_detector.core.types import CropMode, CropRule, DetectedFace, ImageArray, Quality
from deepfake_detector.core.video import Trace
from deepfake_detector.faces.align import Matrix, crop_matrix, patch, warp
from deepfake_detector.faces.find import Finder
from deepfake_detector.faces.follow import FrameFinder
from deepfake_detector.faces.quality import assess
from deepfake_detector.faces.track import Tracker
from deepfake_detector.media.video import VideoFrame
from deepfake_detector.pipeline.blame import errors_of
from deepfake_detector.pipeline.crops import whole_picture
from deepfake_detector.pipeline.gallery import Cutout, Shown, cut_out, small
from deepfake_detector.scoring.temporal import trace


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """What is kept of a frame once its faces are cut."""

    index: int
    time: float
    scene: int
    ids: tuple[int, ...]
    faces: tuple[DetectedFace, ...]
    qualities: tuple[Quality, ...]
    matrices: tuple[Matrix, ...]
    crops: NDArray[np.uint8]
    shown: tuple[Shown, ...]
    traces: tuple[Trace | None, ...]


class Looker:
    """Looks at the frames of one video in the order of time; ``name`` is what errors call it.

    ``finder`` is None where the network looks at whole pictures, which are then one person.
    """

    def __init__(self, finder: Finder | None, rule: CropRule, name: str) -> None:
        self.clock = Stopwatch()
        self._finder = None if finder is None else FrameFinder(finder)
        self._tracker = Tracker()
        self._rule, self._name = rule, name

    def look(self, frames: Generator[VideoFrame, None, None]) -> Generator[Looked, None, None]:
        """Find the faces of each frame, say who they are, and cut what will be needed. Raises InputError."""
        with closing(frames):
            for frame in frames:
                height, width = frame.pixels.shape[:2]
                with errors_of(self._name, width, height):
                    faces, ids = self._found(frame)
                    with self.clock.stage("crop"):
                        looked = self._cut(frame, faces, ids)
                yield looked

    def _found(self, frame: VideoFrame) -> tuple[tuple[DetectedFace, ...], tuple[int, ...]]:
        if self._finder is None:
            return (whole_picture(frame.pixels),), (1,)
        with self.clock.stage("find"):
            expected = self._tracker.expected(frame.time)
            faces = self._finder.find(frame.pixels, frame.time, frame.scene, expected)
        with self.clock.stage("track"):
            return faces, self._tracker.update(frame.pixels, frame.time, frame.scene, faces)

    def _cut(self, frame: VideoFrame, faces: tuple[DetectedFace, ...], ids: tuple[int, ...]) -> Looked:
        image, rule = frame.pixels, self._rule
        matrices = tuple(crop_matrix(image, face.box, face.landmarks, rule) for face in faces)
        crops = np.empty((len(faces), rule.size, rule.size, 3), np.uint8)
        for place, matrix in zip(crops, matrices, strict=True):
            place[:] = warp(image, matrix, rule.size)
        still = small(image)
        return Looked(
            index=frame.index,
            time=frame.time,
            scene=frame.scene,
            ids=ids,
            faces=faces,
            qualities=tuple(assess(image, face) for face in faces),
            matrices=matrices,
            crops=crops,
            shown=tuple(Shown(self._cutout(image, matrix), still) for matrix in matrices),
            traces=self._traces(frame, faces),
        )

    def _traces(self, frame: VideoFrame, faces: tuple[DetectedFace, ...]) -> tuple[Trace | None, ...]:
        """What is kept of each face for what changes over time; nothing of a whole picture."""
        if self._finder is None or not faces:
            return (None,) * len(faces)
        grey, following = np.asarray(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY), dtype=np.uint8), frame.following
        return tuple(
            trace(patch(grey, face.landmarks), None if following is None else patch(following, face.landmarks))
            for face in faces
        )

    def _cutout(self, image: ImageArray, matrix: Matrix) -> Cutout:
        return Cutout(image, 0, 0) if self._rule.mode is CropMode.WHOLE else cut_out(image, matrix, self._rule.size)
