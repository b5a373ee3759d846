"""The networks: shapes, names of blocks, what learns, and normalisation that is in the graph."""

import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.models.mobilenetv2 import build
from deepfake_detector.training.models.network import (
    HeadSpec,
    begin_as_identity,
    blocks,
    build_network,
    features_model,
    freeze_all_but_heads,
    head_model,
    linear_head,
    settle_batchnorm,
    unfreeze_from,
)
from deepfake_detector.training.models.spec import PLUS_MINUS_ONE, BackboneSpec, Padding

SMALL = BackboneSpec(size=64, alpha=0.35)


@pytest.fixture(scope="module")
def network():
    return build_network("mobilenetv2", SMALL, HeadSpec())


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("padding", list(Padding))
@pytest.mark.parametrize("size", [64, 96])
def test_backbone_shrinks_by_32(padding, size):
    backbone = build(BackboneSpec(size=size, alpha=0.35, padding=padding))
    assert backbone.output_shape == (None, size // 32, size // 32, 1280)


def test_shrinking_first_is_averaging_blocks(images):
    import keras

    keras.utils.set_random_seed(0)
    whole, half = build(BackboneSpec(size=32, alpha=0.35)), build(BackboneSpec(size=64, alpha=0.35, shrink=2))
    half.set_weights(whole.get_weights())
    # Averages of equal pixels are whole numbers, so that they can be given to the other network as a picture.
    small = images[:, ::2, ::2]
    large = small.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(half.predict(large, verbose=0), whole.predict(small, verbose=0), atol=1e-5)


def test_full_width_has_the_parameters_of_the_paper():
    import keras

    ours = build(BackboneSpec(size=64))
    theirs = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(64, 64, 3))
    assert ours.count_params() == theirs.count_params() == 2_257_984


@pytest.mark.parametrize(
    ("spec", "low", "high"), [(SMALL, -2.118, 2.640), (BackboneSpec(64, 0.35, normalisation=PLUS_MINUS_ONE), -1, 1)]
)
def test_normalisation_is_in_the_graph(spec, low, high):
    import keras

    backbone = build(spec)
    normalise = keras.Model(backbone.input, backbone.get_layer("normalise").output)
    extremes = np.stack([np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)])
    values = np.asarray(normalise(extremes))
    assert values.dtype == np.float32
    assert (values.min(), values.max()) == pytest.approx((low, high), abs=1e-3)


def test_two_logits_for_each_picture(network, images):
    logits = network(images)
    assert {key: tuple(value.shape) for key, value in logits.items()} == {"fake": (3,), "kind": (3,)}
    assert linear_head(network)


def test_parts_together_are_the_whole(network, images):
    features = features_model(network)(images)
    assert tuple(features.shape) == (3, 1280)
    np.testing.assert_allclose(head_model(network)(features)["fake"], network(images)["fake"], atol=1e-6)


def test_dense_head():
    network = build_network("mobilenetv2", SMALL, HeadSpec(dense=(16, 8), dropout=0.5, l2=0.01))
    assert not linear_head(network)
    assert network.get_layer("dense_2").output.shape == (None, 8)
    assert len(network.losses) == 4


def test_head_training_leaves_the_backbone_alone(network):
    freeze_all_but_heads(network)
    assert {v.path for v in network.trainable_variables} == {
        f"{head}_logit/{part}" for head in ("fake", "kind") for part in ("kernel", "bias")
    }


def test_fine_tuning_from_a_block_leaves_batchnorm_alone(network, images):
    unfreeze_from(network, "block_13")
    learning = {variable.path.split("/")[0] for variable in network.trainable_variables}
    assert "block_13_expand" in learning
    assert "Conv_1" in learning
    assert "fake_logit" in learning
    assert not [name for name in learning if "bn" in name.lower() or name.startswith("block_12")]
    before = [v.numpy() for v in network.non_trainable_variables if "moving" in v.path]
    network(images, training=True)
    after = [v.numpy() for v in network.non_trainable_variables if "moving" in v.path]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_all_learns_everything_but_batchnorm(network):
    unfreeze_from(network, "all")
    assert sum(1 for v in network.trainable_variables if v.path.endswith("kernel")) == 52 + 2


@pytest.mark.parametrize("block", ["block_17", "block", "conv", ""])
def test_block_that_does_not_exist(network, block):
    with pytest.raises(ConfigError, match=r"block_1, block_2, .* block_16"):
        unfreeze_from(network, block)


def test_block_1_is_not_block_16(network):
    unfreeze_from(network, "block_1")
    assert network.get_layer("block_1_expand").trainable
    assert not network.get_layer("expanded_conv_project").trainable
    assert blocks(network) == [f"block_{number}" for number in range(1, 17)]


def test_unknown_backbone():
    with pytest.raises(ConfigError, match="mobilenetv2"):
        build_network("mobilenetv9", SMALL, HeadSpec())


def test_settled_statistics_wake_random_weights(images):
    network = build_network("mobilenetv2", SMALL, HeadSpec())
    features = features_model(network)
    asleep = float(np.std(features(images)))
    settle_batchnorm(network, [(images,)] * 24)
    assert asleep < 1e-6
    assert float(np.std(features(images))) > 0.01
    assert not any(layer.trainable for layer in network.layers if "bn" in layer.name.lower())


def test_a_deep_network_begins_with_its_residual_branches_switched_off():
    network = build_network("resnet50", BackboneSpec(size=32), HeadSpec())
    begin_as_identity(network)
    scales = {layer.name: np.asarray(layer.gamma) for layer in network.layers if hasattr(layer, "gamma")}
    off = {name for name, scale in scales.items() if not scale.any()}
    assert off == {name for name in scales if name.endswith("_3_bn")}
    assert len(off) == 16


def test_other_networks_begin_as_they_are():
    network = build_network("mobilenetv2", SMALL, HeadSpec())
    before = network.get_weights()
    begin_as_identity(network)
    assert all(np.array_equal(old, new) for old, new in zip(before, network.get_weights(), strict=True))
