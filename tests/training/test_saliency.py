import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.explanation import MapMethod
from deepfake_detector.training.models.joined import Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.network import FAKE, FEATURE_MAP, HeadSpec, build_network
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.saliency import (
    KerasMaps,
    class_activation,
    grad_cam,
    grad_cam_plus_plus,
    input_gradient,
    network_of,
)

CROPS = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network():
    import keras

    keras.utils.set_random_seed(0)
    return build_network("mobilenetv2", BackboneSpec(size=64, alpha=0.35), HeadSpec())


def _logits(network):
    return network(CROPS, training=False)["fake"].numpy()


def test_the_activation_map_averages_to_the_logit(network):
    values = class_activation(network, CROPS)
    assert values.shape == (3, 2, 2)
    bias = float(network.get_layer(FAKE).bias.numpy()[0])
    assert values.mean(axis=(1, 2)) + bias == pytest.approx(_logits(network), abs=1e-5)


def test_the_map_of_a_joined_network_averages_to_its_logit(network):
    fake = SoftMaximum(np.diag([0.7, 1.4]), np.array([0.25, -0.5]))
    joined = joined_network([network, network], fake, Mixture(np.array([1.0, -1.0]), 0.0))
    assert class_activation(joined, CROPS).mean(axis=(1, 2)) == pytest.approx(_logits(joined), abs=1e-5)


def test_with_pooling_and_a_linear_head_grad_cam_is_the_activation_map(network):
    cells = 4
    expected = np.maximum(class_activation(network, CROPS), 0.0) / cells
    assert grad_cam(network, CROPS) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_grad_cam_plus_plus_follows_its_paper(network):
    """With the same gradient g everywhere, alpha is 1 / (2 + g * sum(A)), and the weight its sum times relu(g)."""
    import keras

    features = keras.Model(network.input, network.get_layer(FEATURE_MAP).output)(CROPS, training=False).numpy()
    gradient = network.get_layer(FAKE).kernel.numpy()[:, 0] / 4.0
    alpha = 1.0 / (2.0 + gradient * features.sum(axis=(1, 2)))
    weights = 4.0 * alpha * np.maximum(gradient, 0.0)
    expected = np.maximum((features * weights[:, None, None, :]).sum(axis=3), 0.0)
    assert grad_cam_plus_plus(network, CROPS) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_grad_cam_takes_any_layer(network):
    assert grad_cam(network, CROPS, "block_2_add").shape == (3, 16, 16)


def test_the_input_gradient_is_that_of_the_logit(network):
    """Against a finite difference: what is moved by the strongest place changes the logit, elsewhere less."""
    values = input_gradient(network, CROPS)
    assert values.shape == (3, 8, 8)
    assert (values >= 0.0).all()
    assert values.max() > 0.0
    crops, others = CROPS.copy(), CROPS.copy()
    for index, one in enumerate(values):
        for target, place in ((crops, one.argmax()), (others, one.argmin())):
            row, column = (8 * part for part in np.unravel_index(place, one.shape))
            part = target[index, row : row + 8, column : column + 8]
            part[:] = part // 2
    base = _logits(network)
    strong = np.abs(network(crops, training=False)["fake"].numpy() - base)
    weak = np.abs(network(others, training=False)["fake"].numpy() - base)
    assert strong.sum() > weak.sum()


def test_a_hidden_layer_has_no_activation_map_but_grad_cam():
    network = build_network("mobilenetv2", BackboneSpec(size=64, alpha=0.35), HeadSpec(dense=(4,)))
    with pytest.raises(ConfigError, match="grad-cam"):
        class_activation(network, CROPS)
    assert grad_cam(network, CROPS).shape == (3, 2, 2)


@pytest.mark.parametrize(
    "method", [MapMethod.CAM, MapMethod.GRAD_CAM, MapMethod.GRAD_CAM_PLUS_PLUS, MapMethod.GRADIENT]
)
def test_maps_of_many_crops_are_those_of_each(network, method):
    maker = KerasMaps(network, method)
    assert maker.method is method
    many = maker.maps(np.concatenate([CROPS] * 6))
    assert len(many) == 18
    assert many[-3:] == pytest.approx(KerasMaps(network, method).maps(CROPS), rel=1e-3, abs=1e-6)


def test_occlusion_is_not_a_method_of_keras(network):
    with pytest.raises(ConfigError, match="occlusion"):
        KerasMaps(network, MapMethod.OCCLUSION)


def test_a_run_that_is_not_finished_has_no_network(tmp_path):
    with pytest.raises(ConfigError, match="no finished network"):
        network_of(tmp_path)
