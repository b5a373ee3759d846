"""The second tries when no face is found: with a border around the picture, and with the picture turned."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import Box, DetectedFace, ImageArray, Landmarks, Point

BORDER = 0.25
"""Width of the border of the second try, as a share of the picture's longer side."""
TURNS = (35.0, -35.0)
"""By how many degrees the picture is turned in the last tries, anti-clockwise on the screen."""


class Finder(Protocol):
    """Anything that finds faces."""

    def find(self, image: ImageArray) -> tuple[DetectedFace, ...]:
        """All faces in an RGB picture (height, width, 3), uint8, the largest first."""
        ...


def find_faces(finder: Finder, image: ImageArray) -> tuple[DetectedFace, ...]:
    """All faces in an RGB picture (height, width, 3), uint8, the largest first.

    Where nothing is found, the picture gets a border, for a face that fills it; then it is turned to either side, for
    a face that leans. Boxes and landmarks are in pixels of the picture as given.
    """
    for matrix, width, height in _tries(image):
        seen = image
        if matrix is not None:
            flat = cv2.warpAffine(
                image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
            )
            seen = np.asarray(flat, dtype=np.uint8)
        found = finder.find(seen)
        if found:
            return found if matrix is None else tuple(_mapped_back(face, matrix) for face in found)
    return ()


def _tries(image: ImageArray) -> list[tuple[NDArray[np.float64] | None, int, int]]:
    """Matrix from the picture to what the finder sees, and the size of that; None is the picture as it is."""
    height, width = image.shape[:2]
    border = round(max(width, height) * BORDER)
    bordered = np.array([[1.0, 0.0, border], [0.0, 1.0, border]])
    tries: list[tuple[NDArray[np.float64] | None, int, int]] = [
        (None, width, height),
        (bordered, width + 2 * border, height + 2 * border),
    ]
    for turn in TURNS:
        cos, sin = abs(math.cos(math.radians(turn))), abs(math.sin(math.radians(turn)))
        new_width, new_height = math.ceil(width * cos + height * sin), math.ceil(width * sin + height * cos)
        matrix = np.asarray(cv2.getRotationMatrix2D(((width - 1) / 2.0, (height - 1) / 2.0), turn, 1.0))
        matrix[:, 2] += (new_width - width) / 2.0, (new_height - height) / 2.0
        tries.append((matrix, new_width, new_height))
    return tries


def _mapped_back(face: DetectedFace, matrix: NDArray[np.float64]) -> DetectedFace:
    """The face in the picture as given; the box keeps its size, and its middle is moved."""
    # Coordinates have pixels' middles at halves (the picture spans 0 to its width), the matrix at whole numbers.
    inverse = np.asarray(cv2.invertAffineTransform(matrix))
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
    (x, y), (w, h) = back(face.box.center), (face.box.w, face.box.h)
    return replace(face, box=Box(x - w / 2.0, y - h / 2.0, w, h), landmarks=moved)
