"""The one crop warp: exact where it can be, the same from a part as from the whole, upright, never aliased."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from deepfake_detector.core.types import Box, CropMode, CropRule, Landmarks
from deepfake_detector.faces.align import (
    PATCH_SIDE,
    Jitter,
    crop,
    face_matrix,
    padding_share,
    patch,
    warp,
    whole_matrix,
    window,
)


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (height // 4 + 2, width // 4 + 2, 3), dtype=np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def leaning(degrees: float, box: Box) -> Landmarks:
    """Landmarks in the middle of a box whose eyes lean."""
    x, y = box.center
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    side = box.long_side

    def turned(dx: float, dy: float) -> tuple[float, float]:
        return x + side * (dx * cos - dy * sin), y + side * (dx * sin + dy * cos)

    return Landmarks(turned(-0.2, -0.15), turned(0.2, -0.15), turned(0, 0), turned(-0.15, 0.2), turned(0.15, 0.2))


def to_crop(matrix: np.ndarray, point: tuple[float, float]) -> np.ndarray:
    """A point (the picture spans 0 to its width) in the crop, counted in the same way."""
    return matrix[:, :2] @ (np.array(point) - 0.5) + matrix[:, 2] + 0.5


boxes = st.builds(
    Box,
    x=st.floats(-60, 200),
    y=st.floats(-60, 200),
    w=st.floats(8, 260),
    h=st.floats(8, 260),
)


class TestExact:
    def test_a_box_that_is_the_picture_gives_the_picture(self):
        image = noise(96, 96)
        found = crop(image, Box(0, 0, 96, 96), None, CropRule(size=96, ratio=1.0))
        np.testing.assert_array_equal(found, image)

    def test_the_whole_of_a_square_picture_is_the_picture(self):
        image = noise(96, 96)
        np.testing.assert_array_equal(crop(image, None, None, CropRule(mode=CropMode.WHOLE, size=96)), image)

    def test_the_whole_of_a_wide_picture_is_its_middle(self):
        image = noise(160, 96)
        found = crop(image, None, None, CropRule(mode=CropMode.WHOLE, size=96))
        np.testing.assert_array_equal(found, image[:, 32:128])

    def test_a_box_on_whole_pixels_gives_these_pixels(self):
        image = noise(200, 160)
        found = crop(image, Box(50, 40, 64, 48), None, CropRule(size=64, ratio=1.0))
        np.testing.assert_array_equal(found, image[32:96, 50:114])

    def test_what_lies_outside_is_mirrored(self):
        image = noise(64, 64)
        found = crop(image, Box(-16, 0, 64, 64), None, CropRule(size=64, ratio=1.0))
        np.testing.assert_array_equal(found[:, :16], image[:, 16:0:-1])
        np.testing.assert_array_equal(found[:, 16:], image[:, :48])

    def test_the_ratio_widens_the_square_around_the_middle(self):
        matrix = face_matrix(Box(100, 100, 40, 80), None, CropRule(size=224, ratio=1.5))
        np.testing.assert_allclose(to_crop(matrix, (120, 140)), [112, 112], atol=1e-9)
        np.testing.assert_allclose(to_crop(matrix, (60, 80)), [0, 0], atol=1e-9)
        np.testing.assert_allclose(to_crop(matrix, (180, 200)), [224, 224], atol=1e-9)

    def test_a_face_crop_needs_a_box(self):
        with pytest.raises(ValueError, match="face box"):
            crop(noise(32, 32), None, None, CropRule())

    def test_a_face_is_cut_by_size_not_by_place(self):
        image = noise(120, 120)
        tiled = np.tile(image, (1, 3, 1))
        rule = CropRule(size=48, ratio=1.1)
        first = crop(tiled, Box(140.3, 30.7, 50.1, 60.9), None, rule)
        np.testing.assert_array_equal(first, crop(tiled[:, 120:], Box(20.3, 30.7, 50.1, 60.9), None, rule))


class TestParity:
    @settings(max_examples=80, deadline=None)
    @given(box=boxes, ratio=st.floats(0.9, 2.0), lean=st.floats(-50, 50), size=st.sampled_from([32, 96]))
    def test_a_cut_out_gives_the_same_crop_bit_for_bit(self, box: Box, ratio: float, lean: float, size: int):
        image = noise(260, 220)
        rule = CropRule(size=size, ratio=ratio)
        marks = leaning(lean, box)
        matrix = face_matrix(box, marks, rule)
        left, top, right, bottom = window(matrix, size, 260, 220)
        # Some room on the sides that the picture has, as a cache would keep.
        left, top = max(0, left - 7), max(0, top - 3)
        part = np.ascontiguousarray(image[top : bottom + 5, left : right + 2])
        moved = Box(box.x - left, box.y - top, box.w, box.h)
        found = crop(part, moved, leaning(lean, moved), rule)
        np.testing.assert_array_equal(found, crop(image, box, marks, rule))

    @settings(max_examples=60, deadline=None)
    @given(box=boxes, jitter=st.builds(Jitter, st.floats(0.8, 1.3), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)))
    def test_any_box_gives_a_crop(self, box: Box, jitter: Jitter):
        image = noise(90, 70)
        rule = CropRule(size=40)
        found = warp(image, face_matrix(box, None, rule, jitter), 40)
        assert found.shape == (40, 40, 3)
        assert found.dtype == np.uint8
        assert found.flags["C_CONTIGUOUS"]

    def test_one_pixel_makes_a_crop(self):
        image = np.full((1, 1, 3), 77, np.uint8)
        assert (crop(image, Box(0, 0, 1, 1), None, CropRule(size=16)) == 77).all()
        assert (crop(image, None, None, CropRule(mode=CropMode.WHOLE, size=16)) == 77).all()


class TestTurning:
    @pytest.mark.parametrize("lean", [-45.0, -25.0, 20.5, 45.0])
    def test_a_leaning_face_is_turned_upright(self, lean: float):
        box = Box(80, 60, 70, 90)
        marks = leaning(lean, box)
        matrix = face_matrix(box, marks, CropRule(size=100))
        left, right = to_crop(matrix, marks.left_eye), to_crop(matrix, marks.right_eye)
        assert left[1] == pytest.approx(right[1], abs=1e-6)
        assert left[0] < right[0]
        assert to_crop(matrix, marks.left_mouth)[1] > left[1]

    @pytest.mark.parametrize("lean", [-19.0, 0.0, 12.0])
    def test_a_face_that_leans_a_little_is_left_as_it_is(self, lean: float):
        box, rule = Box(80, 60, 70, 90), CropRule(size=100)
        np.testing.assert_array_equal(face_matrix(box, leaning(lean, box), rule), face_matrix(box, None, rule))

    def test_pixels_turn_with_the_matrix(self):
        image = np.zeros((200, 200, 3), np.uint8)
        box = Box(50, 50, 100, 100)
        marks = leaning(30.0, box)
        cv2.circle(image, tuple(round(v - 0.5) for v in marks.left_eye), 6, (255, 0, 0), -1)
        cv2.circle(image, tuple(round(v - 0.5) for v in marks.right_eye), 6, (0, 255, 0), -1)
        found = crop(image, box, marks, CropRule(size=100, ratio=1.0))
        (left_y, left_x), (right_y, right_x) = (
            np.argwhere(found[..., channel] > 128).mean(axis=0) for channel in (0, 1)
        )
        assert left_y == pytest.approx(right_y, abs=1.0)
        assert (left_x, right_x) == (pytest.approx(29.5, abs=1.0), pytest.approx(69.5, abs=1.0))


class TestJitter:
    def test_a_mirrored_crop_is_the_mirror_of_the_crop(self):
        image, box, rule = noise(150, 120), Box(30.4, 20.2, 60.7, 70.1), CropRule(size=64)
        plain = warp(image, face_matrix(box, None, rule), 64).astype(int)
        mirrored = warp(image, face_matrix(box, None, rule, Jitter(flip=True)), 64).astype(int)
        assert np.abs(mirrored[:, ::-1] - plain).max() <= 1  # OpenCV rounds to a 32nd of a pixel

    def test_the_crop_of_a_mirrored_picture_is_the_mirror_of_the_crop(self):
        image, box, rule = noise(150, 120), Box(30.4, 20.2, 60.7, 70.1), CropRule(size=64)
        twin = crop(np.ascontiguousarray(image[:, ::-1]), Box(150 - 30.4 - 60.7, 20.2, 60.7, 70.1), None, rule)
        assert np.abs(twin[:, ::-1].astype(int) - crop(image, box, None, rule)).max() <= 1

    def test_zoom_and_shift_are_shares_of_the_square(self):
        box, rule = Box(0, 0, 100, 100), CropRule(size=50, ratio=1.0)
        matrix = face_matrix(box, None, rule, Jitter(zoom=2.0, shift_x=0.1, shift_y=-0.2))
        np.testing.assert_allclose(to_crop(matrix, (50 + 20, 50 - 40)), [25, 25], atol=1e-9)
        np.testing.assert_allclose(to_crop(matrix, (50 + 20 + 100, 50 - 40)), [50, 25], atol=1e-9)

    def test_rotation_turns_around_the_middle(self):
        box, rule = Box(0, 0, 100, 100), CropRule(size=100, ratio=1.0)
        matrix = face_matrix(box, None, rule, Jitter(rotation=90.0))
        np.testing.assert_allclose(to_crop(matrix, (50, 50)), [50, 50], atol=1e-9)
        np.testing.assert_allclose(to_crop(matrix, (50, 90)), [90, 50], atol=1e-9)


class TestShrinking:
    @pytest.mark.parametrize("factor", [2, 3, 5, 9, 30])
    def test_fine_stripes_become_grey_and_not_coarse_stripes(self, factor: int):
        side = 32 * factor
        image = np.zeros((side, side, 3), np.uint8)
        image[:, ::2] = 255
        found = crop(image, Box(0, 0, side, side), None, CropRule(size=32, ratio=1.0)).astype(float)
        # What a plain mean over the same pixels gives: none or little more than that may be left.
        plain = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA).astype(float)
        assert found.std() <= plain.std() + 12.0
        assert found.mean() == pytest.approx(127.5, abs=3.0)

    def test_an_even_picture_stays_even_at_any_size(self):
        image = np.full((500, 700, 3), (10, 130, 250), np.uint8)
        for side in (20, 90, 333, 480):
            found = crop(image, Box(10, 10, side, side), None, CropRule(size=64))
            assert (found == (10, 130, 250)).all()


class TestPadding:
    def test_a_crop_inside_of_the_picture_has_none(self):
        matrix = face_matrix(Box(20, 20, 50, 50), None, CropRule(size=64, ratio=1.0))
        assert padding_share(matrix, 64, 100, 100) == 0.0

    def test_the_picture_itself_has_none(self):
        assert padding_share(whole_matrix(100, 80, CropRule(size=64)), 64, 100, 80) == 0.0

    @pytest.mark.parametrize(("x", "expected"), [(-50.0, 0.5), (-25.0, 0.25), (75.0, 0.75), (300.0, 1.0)])
    def test_it_is_the_share_that_lies_outside(self, x: float, expected: float):
        matrix = face_matrix(Box(x, 0, 100, 100), None, CropRule(size=64, ratio=1.0))
        assert padding_share(matrix, 64, 100, 100) == pytest.approx(expected, abs=0.01)

    def test_it_grows_with_the_ratio(self):
        box = Box(0, 0, 100, 100)
        shares = [
            padding_share(face_matrix(box, None, CropRule(size=64, ratio=ratio)), 64, 100, 100)
            for ratio in (1.0, 1.1, 1.3)
        ]
        assert shares[0] == 0.0
        assert shares[1] == pytest.approx(1 - 1 / 1.21, abs=0.02)
        assert shares[2] == pytest.approx(1 - 1 / 1.69, abs=0.02)


class TestPatch:
    POINTS = np.array([(200.0, 110.0), (248.0, 112.0), (226.0, 138.0), (206.0, 160.0), (244.0, 162.0)])

    @staticmethod
    def landmarks(points) -> Landmarks:
        return Landmarks(*(tuple(point) for point in points.tolist()))

    def test_a_face_that_moves_grows_and_leans_gives_the_same_patch(self):
        image = cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY)
        still = patch(image, self.landmarks(self.POINTS)).astype(float)
        angle, zoom = np.radians(25.0), 1.4
        rows = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = np.column_stack([rows, [60.0, -40.0]])
        moved = cv2.warpAffine(image, matrix, (640, 640))
        points = (self.POINTS - 0.5) @ rows.T + [60.5, -39.5]
        again = patch(moved, self.landmarks(points)).astype(float)
        assert still.shape == (PATCH_SIDE, PATCH_SIDE)
        assert np.abs(again - still).mean() < 3.0 < still.std()

    def test_landmarks_in_one_point_are_no_error(self):
        found = patch(data.camera(), self.landmarks(np.full((5, 2), 100.0)))
        assert found.shape == (PATCH_SIDE, PATCH_SIDE)
