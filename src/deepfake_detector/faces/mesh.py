"""A dense face mesh (468 points) on ONNX Runtime, for masks and for naming the parts of a face."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake_detector.core.onnx import open_session, read_model
from deepfake_detector.core.types import Box, CropRule, FloatArray, ImageArray, Landmarks
from deepfake_detector.faces.align import face_matrix, warp

if TYPE_CHECKING:
    import onnxruntime

MESH_SHA256 = "74b5711342c27960ade0d90ef9c6255de60be52c9f2ffec1fe6951edaf5f5ed4"
MESH_POINTS = 468

# The network was trained on squares of 1.5 times a short-range detector's box, eyes level, at 192 pixels.
_RULE = CropRule(size=192, ratio=1.5, upright_above=0.0)

REGIONS: Mapping[str, tuple[int, ...]] = {
    "outline": (
        10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
        152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
    ),
    "left_eye": (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246),
    "right_eye": (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466),
    "left_brow": (46, 53, 52, 65, 55, 107, 66, 105, 63, 70),
    "right_brow": (276, 283, 282, 295, 285, 336, 296, 334, 293, 300),
    "nose": (168, 122, 351, 193, 417, 129, 358, 49, 279, 48, 278, 64, 294, 98, 327, 2, 1, 4),
    "mouth": (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
    "jaw": (234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454),
}  # fmt: skip
"""Indices of the mesh points that outline each part; left and right as the viewer sees them."""


class FaceMesh:
    """The face mesh of MediaPipe (Kartynnik et al. 2019, "Real-time Facial Surface Geometry"; Apache-2.0)."""

    def __init__(self, threads: int = 0) -> None:
        path = Path(str(resources.files("deepfake_detector.faces"))) / "models" / "face_mesh.onnx"
        self._session: onnxruntime.InferenceSession = open_session(
            read_model(path, MESH_SHA256), "the face mesh", threads
        )
        self._input = self._session.get_inputs()[0].name

    def points(self, image: ImageArray, box: Box, landmarks: Landmarks | None) -> tuple[FloatArray, float]:
        """The mesh of one face.

        Takes an RGB picture, uint8, and the finder's box with its landmarks, in pixels. Returns the points
        (468, 2), float32, (x, y) in pixels of the picture, and the network's own confidence that there is a face, 0–1.
        """
        matrix = face_matrix(box, landmarks, _RULE)
        patch = warp(image, matrix, _RULE.size).astype(np.float32) / 255.0
        first, second = self._session.run(None, {self._input: patch[None]})
        mesh, flag = (first, second) if first.size > second.size else (second, first)
        inverse = cv2.invertAffineTransform(matrix)
        flat = mesh.reshape(MESH_POINTS, 3)[:, :2].astype(np.float64)
        # The network counts pixel corners, the warp pixel centres.
        points = (flat - 0.5) @ inverse[:, :2].T + inverse[:, 2]
        return points.astype(np.float32), float(1.0 / (1.0 + np.exp(-float(flag.reshape(-1)[0]))))
