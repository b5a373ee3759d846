import numpy as np
import pytest

from deepfake_detector.media.reencode import LIGHT


@pytest.mark.parametrize("name", LIGHT)
def test_a_light_way_of_saving_changes_little_but_something(name, astronaut):
    part = astronaut[40:240, 150:303]
    again = LIGHT[name](part)
    assert again.shape == part.shape
    assert again.dtype == np.uint8
    change = np.abs(again.astype(int) - part).mean()
    assert 0.2 < change < 8.0
    # The channels stay in their order.
    assert np.abs(again.reshape(-1, 3).mean(axis=0) - part.reshape(-1, 3).mean(axis=0)).max() < 1.0


@pytest.mark.parametrize("name", LIGHT)
def test_a_picture_of_one_pixel_survives(name):
    assert LIGHT[name](np.full((1, 1, 3), 90, np.uint8)).shape == (1, 1, 3)
