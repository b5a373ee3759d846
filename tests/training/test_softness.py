"""How sharp a picture is, and what a joined network makes of it, in Keras and in its model file."""

import cv2
import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.explain.gradient import with_fine_map
from deepfake_detector.training.config import check_config
from deepfake_detector.training.export import check_parity, to_onnx
from deepfake_detector.training.models.joined import Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.network import HeadSpec, build_network
from deepfake_detector.training.models.softness import Softness, sharpness
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.saliency import class_activation

SIDE = 128


@pytest.fixture(scope="module")
def photos(astronaut):
    """A real face at 128 px, and the same blurred, halved, packed and darkened; (5, 128, 128, 3)."""
    face = cv2.resize(astronaut[20:220, 120:320], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    half = cv2.resize(cv2.resize(face, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), (SIDE, SIDE))
    packed = cv2.imdecode(cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, 90])[1], cv2.IMREAD_COLOR)
    return np.stack([face, cv2.GaussianBlur(face, (0, 0), 2.0), half, packed, (face * 0.6).astype(np.uint8)])


def test_blur_and_enlargement_make_soft_and_light_does_not(photos):
    sharp, blurred, half, packed, dark = np.asarray(sharpness(photos)).tolist()
    assert blurred < half < sharp - 0.15
    assert packed == pytest.approx(sharp, abs=0.1)
    assert dark == pytest.approx(sharp, abs=0.05)


def test_a_single_colour_is_no_fault():
    flat = np.full((2, SIDE, SIDE, 3), 90, np.uint8)
    assert np.isfinite(np.asarray(sharpness(flat))).all()


def test_it_begins_where_it_says_and_ends(photos):
    found = np.asarray(sharpness(photos))
    soft = Softness(voice=1, times=8.0, begins=float(found[0]), over=float(found[0] - found[2]))
    assert soft.cost(3) == pytest.approx([0.0, np.log(8.0), 0.0])
    share = np.asarray(soft.share(photos))[:, 0]
    np.testing.assert_allclose(share[:3], [0.0, 1.0, 1.0], atol=1e-5)
    assert np.asarray(Softness(1, 8.0, float(found[0]), 2 * soft.over).share(photos))[2, 0] == pytest.approx(0.5)


@pytest.fixture(scope="module")
def branches():
    import keras

    keras.utils.set_random_seed(4)
    spec = BackboneSpec(size=SIDE, alpha=0.35)
    return [build_network("mobilenetv2", spec, HeadSpec()) for _ in range(2)]


def test_a_joined_network_and_its_file_quieten_one_voice(branches, photos):
    fake, kind = SoftMaximum(np.diag([3.0, 2.0]), np.array([0.5, -0.5])), Mixture(np.array([1.0, -1.0]), 0.0)
    begins = float(np.asarray(sharpness(photos))[0]) - 0.05
    soft = Softness(0, 20.0, begins, 0.5)
    plain, quiet = joined_network(branches, fake, kind), joined_network(branches, fake, kind, soft)
    share = np.asarray(soft.share(photos))[:, 0]
    assert share[0] == 0.0
    assert share[1] > share[2] > 0.05

    file = to_onnx(quiet)
    assert check_parity(quiet, file, photos) < 1e-4
    before = open_session(to_onnx(plain), "m").run(["voices"], {"image": photos})[0]
    voices, logit, cam = open_session(file, "m").run(["voices", "fake_logit", "cam"], {"image": photos})
    np.testing.assert_allclose(before[:, 0] - voices[:, 0], np.log(20.0) * share, atol=1e-4)
    np.testing.assert_allclose(before[:, 1], voices[:, 1], atol=1e-5)
    np.testing.assert_allclose(logit, np.logaddexp.reduce(voices, axis=1), atol=1e-5)
    np.testing.assert_allclose(cam, class_activation(quiet, photos), atol=1e-3)

    # Each voice's part of the finer map follows, too: all of the first one's is in the map where the second is silent.
    finer = with_fine_map(file, "cam")
    assert finer is not None
    fine = open_session(finer[0], "m").run([finer[1]], {"image": photos})[0]
    np.testing.assert_allclose(fine.mean(axis=(1, 2)), logit, atol=1e-3)


def test_a_kind_for_which_nobody_speaks_is_refused():
    join = {"branches": ["a", "b"], "kinds": ["manipulated", "manipulated"], "soft": {"begins": -1.0}}
    with pytest.raises(ConfigError, match="no branch speaks"):
        check_config({"data": {"source": "x"}, "join": join}, "a test")
