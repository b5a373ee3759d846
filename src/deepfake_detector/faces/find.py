"""The further tries when no face is found: with a border around the picture, with more light, and turned."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import Box, DetectedFace, ImageArray, Landmarks, Point

BORDER = 0.25
"""Width of the border, as a share of the picture's longer side."""

DARK = 100.0
"""A picture with hardly a value above this (0–255) is tried with more light."""

TURNS = (35.0, -35.0)
"""By how many degrees the picture is turned, anti-clockwise on the screen."""

MOST_PIXELS = 2_000_000
"""Of a larger picture the further tries see a copy of this size: the finder looks no closer, and turned copies of a
panorama would fill the memory."""

CONFIDENCE, CONFIDENCE_TURNED = 0.9, 0.97
"""What a further try must reach: each is a new chance for a false hit, and leaves seen sideways look like faces."""


class Finder(Protocol):
    """Anything that finds faces."""

    def find(self, image: ImageArray) -> tuple[DetectedFace, ...]:
        """All faces in an RGB picture (height, width, 3), uint8, the largest first."""
        ...


@dataclass(frozen=True, slots=True)
class _Try:
    """A changed picture, and the matrix (2, 3) from the given picture's pixels to its."""

    image: ImageArray
    matrix: NDArray[np.float64]
    confidence: float


def find_faces(finder: Finder, image: ImageArray) -> tuple[DetectedFace, ...]:
    """All faces in an RGB picture (height, width, 3), uint8, the largest first.

    Where nothing is found, the picture gets a border, for a face that fills it; more light, if it is dark; and it is
    turned to either side, for a face that leans. Such a face must be surer. Boxes and landmarks are in pixels of the
    picture as given.
    """
    return finder.find(image) or look_further(finder, image)


def look_further(finder: Finder, image: ImageArray) -> tuple[DetectedFace, ...]:
    """The further tries of ``find_faces`` alone, for a picture in which the finder has found nothing."""
    small, shrink = _shrunk(image)
    for attempt in _further_tries(small):
        found = tuple(
            _mapped_back(face, attempt.matrix @ shrink)
            for face in finder.find(attempt.image)
            if face.confidence >= attempt.confidence
        )
        if found:
            return found
    return ()


def _shrunk(image: ImageArray) -> tuple[ImageArray, NDArray[np.float64]]:
    """A copy of at most MOST_PIXELS pixels, and the matrix (3, 3) from the picture's pixels to its."""
    height, width = image.shape[:2]
    scale = math.sqrt(MOST_PIXELS / (height * width))
    if scale >= 1.0:
        return image, np.eye(3)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    x_scale, y_scale = size[0] / width, size[1] / height
    # From the middle of a pixel to the middle of a pixel, hence the halves.
    rows = [[x_scale, 0.0, (x_scale - 1.0) / 2.0], [0.0, y_scale, (y_scale - 1.0) / 2.0], [0.0, 0.0, 1.0]]
    return small, np.array(rows)


def _further_tries(image: ImageArray) -> Iterator[_Try]:
    height, width = image.shape[:2]
    border = round(max(width, height) * BORDER)
    shifted = np.array([[1.0, 0.0, border], [0.0, 1.0, border]])
    yield _Try(_warped(image, shifted, width + 2 * border, height + 2 * border), shifted, CONFIDENCE)
    brightest = float(np.percentile(image, 99.5))
    if 0.0 < brightest < DARK:
        lit = np.asarray(cv2.convertScaleAbs(image, alpha=255.0 / brightest), dtype=np.uint8)
        yield _Try(lit, np.eye(2, 3), CONFIDENCE)
    for turn in TURNS:
        matrix, new_width, new_height = _turned(width, height, turn)
        yield _Try(_warped(image, matrix, new_width, new_height), matrix, CONFIDENCE_TURNED)


def _turned(width: int, height: int, turn: float) -> tuple[NDArray[np.float64], int, int]:
    """The matrix that turns a picture around its middle, and the size that holds all of it."""
    cos, sin = abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))
    new_width, new_height = math.ceil(width * cos + height * sin), math.ceil(width * sin + height * cos)
    matrix = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2.0, (height - 1) / 2.0), turn, 1.0), dtype=np.float64)
    matrix[:, 2] += (new_width - width) / 2.0, (new_height - height) / 2.0
    return matrix, new_width, new_height


def _warped(image: ImageArray, matrix: NDArray[np.float64], width: int, height: int) -> ImageArray:
    """Black outside of the picture."""
    return np.asarray(cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def _mapped_back(face: DetectedFace, matrix: NDArray[np.float64]) -> DetectedFace:
    """The face in the picture as given; the box is turned around its middle and stays level."""
    zoom = math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    inverse = np.asarray(cv2.invertAffineTransform(matrix))
    # A matrix counts from the middle of the first pixel, boxes and landmarks from its corner.
    inverse[:, 2] += 0.5 - inverse[:, :2].sum(axis=1) * 0.5

    def back(point: Point) -> Point:
        x, y = inverse[:, :2] @ np.asarray(point) + inverse[:, 2]
        return float(x), float(y)

    marks = face.landmarks
    moved = Landmarks(
        back(marks.left_eye),
        back(marks.right_eye),
        back(marks.nose),
        back(marks.left_mouth),
        back(marks.right_mouth),
    )
    (x, y), (w, h) = back(face.box.center), (face.box.w / zoom, face.box.h / zoom)
    return replace(face, box=Box(x - w / 2.0, y - h / 2.0, w, h), landmarks=moved)
