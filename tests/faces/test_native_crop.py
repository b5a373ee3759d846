"""Crops that are pixels of the picture as they are."""

import numpy as np
import pytest

from deepfake_detector.core.types import Box, CropMode, CropRule, Landmarks
from deepfake_detector.faces.align import NATIVE_MOST, Jitter, crop, face_matrix, warp
from deepfake_detector.training.data.crops import MARGIN, context_region

RULE = CropRule(CropMode.NATIVE, size=96)
LEANING = Landmarks((150.0, 130.0), (190.0, 170.0), (160.0, 160.0), (140.0, 170.0), (160.0, 190.0))


@pytest.mark.parametrize(
    "box", [Box(121.3, 98.7, 80.2, 101.9), Box(120.5, 90.0, 81.0, 100.0), Box(0.2, 400.1, 90.0, 90.0)]
)
def test_no_pixel_is_changed(astronaut, box):
    """Not even for a leaning face, and not by half a pixel."""
    found = crop(astronaut, box, LEANING, RULE)
    left, top = (round(middle - 48.0) for middle in box.center)
    padded = np.pad(astronaut, ((0, 96), (96, 0), (0, 0)), mode="reflect")
    expected = padded[top : top + 96, left + 96 : left + 192]
    shifts = [np.roll(expected, (dy, dx), (0, 1))[1:-1, 1:-1] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    assert any((found[1:-1, 1:-1] == shifted).all() for shifted in shifts)


@pytest.mark.parametrize(
    "box", [Box(121.3, 98.7, 80.2, 101.9), Box(200.5, 90.5, 48.0, 50.0), Box(150.0, 150.0, 33.0, 36.5)]
)
def test_it_is_the_same_from_what_training_keeps_of_a_picture(astronaut, box):
    height, width = astronaut.shape[:2]
    left, top, right, bottom = context_region(box, MARGIN, width, height)
    part = astronaut[top:bottom, left:right]
    moved = Box(box.x - left, box.y - top, box.w, box.h)
    assert (crop(part, moved, None, RULE) == crop(astronaut, box, None, RULE)).all()


def test_shifts_and_mirrors_move_whole_pixels(astronaut):
    box = Box(180.3, 100.7, 80.2, 101.9)
    plain = crop(astronaut, box, None, RULE)
    mirrored = warp(astronaut, face_matrix(box, None, RULE, Jitter(flip=True)), 96)
    assert any((mirrored[:, ::-1][:, 1:-1] == np.roll(plain, dx, 1)[:, 1:-1]).all() for dx in (-1, 0, 1))
    shifted = warp(astronaut, face_matrix(box, None, RULE, Jitter(shift_x=0.03, shift_y=-0.06)), 96)
    colours = {tuple(pixel) for pixel in astronaut.reshape(-1, 3)}
    assert all(tuple(pixel) in colours for pixel in shifted.reshape(-1, 3))


def test_a_small_face_is_enlarged_so_that_it_is_still_the_subject():
    for side in (20.0, 30.0, 47.0, 48.0, 100.0):
        scale = face_matrix(Box(100.0, 100.0, side, side), None, RULE)[0, 0]
        assert scale == pytest.approx(max(1.0, 96.0 / (NATIVE_MOST * side)))
