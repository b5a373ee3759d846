import numpy as np
import pytest

from deepfake_detector.explain.maps import OcclusionMaps, blurred, enlarged, mix


def _redness_of_a_corner(crops):
    """A network that looks at nothing but red in the upper left quarter."""
    return crops[:, :28, :28, 0].mean(axis=(1, 2)).astype(np.float32) / 8.0


def test_occlusion_finds_what_the_network_looks_at():
    crop = np.zeros((56, 56, 3), np.uint8)
    crop[4:20, 4:20] = (255, 0, 0)
    (values,) = OcclusionMaps(_redness_of_a_corner).maps(crop[None])
    assert values.shape == (7, 7)
    assert values.dtype == np.float32
    row, column = np.unravel_index(values.argmax(), values.shape)
    assert (row, column) in {(1, 1), (1, 2), (2, 1), (0, 1), (1, 0)}
    assert values.max() > 1.0
    # What the network does not look at changes nothing.
    assert np.abs(values[5:, 5:]).max() == pytest.approx(0.0, abs=1e-6)


def test_occlusion_is_what_the_logit_loses():
    crop = np.random.default_rng(0).integers(0, 256, (56, 56, 3), dtype=np.uint8)
    seen = []

    def logits(crops):
        seen.append(crops)
        return _redness_of_a_corner(crops)

    (values,) = OcclusionMaps(logits, cells=2).maps(crop[None])
    (given,) = seen
    assert len(given) == 5
    assert (given[0] == crop).all()
    found = _redness_of_a_corner(given)
    assert values.ravel() == pytest.approx(found[0] - found[1:])


def test_no_crops_have_no_maps():
    assert OcclusionMaps(_redness_of_a_corner, cells=3).maps(np.zeros((0, 56, 56, 3), np.uint8)).shape == (0, 3, 3)


def test_blur_keeps_the_colours_and_nothing_else():
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    assert blurred(crop).mean() == pytest.approx(crop.mean(), abs=1.5)
    assert blurred(crop).std() < crop.std() / 10


def test_mix_follows_its_mask():
    under, over = np.full((2, 2, 3), 10, np.uint8), np.full((2, 2, 3), 20, np.uint8)
    mixed = mix(under, over, np.array([[0.0, 1.0], [0.5, 0.0]], np.float32))
    assert mixed[..., 0].tolist() == [[10, 20], [15, 10]]


def test_a_cell_lies_in_its_place_when_it_is_enlarged():
    values = np.zeros((7, 7), np.float32)
    values[2, 5] = 1.0
    fine = enlarged(values, 224)
    rows, columns = np.nonzero(fine > 0.9)
    assert rows.mean() == pytest.approx(2.5 * 32 - 0.5, abs=1.0)
    assert columns.mean() == pytest.approx(5.5 * 32 - 0.5, abs=1.0)
