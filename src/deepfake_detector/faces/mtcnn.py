"""Finds faces with MTCNN: three small networks, each looking closer at what the one before let through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.onnx import open_session, read_model
from deepfake_detector.core.types import Box, DetectedFace, FloatArray, ImageArray, Landmarks
from deepfake_detector.faces.pyramid import Pyramid, level_scales

if TYPE_CHECKING:
    import onnxruntime

MODELS = Path(__file__).parent / "models"
PINS = {
    "pnet": "2bbc54e7aae1bbb4fcf20b8cf0efa823146b801033d20931083558b5488bb452",
    "rnet": "3d6c26ca7cfc1c3621b2fd3a551ea0cce346ab62f1af078d8894ff6ef9f33d82",
    "onet": "661babb533fbef95c2e56c2581c5025c214f26efc02c58fc7efd7802dfa3ca15",
}
FINDER_VERSION = "mtcnn-2"
"""Changes whenever `MtcnnFinder.find` may give another box; part of the key of cached crops."""

CELL, STRIDE, MARGIN = 12, 2, 6
"""PNet sees cells of 12 pixels, 2 apart; half a cell is added around each level, for faces that are cut off."""
SMALLEST_LEVEL = 8
RNET_SIDE, ONET_SIDE = 24, 48
HIDDEN = 0.5
"""Who has this share of their face behind a better seen one is not shown, as nothing of them can be judged."""

FIRST_LOOK = 0.5
"""ONet's score on a candidate as RNet left it; what is under it is not looked at again."""
ROUNDS = 2
MIRRORED = [1, 0, 2, 4, 3]
"""The landmarks of a mirrored face, in the order of the landmarks of the face."""


@dataclass(frozen=True, slots=True)
class MtcnnSettings:
    """What the finder looks for.

    ``min_face`` is the smallest box side in pixels; ``budget`` the most pixels of the largest pyramid level, by which
    the smallest face grows with the picture. ``pnet`` and ``rnet`` are the scores, 0–1, that let a candidate through;
    the ``_large`` ones hold for those at least ``large`` times as wide as the picture's shorter side: these are few,
    and part of such a face is often outside. ``confidence`` is what a face must have in the end; ``max_candidates``
    and ``max_faces`` bound what RNet and ONet look at.
    """

    min_face: float = 20.0
    budget: int = 400 * 400
    pnet: float = 0.6
    rnet: float = 0.7
    large: float = 0.4
    pnet_large: float = 0.4
    rnet_large: float = 0.3
    confidence: float = 0.8
    max_candidates: int = 300
    max_faces: int = 64


@dataclass(frozen=True, slots=True)
class _Look:
    """What ONet says of n candidates: scores (n,), boxes (n, 4), landmarks (n, 5, 2)."""

    scores: FloatArray
    boxes: FloatArray
    marks: FloatArray

    def take(self, indices: NDArray[np.intp]) -> _Look:
        return _Look(self.scores[indices], self.boxes[indices], self.marks[indices])


