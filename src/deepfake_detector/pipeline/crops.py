"""Where what a network sees lies in a picture or a frame."""

from __future__ import annotations

import cv2
import numpy as np

from deepfake_detector.core.types import Box, DetectedFace, ImageArray, Landmarks
from deepfake_detector.faces.align import Matrix


def crop_corners(matrix: Matrix, size: int) -> tuple[tuple[float, float], ...]:
    """The corners of a crop of this size, (x, y) in pixels of the picture, clockwise from the top left one."""
    low, high = -0.5, size - 0.5
    square = np.array([[low, low], [high, low], [high, high], [low, high]])
    inverse = cv2.invertAffineTransform(matrix)
    points = square @ inverse[:, :2].T + inverse[:, 2]
    return tuple((round(float(x), 2), round(float(y), 2)) for x, y in points)


def whole_picture(image: ImageArray) -> DetectedFace:
    """Stands for a face where the network looks at whole pictures; its landmarks say nothing, and are not reported."""
    height, width = image.shape[:2]
    nowhere = (0.0, 0.0)
    return DetectedFace(Box(0.0, 0.0, width, height), Landmarks(nowhere, nowhere, nowhere, nowhere, nowhere), 1.0)
