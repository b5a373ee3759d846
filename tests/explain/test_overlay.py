import io

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.explanation import Heatmap, MapMethod
from deepfake_detector.explain.overlay import STOPS, close_up, colours, overlay, raw_png, with_scale

GREY = np.full((100, 140, 3), 128, np.uint8)


def _heatmap(values, left=30.0, top=20.0, side=64.0, method=MapMethod.CAM):
    low, right, bottom = -0.5, left + side - 0.5, top + side - 0.5
    corners = ((left + low, top + low), (right, top + low), (right, bottom), (left + low, bottom))
    return Heatmap(method, tuple(tuple(row) for row in values), corners)


def _one_hot(row, column, value=1.0):
    values = [[0.0] * 8 for _ in range(8)]
    values[row][column] = value
    return values


def test_a_hot_cell_lands_on_its_pixels():
    drawn = overlay(GREY, [_heatmap(_one_hot(1, 6))])
    change = np.abs(drawn.astype(int) - 128).sum(axis=2)
    rows, columns = np.nonzero(change > 0.8 * change.max())
    assert rows.mean() == pytest.approx(20 + 1.5 * 8 - 0.5, abs=1.0)
    assert columns.mean() == pytest.approx(30 + 6.5 * 8 - 0.5, abs=1.0)


def test_outside_of_the_square_the_picture_stays_bit_for_bit():
    picture = np.random.default_rng(0).integers(0, 256, (100, 140, 3), dtype=np.uint8)
    drawn = overlay(picture, [_heatmap(np.ones((7, 7)))])
    changed = (drawn != picture).any(axis=2)
    assert changed[20:84, 30:94].mean() > 0.9
    changed[19:85, 29:95] = False
    assert not changed.any()


def test_a_square_that_leans_takes_its_map_with_it():
    corners = ((70.0, 10.0), (110.0, 50.0), (70.0, 90.0), (30.0, 50.0))  # turned by 45 degrees
    drawn = overlay(GREY, [Heatmap(MapMethod.CAM, tuple(tuple(row) for row in _one_hot(0, 0)), corners)])
    rows, columns = np.nonzero(np.abs(drawn.astype(int) - 128).sum(axis=2) > 30)
    assert rows.mean() == pytest.approx(10 + 5, abs=2.0)
    assert columns.mean() == pytest.approx(70, abs=1.5)


def test_a_square_that_reaches_out_of_the_picture_is_cut_off():
    drawn = overlay(GREY, [_heatmap(np.ones((7, 7)), left=-40.0, top=60.0)])
    assert (drawn[70:, :20] != 128).any()
    assert (drawn[:55] == 128).all()


def test_all_maps_share_one_scale():
    strong, weak = _heatmap(_one_hot(4, 4, 10.0), left=0.0), _heatmap(_one_hot(4, 4, 0.1), left=70.0)
    drawn = np.abs(overlay(GREY, [strong, weak]).astype(int) - 128).sum(axis=2)
    assert drawn[:, 70:].max() < drawn[:, :64].max() / 5


def test_a_map_of_zeros_shows_the_face():
    assert (overlay(GREY, [_heatmap(np.zeros((7, 7)))]) == GREY).all()
    assert (overlay(GREY, []) == GREY).all()


def test_a_close_up_shows_the_square_and_a_little_more():
    shown = close_up(GREY, _heatmap(_one_hot(4, 4, 5.0)), 200)
    assert shown.plain.shape == shown.overlay.shape
    assert max(shown.plain.shape[:2]) == 200
    assert shown.limit == 5.0
    assert shown.scale.shape[1] == shown.plain.shape[1]
    assert (shown.plain == 128).all()
    assert (shown.overlay != 128).any()


def test_a_close_up_at_the_corner_of_the_picture_stays_in_it():
    shown = close_up(GREY, _heatmap(np.ones((7, 7)), left=-30.0, top=-30.0), 100)
    assert min(shown.plain.shape[:2]) >= 50


def test_the_scale_runs_from_real_to_fake():
    ends = colours(np.array([[-2.0, 0.0, 2.0, 99.0]], np.float32), 2.0)[0]
    assert ends.tolist() == [list(STOPS[0]), list(STOPS[3]), list(STOPS[-1]), list(STOPS[-1])]
    drawn = with_scale(GREY, 2.0)
    assert drawn.shape[1] == 140
    assert drawn.shape[0] > 100
    assert (drawn[:100] == GREY).all()


# Machado, Oliveira & Fernandes 2009, severity 1.0, for linear RGB.
BLINDNESS = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("matrix", BLINDNESS.values(), ids=BLINDNESS)
def test_colour_blind_readers_can_tell_the_two_sides_apart(matrix):
    from skimage.color import deltaE_ciede2000, rgb2lab

    values = np.linspace(-1.0, 1.0, 21, dtype=np.float32)
    srgb = colours(values[None], 1.0)[0] / 255.0
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(matrix).T, 0.0, 1.0)
    lab = rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055)[None])[0]
    for index in range(7):  # beyond 30 % of the scale, each value and its opposite
        assert deltaE_ciede2000(lab[index], lab[-1 - index]) > 15.0


def test_the_raw_map_can_be_read_back():
    heatmap = _heatmap([[-2.0, 0.0], [1.0, 4.0]], method=MapMethod.OCCLUSION)
    image = Image.open(io.BytesIO(raw_png(heatmap)))
    assert image.mode.startswith("I;16")
    assert image.text["method"] == "occlusion"
    values = (np.asarray(image).astype(float) - 32768.0) / 32767.0 * float(image.text["limit"])
    assert values == pytest.approx(heatmap.as_array(), abs=4.0 / 32767)


def test_a_raw_map_of_zeros_is_all_middle():
    image = Image.open(io.BytesIO(raw_png(_heatmap(np.zeros((2, 2))))))
    assert (np.asarray(image) == 32768).all()
