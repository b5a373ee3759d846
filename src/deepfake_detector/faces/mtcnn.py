"""Finds faces with MTCNN: three small networks, each looking closer at what the one before let through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

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
FINDER_VERSION = "mtcnn-1"
"""Changes whenever the same picture may get another box; part of the key of cached crops."""

CELL, STRIDE = 12, 2
RNET_SIDE, ONET_SIDE = 24, 48


@dataclass(frozen=True, slots=True)
class MtcnnSettings:
    """What the finder looks for.

    ``min_face`` is the smallest box side in pixels; ``budget`` the most pixels of the largest pyramid level, by which
    the smallest face grows with the picture; the three thresholds are the networks' scores, 0–1;
    ``max_candidates`` and ``max_faces`` bound what the second and the third network look at.
    """

    min_face: float = 20.0
    budget: int = 400 * 400
    pnet_threshold: float = 0.6
    rnet_threshold: float = 0.7
    onet_threshold: float = 0.8
    max_candidates: int = 300
    max_faces: int = 64


class MtcnnFinder:
    """The multi-task cascaded networks of Zhang, Zhang, Li and Qiao (2016), on ONNX Runtime.

    One finder may be used by many threads at once. ``threads`` is for each ONNX session, 0 lets the runtime choose.
    Raises ModelNotFoundError, ModelTamperedError or UnsafeModelError when it is made.
    """

    def __init__(self, threads: int = 0, settings: MtcnnSettings | None = None) -> None:
        self._settings = settings or MtcnnSettings()
        self._pnet, self._rnet, self._onet = (_open(name, threads) for name in PINS)

    def find(self, image: ImageArray) -> tuple[DetectedFace, ...]:
        """All faces in an RGB picture (height, width, 3), uint8, the largest first.

        Coordinates are in pixels, the picture spans 0 to its width; a box may reach over the edge.
        """
        pyramid = Pyramid(image)
        boxes = self._propose(pyramid)
        boxes = self._refine(pyramid, boxes)
        return self._decide(pyramid, boxes)

    def _propose(self, pyramid: Pyramid) -> FloatArray:
        """PNet slides over all levels: candidate boxes (n, 4) as left, top, right, bottom."""
        settings = self._settings
        found_boxes, found_scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
        for scale in level_scales(pyramid.width, pyramid.height, settings.min_face, settings.budget, CELL):
            level = pyramid.level(scale)
            score, shift = self._pnet.run(["score", "box"], {"image": level[None]})
            rows, columns = np.nonzero(score[0, 0] >= settings.pnet_threshold)
            corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE
            per_level = np.array([pyramid.width / level.shape[1], pyramid.height / level.shape[0]], np.float32)
            cells = np.concatenate([corner, corner + CELL], axis=1) * np.tile(per_level, 2)
            boxes = _shifted(cells, shift[0][:, rows, columns].T)
            scores = score[0, 0, rows, columns]
            kept = suppress(cells, scores, 0.5)[: settings.max_candidates]
            found_boxes.append(boxes[kept])
            found_scores.append(scores[kept])
        boxes, scores = np.concatenate(found_boxes), np.concatenate(found_scores)
        return boxes[suppress(boxes, scores, 0.7)][: settings.max_candidates]

    def _refine(self, pyramid: Pyramid, boxes: FloatArray) -> FloatArray:
        """RNet throws most candidates out and moves the rest."""
        if not len(boxes):
            return boxes
        squares = _squared(boxes)
        score, shift = self._rnet.run(["score", "box"], {"image": pyramid.cut(squares, RNET_SIDE)})
        passed = score[:, 0] >= self._settings.rnet_threshold
        squares, scores, shift = squares[passed], score[passed, 0], shift[passed]
        kept = suppress(squares, scores, 0.7)[: self._settings.max_faces]
        return _shifted(squares[kept], shift[kept])

    def _decide(self, pyramid: Pyramid, boxes: FloatArray) -> tuple[DetectedFace, ...]:
        """ONet gives the final score, box and landmarks."""
        if not len(boxes):
            return ()
        squares = _squared(boxes)
        score, shift, points = self._onet.run(["score", "box", "points"], {"image": pyramid.cut(squares, ONET_SIDE)})
        passed = score[:, 0] >= self._settings.onet_threshold
        squares, scores, shift, points = squares[passed], score[passed, 0], shift[passed], points[passed]
        boxes = _shifted(squares, shift)
        side = squares[:, 2:] - squares[:, :2]
        marks = points.reshape(-1, 2, 5).transpose(0, 2, 1) * side[:, None] + squares[:, None, :2]
        faces = [
            _face(boxes[index], marks[index], float(scores[index]))
            for index in suppress(boxes, scores, 0.7, over_smaller=True)
        ]
        return tuple(sorted(faces, key=lambda face: face.box.area, reverse=True))


def suppress(boxes: FloatArray, scores: FloatArray, overlap: float, over_smaller: bool = False) -> list[int]:
    """Greedy non-maximum suppression: the indices that stay, best score first.

    ``boxes`` is (n, 4) as left, top, right, bottom. A box goes if it shares more than ``overlap`` of the union with a
    better one, or, with ``over_smaller``, of the smaller of the two.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0), axis=1)
    kept: list[int] = []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0.0), axis=1)
        whole = np.minimum(areas[best], areas[rest]) if over_smaller else areas[best] + areas[rest] - shared
        order = rest[shared <= overlap * whole]
    return kept


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
