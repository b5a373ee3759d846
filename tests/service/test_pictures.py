"""What a worker draws: heat maps lie where the report says, and reports say how to get the same again."""

import io
import json

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import InputError
from deepfake_detector.core.settings import AnalysisSettings, Limits
from deepfake_detector.pipeline import Detector
from deepfake_detector.report.schema import to_json
from deepfake_detector.service.jobs.messages import Task, command
from deepfake_detector.service.jobs.pictures import PREVIEW_SIDE, heatmap

LIMITS = Limits()


@pytest.fixture(scope="module")
def answer(portrait, tiny_bundle):
    settings = AnalysisSettings(threads=1, explain=True)
    return json.loads(to_json(Detector(str(tiny_bundle), settings).analyze(portrait)))


@pytest.fixture
def drawn(answer):
    """``drawn(values, corners, width=…, height=…)``: the map of a face of a grey picture, as RGBA."""

    def draw(values, corners, width=100, height=80):
        (face,) = answer["faces"]
        changed = face["heatmap"] | {"values": values, "corners": corners}
        task = Task("heatmap", "", answer=json.dumps(answer | {"faces": [face | {"heatmap": changed}]}))
        buffer = io.BytesIO()
        Image.new("RGB", (width, height), (128, 128, 128)).save(buffer, "PNG")
        return np.asarray(Image.open(io.BytesIO(heatmap(task, buffer.getvalue(), LIMITS))))

    return draw


def square(left, top, side):
    return [[left, top], [left + side, top], [left + side, top + side], [left, top + side]]


def test_a_map_covers_its_square_and_nothing_else(drawn):
    pixels = drawn([[1.0, 1.0], [1.0, 1.0]], square(20, 10, 40))
    assert pixels.shape == (80, 100, 4)
    alpha = pixels[..., 3]
    assert alpha[12:48, 22:58].min() == 255
    assert alpha[:9].max() == alpha[:, 62:].max() == alpha[52:].max() == 0


def test_colours_say_for_fake_and_for_real_and_nothing_where_it_is_zero(drawn):
    pixels = drawn([[2.0, 0.0, -2.0]], square(0, 0, 80)).astype(int)
    fake, nothing, real = pixels[40, 5], pixels[40, 39], pixels[40, 74]
    assert fake[0] > fake[2] + 60
    assert real[2] > real[1] + 60
    assert np.ptp(nothing[:3]) < 12


def test_a_map_of_a_large_picture_has_the_size_of_its_preview(drawn):
    pixels = drawn([[1.0]], square(1600, 0, 1600), 3200, 1600)
    assert pixels.shape == (PREVIEW_SIDE // 2, PREVIEW_SIDE, 4)
    assert pixels[400, 1200, 3] == 255
    assert pixels[400, 400, 3] == 0


def test_an_answer_without_this_map_is_refused(answer, portrait):
    with pytest.raises(InputError, match="no heat map"):
        heatmap(Task("heatmap", "", answer=json.dumps(answer), face=1), portrait, LIMITS)
    with pytest.raises(InputError, match="cannot be read"):
        heatmap(Task("heatmap", "", answer="{}"), portrait, LIMITS)


def test_the_command_repeats_the_options_and_is_safe_to_paste():
    plain = command(Task("report", "", "my photo; rm -rf.jpg"))
    assert plain == "deepfake explain 'my photo; rm -rf.jpg' --output case --operating-point fpr5"
    other = command(Task("report", "", "a.jpg", "fpr1", 0.1, all_faces=True))
    assert other == "deepfake explain a.jpg --output case --operating-point fpr1 --prior 0.1 --all-faces"
