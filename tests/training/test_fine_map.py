"""The finer map that a model file gives, against the gradients of Keras; here, because only training has Keras."""

import numpy as np
import pytest

from deepfake_detector.core.onnx import open_session
from deepfake_detector.explain.gradient import with_fine_map
from deepfake_detector.explain.maps import LayerMaps
from deepfake_detector.training.export import to_onnx
from deepfake_detector.training.models.joined import Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.network import HeadSpec, build_network, settle_batchnorm
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.saliency import class_activation, layer_cam

CROPS = np.random.default_rng(1).integers(0, 256, (5, 128, 128, 3), dtype=np.uint8)


def _network(seed, backbone="mobilenetv2", **options):
    import keras

    keras.utils.set_random_seed(seed)
    network = build_network(backbone, BackboneSpec(size=128, alpha=0.35, **options), HeadSpec())
    settle_batchnorm(network, [(CROPS,)] * 24)
    return network


@pytest.fixture(scope="module")
def single():
    return _network(0)


@pytest.fixture(scope="module")
def joined(single):
    """Three branches, two of which speak with one voice, and one of which looks at half the size."""
    weights = np.array([[0.7, 0.0], [0.0, 0.5], [0.0, 1.4]])
    fake = SoftMaximum(weights, np.array([0.25, -0.5]))
    branches = [single, single, _network(1, shrink=2)]
    return joined_network(branches, fake, Mixture(np.array([1.0, -1.0, 0.5]), 0.0))


@pytest.fixture(scope="module")
def with_levels(single):
    """The head of the second branch sees several levels, so that the finer map is the first one's alone."""
    fake = SoftMaximum(np.array([[0.7], [0.3]]), np.array([0.1]))
    return joined_network([single, _network(2, "mobilenetv2-levels")], fake, Mixture(np.array([1.0, 1.0]), 0.0))


@pytest.mark.parametrize("name", ["single", "joined", "with_levels"])
def test_it_is_what_the_gradients_of_keras_say(name, request):
    network = request.getfixturevalue(name)
    exported = to_onnx(network)
    model, output = with_fine_map(exported, "cam")
    fake, cam, fine = open_session(model, "m").run(["fake_logit", "cam", output], {"image": CROPS})
    expected = layer_cam(network, CROPS)
    assert fine.shape == (5, 8, 8)
    assert fine.std() > 0.01
    moved = (cam.mean(axis=(1, 2)) - expected.mean(axis=(1, 2)))[:, None, None]
    np.testing.assert_allclose(fine, expected + moved, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_allclose(cam, class_activation(network, CROPS), atol=1e-3)
    # The answer is that of the model that was scored with.
    np.testing.assert_allclose(fake, open_session(exported, "m").run(["fake_logit"], {"image": CROPS})[0], atol=1e-5)
    maps = LayerMaps.of(exported, "cam", threads=1).maps(CROPS)
    assert maps.mean(axis=(1, 2)) == pytest.approx(cam.mean(axis=(1, 2)), abs=1e-4)
    assert np.corrcoef(maps.ravel(), fine.ravel())[0, 1] > 0.5
