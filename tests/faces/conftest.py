"""Pictures with faces at known places, made from the astronaut's portrait."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from deepfake_detector.core.types import Box
from deepfake_detector.faces.mtcnn import MtcnnFinder

FACE = Box(180.0, 60.0, 88.0, 114.0)
"""Where the astronaut's face is in her portrait (512 × 512)."""


@pytest.fixture(scope="session")
def finder() -> MtcnnFinder:
    return MtcnnFinder(threads=1)


@pytest.fixture(scope="session")
def face_box() -> Box:
    return FACE


@pytest.fixture(scope="session")
def background() -> np.ndarray:
    """A plain indoor photo's worth of soft blobs, without any face: uint8 RGB, 640 × 640."""
    small = np.random.default_rng(3).integers(60, 200, (12, 12, 3), dtype=np.uint8)
    return cv2.resize(small, (640, 640), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="session")
def paste(astronaut: np.ndarray) -> Callable[..., np.ndarray]:
    """``paste(picture, side, center, lean=0)``: a copy with the face, ``side`` pixels high, clockwise ``lean``."""

    def pasted(picture: np.ndarray, side: float, center: tuple[float, float], lean: float = 0.0) -> np.ndarray:
        scale = side / FACE.long_side
        x, y = FACE.center
        matrix = cv2.getRotationMatrix2D((x, y), -lean, scale)
        matrix[:, 2] += np.array(center) - (x, y)
        height, width = picture.shape[:2]
        blurred = cv2.GaussianBlur(astronaut, (0, 0), 0.4 / scale) if scale < 0.8 else astronaut
        face = cv2.warpAffine(blurred, matrix, (width, height), flags=cv2.INTER_LINEAR)
        mask = np.zeros(astronaut.shape[:2], np.uint8)
        cv2.ellipse(mask, (round(x), round(y)), (75, 90), 0, 0, 360, 255, -1)
        inside = cv2.warpAffine(mask, matrix, (width, height))[..., None] > 127
        return np.where(inside, face, picture).astype(np.uint8)

    return pasted
