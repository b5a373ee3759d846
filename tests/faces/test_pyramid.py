"""The picture at many sizes: places stay where they are, nothing aliases, and the work is bounded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfake_detector.faces.pyramid import Pyramid, level_scales


def ramp(width: int, height: int) -> np.ndarray:
    """Red grows to the right, green downwards, one to two pixels (so that 500 pixels fit)."""
    y, x = np.mgrid[:height, :width]
    return np.dstack([x // 2, y // 2, np.zeros_like(x)]).astype(np.uint8)


@given(
    width=st.integers(1, 9000),
    height=st.integers(1, 9000),
    largest=st.floats(0.05, 0.6),
    budget=st.integers(10_000, 400_000),
)
def test_levels_are_bounded_and_reach_the_whole(width, height, largest, budget):
    scales = level_scales(width, height, largest, budget, 8)
    assert scales == sorted(scales, reverse=True)
    assert all(scale <= largest for scale in scales)
    assert all(width * height * scale**2 <= budget * 1.001 for scale in scales)
    assert all(min(width, height) * scale >= 8 for scale in scales)
    if scales:
        assert min(width, height) * scales[-1] < 8 / 0.7
    else:
        assert min(width, height) * min(largest, (budget / (width * height)) ** 0.5) < 8


@pytest.mark.parametrize("scale", [0.07, 0.2, 0.37, 0.5, 0.6])
def test_a_level_shows_the_same_places(scale):
    level, (x_step, y_step) = Pyramid(ramp(500, 400)).level(scale, margin=6)
    inner = level[6:-6, 6:-6]
    x = (np.arange(inner.shape[1]) + 0.5) * x_step
    y = (np.arange(inner.shape[0]) + 0.5) * y_step
    np.testing.assert_allclose(inner[5, :, 0], (x - 0.5) / 2, atol=1.6)
    np.testing.assert_allclose(inner[:, 5, 1], (y - 0.5) / 2, atol=1.6)


def test_the_margin_repeats_the_edge():
    level, _ = Pyramid(ramp(500, 400)).level(0.25, margin=6)
    assert level.shape == (100 + 12, 125 + 12, 3)
    assert (level[:, :6] == level[:, 6:7]).all()
    assert (level[-6:] == level[-7:-6]).all()


@pytest.mark.parametrize("side", [30.0, 100.0, 300.0])
def test_a_crop_shows_the_same_places(side):
    square = np.array([[60.5, 40.25, 60.5 + side, 40.25 + side]], np.float32)
    (crop,) = Pyramid(ramp(500, 400)).cut(square, 24)
    middle = (np.arange(24) + 0.5) * side / 24
    np.testing.assert_allclose(crop[12, :, 0], (60.5 + middle - 0.5) / 2, atol=1.6)
    np.testing.assert_allclose(crop[:, 12, 1], (40.25 + middle - 0.5) / 2, atol=1.6)


def test_outside_of_the_picture_a_crop_is_black():
    image = np.full((60, 60, 3), 200, np.uint8)
    (crop,) = Pyramid(image).cut(np.array([[-24, 0, 24, 48]], np.float32), 48)
    assert (crop[:, :23] == 0).all()
    assert (crop[:, 25:] == 200).all()


def test_fine_stripes_become_grey():
    image = np.zeros((600, 600, 3), np.uint8)
    image[:, ::2] = 255
    pyramid = Pyramid(image)
    level, _ = pyramid.level(0.1, margin=0)
    (crop,) = pyramid.cut(np.array([[0, 0, 600, 600]], np.float32), 48)
    assert level.std() < 8.0
    assert crop.std() < 8.0


def test_no_squares_make_no_crops():
    assert Pyramid(ramp(50, 50)).cut(np.zeros((0, 4), np.float32), 24).shape == (0, 24, 24, 3)


def test_thin_pictures_have_levels_without_pixels_missing():
    for shape in ((1, 5000, 3), (5000, 1, 3), (3, 3, 3)):
        pyramid = Pyramid(np.full(shape, 9, np.uint8))
        level, steps = pyramid.level(0.01, margin=2)
        assert min(level.shape[:2]) >= 5
        assert min(steps) > 0
        assert pyramid.cut(np.array([[0, 0, 5000, 5000]], np.float32), 24).shape == (1, 24, 24, 3)
