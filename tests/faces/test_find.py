"""The further tries: only when nothing was found, and mapped back to the picture as given."""

import cv2
import numpy as np
import pytest

from deepfake_detector.core.types import Box, DetectedFace, Landmarks
from deepfake_detector.faces import find
from deepfake_detector.faces.find import find_faces


class DotFinder:
    """Finds one red dot as a face of 20 × 30 pixels, from its given look on."""

    def __init__(self, ready: int, confidence: float = 0.99) -> None:
        self.ready, self.confidence = ready, confidence
        self.seen: list[tuple[int, ...]] = []

    def find(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        self.seen.append(image.shape)
        if len(self.seen) <= self.ready:
            return ()
        red = image[..., 0].astype(float) * (image[..., 0] > 2.0 * image[..., 1] + 20)
        if not red.any():
            return ()
        y, x = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
        cx, cy = float((x * red).sum() / red.sum()), float((y * red).sum() / red.sum())
        marks = Landmarks((cx - 5, cy - 5), (cx + 5, cy - 5), (cx, cy), (cx - 4, cy + 6), (cx + 4, cy + 6))
        return (DetectedFace(Box(cx - 10, cy - 15, 20, 30), marks, self.confidence),)


@pytest.fixture
def dotted() -> np.ndarray:
    """Grey, 80 × 120, with a red dot whose middle is at (90.5, 30.5)."""
    image = np.full((80, 120, 3), 120, np.uint8)
    cv2.circle(image, (90, 30), 4, (250, 0, 0), -1)
    return image


class TestTries:
    def test_a_first_hit_is_the_answer(self, dotted):
        finder = DotFinder(ready=0, confidence=0.81)
        (face,) = find_faces(finder, dotted)
        assert finder.seen == [(80, 120, 3)]
        assert face.confidence == 0.81

    @pytest.mark.parametrize("ready", [1, 2, 3])
    def test_a_later_hit_is_mapped_back(self, dotted, ready):
        (face,) = find_faces(DotFinder(ready), dotted)
        assert face.box.center == (pytest.approx(90.5, abs=0.3), pytest.approx(30.5, abs=0.3))
        assert (face.box.w, face.box.h) == (pytest.approx(20.0), pytest.approx(30.0))

    def test_the_border_is_a_quarter_of_the_longer_side(self, dotted):
        finder = DotFinder(ready=1)
        find_faces(finder, dotted)
        assert finder.seen == [(80, 120, 3), (140, 180, 3)]

    def test_landmarks_are_turned_back(self, dotted):
        (first,) = find_faces(DotFinder(ready=2), dotted)
        (second,) = find_faces(DotFinder(ready=3), dotted)
        # Level in the turned picture means leaning in the one that was given.
        assert first.landmarks.roll == pytest.approx(35.0, abs=0.1)
        assert second.landmarks.roll == pytest.approx(-35.0, abs=0.1)
        assert first.landmarks.nose == (pytest.approx(90.5, abs=0.3), pytest.approx(30.5, abs=0.3))

    @pytest.mark.parametrize(("ready", "enough"), [(1, 0.9), (2, 0.97), (3, 0.97)])
    def test_a_later_hit_must_be_surer(self, dotted, ready, enough):
        assert len(find_faces(DotFinder(ready, enough), dotted)) == 1
        finder = DotFinder(ready, enough - 0.2)
        assert find_faces(finder, dotted) == ()
        assert len(finder.seen) == 4

    @pytest.mark.parametrize("ready", [1, 2, 3])
    def test_of_a_large_picture_a_small_copy_is_tried(self, dotted, ready, monkeypatch):
        monkeypatch.setattr(find, "MOST_PIXELS", 80 * 120 // 4)
        finder = DotFinder(ready)
        (face,) = find_faces(finder, dotted)
        assert finder.seen[1] == (70, 90, 3)
        assert face.box.center == (pytest.approx(90.5, abs=0.6), pytest.approx(30.5, abs=0.6))
        assert (face.box.w, face.box.h) == (pytest.approx(40.0), pytest.approx(60.0))

    def test_only_a_dark_picture_is_lit(self, dotted):
        light, dark = DotFinder(ready=9), DotFinder(ready=9)
        find_faces(light, dotted)
        find_faces(dark, dotted // 4)
        assert (len(light.seen), len(dark.seen)) == (4, 5)

    def test_black_has_no_face(self):
        assert find_faces(DotFinder(ready=0), np.zeros((30, 30, 3), np.uint8)) == ()


class TestWithTheFinder:
    @pytest.mark.parametrize("lean", [-45, -30, 30, 45])
    @pytest.mark.parametrize("side", [40, 110])
    def test_a_face_that_leans_is_found(self, finder, background, paste, lean, side):
        faces = find_faces(finder, paste(background, side, (300.0, 330.0), lean))
        assert len(faces) == 1
        assert np.hypot(faces[0].box.center[0] - 300, faces[0].box.center[1] - 330) < 0.25 * side
        assert faces[0].landmarks.roll == pytest.approx(lean, abs=15.0)

    def test_half_a_face_that_fills_the_picture_is_found(self, finder, astronaut):
        (face,) = find_faces(finder, np.ascontiguousarray(astronaut[82:152, 185:262]))
        assert face.box.center == (pytest.approx(224 - 185, abs=14), pytest.approx(117 - 82, abs=14))

    def test_a_face_in_the_dark_is_found(self, finder, astronaut, face_box):
        dark = (astronaut * 0.08).astype(np.uint8)
        assert finder.find(dark) == ()
        (face,) = find_faces(finder, dark)
        assert face.box.center == (
            pytest.approx(face_box.center[0], abs=8),
            pytest.approx(face_box.center[1], abs=8),
        )
