"""When a face is too small, too blurred or too dark, and that ordinary wear is none of these."""

import cv2
import numpy as np
import pytest

from deepfake_detector.core.types import Box, DetectedFace, QualityIssue
from deepfake_detector.faces.quality import MIN_SIZE, assess


@pytest.fixture
def face(finder, astronaut) -> DetectedFace:
    return finder.find(astronaut)[0]


def shrunk(image: np.ndarray, face: DetectedFace, factor: float) -> tuple[np.ndarray, DetectedFace]:
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    box = Box(*(factor * value for value in (face.box.x, face.box.y, face.box.w, face.box.h)))
    return small, DetectedFace(box, face.landmarks, face.confidence)


def test_a_good_portrait_has_no_issue(astronaut, face):
    quality = assess(astronaut, face)
    assert quality.usable
    assert quality.size == min(face.box.w, face.box.h)
    assert 80 < quality.brightness < 200
    assert quality.sharpness > 200


@pytest.mark.parametrize("change", ["jpeg", "blur", "half", "dim", "grey", "noise"])
def test_ordinary_wear_is_no_issue(astronaut, face, change):
    image, moved = astronaut, face
    if change == "jpeg":
        _, data = cv2.imencode(".jpg", astronaut, [cv2.IMWRITE_JPEG_QUALITY, 30])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    elif change == "blur":
        image = cv2.GaussianBlur(astronaut, (0, 0), 3.0)
    elif change == "half":
        image, moved = shrunk(cv2.GaussianBlur(astronaut, (0, 0), 1.0), face, 0.5)
    elif change == "dim":
        image = (astronaut * 0.3).astype(np.uint8)
    elif change == "grey":
        image = np.repeat(astronaut.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    else:
        noise = np.random.default_rng(0).normal(0, 12, astronaut.shape)
        image = np.clip(astronaut + noise, 0, 255).astype(np.uint8)
    assert assess(image, moved).issues == ()


def test_too_small(astronaut, face):
    factor = (MIN_SIZE - 1.0) / min(face.box.w, face.box.h)
    assert assess(*shrunk(astronaut, face, factor)).issues == (QualityIssue.TOO_SMALL,)
    factor = (MIN_SIZE + 1.0) / min(face.box.w, face.box.h)
    assert assess(*shrunk(astronaut, face, factor)).issues == ()


def test_too_blurred(astronaut, face):
    blurred = cv2.GaussianBlur(astronaut, (0, 0), 0.1 * face.box.h)
    assert assess(blurred, face).issues == (QualityIssue.TOO_BLURRED,)


def test_too_dark(astronaut, face):
    assert assess((astronaut * 0.1).astype(np.uint8), face).issues == (QualityIssue.TOO_DARK,)


def test_a_flat_face_has_no_sharpness_at_all(face):
    quality = assess(np.full((512, 512, 3), 90, np.uint8), face)
    assert quality.sharpness == 0.0
    assert quality.brightness == 90.0
    assert quality.issues == (QualityIssue.TOO_BLURRED,)


def test_sharpness_falls_with_blur_and_light_with_shade(astronaut, face):
    sharpness = [assess(cv2.GaussianBlur(astronaut, (0, 0), sigma), face).sharpness for sigma in (0.5, 1, 2, 4, 8)]
    assert sharpness == sorted(sharpness, reverse=True)
    light = [assess((astronaut * share).astype(np.uint8), face).brightness for share in (1.0, 0.6, 0.3, 0.1)]
    assert light == sorted(light, reverse=True)


def test_sharpness_does_not_hang_on_the_size_of_the_picture(astronaut, face):
    soft = cv2.GaussianBlur(astronaut, (0, 0), 3.0)
    large = cv2.resize(soft, (1536, 1536), interpolation=cv2.INTER_CUBIC)
    box = Box(*(3.0 * value for value in (face.box.x, face.box.y, face.box.w, face.box.h)))
    once, thrice = assess(soft, face), assess(large, DetectedFace(box, face.landmarks, 1.0))
    assert thrice.sharpness == pytest.approx(once.sharpness, rel=0.15)


def test_a_face_at_the_edge_is_assessed(astronaut, face):
    cut = np.ascontiguousarray(astronaut[:, 220:])
    moved = DetectedFace(Box(face.box.x - 220, face.box.y, face.box.w, face.box.h), face.landmarks, 1.0)
    assert assess(cut, moved).sharpness > 0.0