class MtcnnFinder:
    """The multi-task cascaded networks of Zhang, Zhang, Li and Qiao (2016), on ONNX Runtime.

    Unlike the original, the last network looks twice more, at its own box and at the mirrored picture of it, and the
    answers are averaged: the box then moves by a third as much when a picture is re-encoded, resized or mirrored.
    One finder may be used by many threads at once. ``threads`` is for each ONNX session, 0 lets the runtime choose.
    Raises ModelNotFoundError, ModelTamperedError or UnsafeModelError when it is made.
    """

    def __init__(self, threads: int = 0, settings: MtcnnSettings | None = None) -> None:
        self._settings = settings or MtcnnSettings()
        self._pnet, self._rnet, self._onet = (_open(name, threads) for name in PINS)

    def find(self, image: ImageArray) -> tuple[DetectedFace, ...]:
        """All faces in an RGB picture (height, width, 3), uint8, the largest first.

        Coordinates are in pixels, the picture spans 0 to its width; a box may reach over the edge. ``confidence`` is
        the mean of ONet's scores, 0–1.
        """
        pyramid = Pyramid(image)
        boxes = self._propose(pyramid)
        boxes = self._refine(pyramid, boxes)
        return self._decide(pyramid, boxes)

    def follow(self, image: ImageArray, boxes: Sequence[Box]) -> tuple[DetectedFace, ...]:
        """The faces at or near these boxes in an RGB picture, the largest first: the last network alone.

        For the next frame of a video, in a tenth of the time; a face that is at none of the boxes is not found.
        """
        edges = np.array([(box.x, box.y, box.x + box.w, box.y + box.h) for box in boxes], np.float32).reshape(-1, 4)
        return self._decide(Pyramid(image), edges)

    def _propose(self, pyramid: Pyramid) -> FloatArray:
        """PNet slides over all levels: candidate boxes (n, 4) as left, top, right, bottom."""
        settings = self._settings
        most = settings.max_candidates
        found_boxes, found_scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
        for scale in level_scales(
            pyramid.width, pyramid.height, CELL / settings.min_face, settings.budget, SMALLEST_LEVEL
        ):
            level, steps = pyramid.level(scale, MARGIN)
            score, shift = self._pnet.run(["score", "box"], {"image": level[None]})
            wanted = settings.pnet_large if self._is_large(pyramid, CELL / scale) else settings.pnet
            rows, columns = np.nonzero(score[0, 0] >= wanted)
            corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE - MARGIN
            cells = np.concatenate([corner, corner + CELL], axis=1) * np.array(steps * 2, np.float32)
            boxes, scores = _shifted(cells, shift[0][:, rows, columns].T), score[0, 0, rows, columns]
            kept = suppress(boxes, scores, 0.5, most=most)
            found_boxes.append(boxes[kept])
            found_scores.append(scores[kept])
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        return boxes[suppress(boxes, scores, 0.7, most=most)]

    def _is_large(self, pyramid: Pyramid, side: Any) -> Any:
        return side >= self._settings.large * min(pyramid.width, pyramid.height)

    def _refine(self, pyramid: Pyramid, boxes: FloatArray) -> FloatArray:
        """RNet throws most candidates out and moves the rest."""
        if not len(boxes):
            return boxes
        squares = _squared(boxes)
        score, shift = self._rnet.run(["score", "box"], {"image": pyramid.cut(squares, RNET_SIDE)})
        large = self._is_large(pyramid, squares[:, 2] - squares[:, 0])
        passed = score[:, 0] >= np.where(large, self._settings.rnet_large, self._settings.rnet)
        squares, scores, shift = squares[passed], score[passed, 0], shift[passed]
        kept = suppress(squares, scores, 0.7, most=self._settings.max_faces)
        return _shifted(squares[kept], shift[kept])

    def _decide(self, pyramid: Pyramid, boxes: FloatArray) -> tuple[DetectedFace, ...]:
        """ONet gives the final score, box and landmarks."""
        if not len(boxes):
            return ()
        look = self._look(pyramid, boxes, mirrored=False)
        look = look.take(np.flatnonzero(look.scores >= FIRST_LOOK))
        look = look.take(suppress(look.boxes, look.scores, 0.7, over_smaller=True))
        scores = [look.scores]
        for _ in range(ROUNDS if len(look.scores) else 0):
            look = self._look(pyramid, look.boxes, mirrored=True)
            scores += [look.scores, look.scores]
        confidence = np.mean(scores, axis=0)
        kept = suppress(look.boxes, confidence, HIDDEN, over_smaller=True)
        faces = [
            _face(look.boxes[index], look.marks[index], float(confidence[index]))
            for index in kept
            if confidence[index] >= self._settings.confidence
        ]
        return tuple(sorted(faces, key=lambda face: face.box.area, reverse=True))

    def _look(self, pyramid: Pyramid, boxes: FloatArray, mirrored: bool) -> _Look:
        """Run ONet on the squares around boxes, and, if asked, on their mirror pictures too, and average."""
        squares = _squared(boxes)
        crops = pyramid.cut(squares, ONET_SIDE)
        found = self._onet_on(crops)
        if mirrored:
            twin = self._onet_on(np.ascontiguousarray(crops[:, :, ::-1]))
            flip = np.array([1.0, 0.0], np.float32)
            back = np.array([-1.0, 1.0], np.float32)
            twin_marks = flip + back * twin.marks[:, MIRRORED]
            twin_shift = np.concatenate([twin.boxes[:, [2, 1]] * back, twin.boxes[:, [0, 3]] * back], axis=1)
            found = _Look(
                (found.scores + twin.scores) / 2.0,
                (found.boxes + twin_shift) / 2.0,
                (found.marks + twin_marks) / 2.0,
            )
        side = squares[:, 2:] - squares[:, :2]
        marks = found.marks * side[:, None] + squares[:, None, :2]
        return _Look(found.scores, _shifted(squares, found.boxes), marks)

    def _onet_on(self, crops: ImageArray) -> _Look:
        """ONet's outputs as they are: shifts of the edges and landmarks as shares of the crop's side."""
        score, shift, points = self._onet.run(["score", "box", "points"], {"image": crops})
        return _Look(score[:, 0], shift, points.reshape(-1, 2, 5).transpose(0, 2, 1))


def suppress(
    boxes: FloatArray, scores: FloatArray, overlap: float, over_smaller: bool = False, most: int | None = None
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: the indices that stay, best score first, at most ``most``.

    ``boxes`` is (n, 4) as left, top, right, bottom. A box goes if it shares more than ``overlap`` of the union with a
    better one, or, with ``over_smaller``, of the smaller of the two. Of more than four times ``most`` boxes only the
    best are looked at.
    """
    order = np.argsort(-scores, kind="stable")[: None if most is None else 4 * most]
    left, top, right, bottom = boxes[order].T
    areas = np.maximum(right - left, 0.0) * np.maximum(bottom - top, 0.0)
    width = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    height = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    whole = np.minimum(areas[:, None], areas) if over_smaller else areas[:, None] + areas - shared
    clash = shared > overlap * whole
    alive = np.ones(len(order), dtype=bool)
    kept = []
    for index in range(len(order)):
        if alive[index]:
            kept.append(index)
            alive &= ~clash[index]
    return order[np.array(kept[:most], dtype=np.intp)]


def _open(name: str, threads: int) -> onnxruntime.InferenceSession:
    path = MODELS / f"{name}.onnx"
    return open_session(read_model(path, PINS[name]), path.name, threads)


def _shifted(boxes: FloatArray, shift: FloatArray) -> FloatArray:
    """Move each edge by a share of the box's width or height, as the networks' second output says."""
    size = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return np.asarray(boxes + shift * size, dtype=np.float32)


def _squared(boxes: FloatArray) -> FloatArray:
    """The squares around the middles whose sides are the longer sides."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    half = np.max(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True) / 2.0
    return np.asarray(np.concatenate([middle - half, middle + half], axis=1), dtype=np.float32)


def _face(box: FloatArray, marks: FloatArray, score: float) -> DetectedFace:
    left, top, right, bottom = (float(edge) for edge in box)
    points = [(float(x), float(y)) for x, y in marks]
    return DetectedFace(Box(left, top, right - left, bottom - top), Landmarks(*points), score)
