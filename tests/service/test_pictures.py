"""What a worker draws: heat maps lie where the report says."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import InputError
from deepfake_detector.service.jobs.messages import Task
from deepfake_detector.service.jobs.pictures import PREVIEW_SIDE, heatmap


def drawn(values, corners, width=100, height=80):
    answer = {
        "input": {"width": width, "height": height},
        "faces": [{"heatmap": {"values": values, "corners": corners}}],
    }
    return np.asarray(Image.open(io.BytesIO(heatmap(Task("heatmap", "", answer=json.dumps(answer))))))


def square(left, top, side):
    return [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]


def test_a_map_covers_its_square_and_nothing_else():
    pixels = drawn([[1.0, 1.0], [1.0, 1.0]], square(20, 10, 40))
    assert pixels.shape == (80, 100, 4)
    alpha = pixels[..., 3]
    assert alpha[20:40, 30:50].min() > 200
    assert alpha[:9].max() == alpha[:, 62:].max() == alpha[52:].max() == 0


def test_colours_say_for_and_against_and_strength():
    pixels = drawn([[2.0, -1.0]], square(0, 0, 80)).astype(int)
    left, right = pixels[40, 10], pixels[40, 70]
    assert left[0] > left[2]
    assert right[2] > right[0]
    assert left[3] > 1.5 * right[3] > 0


def test_a_map_of_zeros_is_transparent():
    assert drawn([[0.0, 0.0]], square(0, 0, 80))[..., 3].max() == 0


def test_a_map_of_a_large_picture_has_the_size_of_its_preview():
    pixels = drawn([[1.0]], square(1600, 0, 1600), 3200, 1600)
    assert pixels.shape == (PREVIEW_SIDE // 2, PREVIEW_SIDE, 4)
    assert pixels[400, 1200, 3] > 200
    assert pixels[400, 400, 3] == 0


@pytest.mark.parametrize("answer", ["{}", '{"input": {}, "faces": []}', '{"faces": [{"heatmap": {"values": "x"}}]}'])
def test_what_is_no_map_is_refused(answer):
    with pytest.raises(InputError, match="heat map"):
        heatmap(Task("heatmap", "", answer=answer))
