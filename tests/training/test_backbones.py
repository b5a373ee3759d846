"""One contract for all backbones: shapes, both phases, checkpoints, freezing, the model file, maps, any batch."""

import sys
from types import ModuleType

import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError, WeightsError
from deepfake_detector.core.onnx import open_session, refuse_unsafe
from deepfake_detector.training.config import LossConfig, TrainPhase
from deepfake_detector.training.export import TOLERANCE, check_parity, to_onnx
from deepfake_detector.training.models import BACKBONES, find_backbone
from deepfake_detector.training.models.network import (
    FAKE,
    FEATURE_MAP,
    HeadSpec,
    backbone_of,
    blocks,
    build_network,
    freeze_all_but_heads,
    head_model,
    unfreeze_from,
)
from deepfake_detector.training.models.spec import IMAGENET, BackboneSpec
from deepfake_detector.training.phases import choose_what_learns
from deepfake_detector.training.saliency import attention_rollout, class_activation
from deepfake_detector.training.steps import Stepper
from deepfake_detector.training.weights import network_with_weights

SMALLEST = {
    "traces": 0.25,
    "mobilenetv2": 0.35,
    "mobilenetv2-levels": 0.35,
    "mobilenetv3-small": 0.35,
    "mobilenetv3-large": 0.35,
}
"""The narrowest of a family that can be narrowed."""

QUICK = (
    "mobilenetv2",
    "mobilenetv2-levels",
    "mobilenetv3-small",
    "efficientnet-b0",
    "vit-tiny",
    "mesonet",
    "mesoinception",
    "traces",
)
LARGE = ("resnet50", "convnext-tiny", "xception", "densenet121", "efficientnetv2-b0")
"""The smallest of families whose smallest is large: the slow half of the contract is for the slow tests."""

SIZES = (64, 96)


def images(size, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def batch(size):
    answers = {key: np.array([0.0, 1.0], np.float32) for key in ("fake", "kind")}
    weights = {key: np.ones(2, np.float32) for key in ("fake", "kind")}
    return images(size), answers, weights


def build(name, size):
    return build_network(name, BackboneSpec(size=size, alpha=SMALLEST.get(name, 1.0)), HeadSpec())


@pytest.fixture(scope="class")
def network(name):
    """Built once for all tests of a class."""
    import keras

    keras.utils.set_random_seed(0)
    return build(name, SIZES[0])


class HalfContract:
    """What costs little to find out."""

    def test_it_is_frozen_and_unfrozen_by_block(self, network):
        import keras

        names = blocks(network)
        assert len(names) > 3
        assert backbone_of(network).from_block in {*names, "all"}
        counts = []
        for block in (names[-1], names[len(names) // 2], names[0], "all"):
            unfreeze_from(network, block)
            counts.append(len(network.trainable_variables))
            norms = [one for one in network.layers if isinstance(one, keras.layers.BatchNormalization)]
            assert not any(norm.trainable for norm in norms)
        assert counts == sorted(counts)
        assert counts[0] < counts[2]
        with pytest.raises(ConfigError, match=names[0]):
            unfreeze_from(network, "block_99")

    def test_its_activation_map_adds_up_to_the_logit(self, network):
        pictures = images(SIZES[0])
        maps = class_activation(network, pictures)
        bias = float(network.get_layer(FAKE).bias.numpy()[0])
        logits = network(pictures, training=False)["fake"].numpy()
        assert maps.mean(axis=(1, 2)) + bias == pytest.approx(logits, abs=1e-4)


class Contract(HalfContract):
    """What every backbone can do."""

    def test_it_is_built_at_two_sizes(self, name, network):
        small, large = network, build(name, SIZES[1])
        shapes = [one.get_layer(FEATURE_MAP).output.shape for one in (small, large)]
        assert all(len(shape) == 4 and None not in shape[1:] for shape in shapes)
        if not name.startswith("meso"):  # whose last layer is as large as its input
            assert shapes[1][1] > shapes[0][1]
            assert small.count_params() == large.count_params() - (large_positions(large) - large_positions(small))
        logits = large(images(SIZES[1]), training=False)
        assert {key: value.shape for key, value in logits.items()} == {"fake": (2,), "kind": (2,)}
        assert np.isfinite(logits["fake"]).all()

    def test_one_step_of_each_phase(self, network, optimizer):
        pictures, answers, weights = batch(SIZES[0])
        freeze_all_but_heads(network)
        before = values(network)
        features = np.ones((2, network.get_layer(FAKE).kernel.shape[0]), np.float32)
        Stepper(head_model(network), optimizer(), LossConfig()).train(features, answers, weights)
        after = values(network)
        assert changed(before, after) == {"fake_logit", "kind_logit"}
        choose_what_learns(network, TrainPhase())
        loss = Stepper(network, optimizer(), LossConfig()).train(pictures, answers, weights)
        assert np.isfinite(float(loss))
        moved = changed(after, values(network))
        assert moved >= {"fake_logit", "kind_logit"}
        assert moved <= {path.split("/")[0] for path in paths(network.trainable_variables)}
        assert len(moved) > 2

    def test_it_is_saved_and_loaded(self, network, tmp_path):
        import keras

        network.save(tmp_path / "network.keras")
        again = keras.models.load_model(tmp_path / "network.keras", compile=False)
        expected = network(images(SIZES[0]), training=False)["fake"].numpy()
        assert again(images(SIZES[0]), training=False)["fake"].numpy() == pytest.approx(expected, abs=1e-6)
        assert blocks(again) == blocks(network)

    def test_its_model_file_answers_the_same_to_any_batch(self, network):
        model = to_onnx(network)
        refuse_unsafe(model, "a test")
        assert check_parity(network, model, images(SIZES[0], 3)) <= TOLERANCE
        session = open_session(model, "a test")
        many = images(SIZES[0], 5)
        together = session.run(["fake_logit"], {"image": many})[0]
        alone = np.concatenate([session.run(["fake_logit"], {"image": many[i : i + 1]})[0] for i in range(5)])
        assert together == pytest.approx(alone, abs=1e-4)


def large_positions(network):
    """Weights of the positions, which a transformer has more of for a larger picture."""
    from deepfake_detector.training.models.vit import POSITIONS

    return sum(one.count_params() for one in network.layers if one.name == POSITIONS)


def paths(variables):
    return [variable.path for variable in variables]


def values(network):
    return {variable.path: variable.numpy() for variable in network.weights}


def changed(before, after):
    """The layers whose weights are not what they were."""
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


@pytest.fixture
def optimizer():
    import keras

    return lambda: keras.optimizers.AdamW(1e-3)


@pytest.mark.parametrize("name", QUICK, scope="class")
class TestEachFamily(Contract):
    pass


@pytest.mark.parametrize("name", LARGE, scope="class")
class TestLargeFamilies(HalfContract):
    pass


@pytest.mark.slow
@pytest.mark.timeout(1800)  # minutes, where other programs want the cores, too
@pytest.mark.parametrize("name", [name for name in BACKBONES if name not in QUICK], scope="class")
class TestTheOthers(Contract):
    pass


PREPROCESSED = {"xception": "xception", "densenet121": "densenet", "resnet50": "resnet"}
"""Whose pictures a function of keras.applications prepares; the other networks do it inside."""


def as_published(name):
    """The network as keras.applications makes it by default, but for its weights."""
    import keras

    builder = getattr(keras.applications, BACKBONES[name].application.builder)
    return builder(weights=None, include_top=False, input_shape=(96, 96, 3))


def prepared(name, pictures):
    """Pictures as its documentation wants them."""
    import keras

    pictures = pictures.astype(np.float32)
    module = PREPROCESSED.get(name)
    return pictures if module is None else getattr(keras.applications, module).preprocess_input(pictures)


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv3-small",
        "efficientnet-b0",
        pytest.param("efficientnetv2-b0", marks=pytest.mark.slow),
        pytest.param("resnet50", marks=pytest.mark.slow),
        pytest.param("convnext-tiny", marks=pytest.mark.slow),
        pytest.param("xception", marks=pytest.mark.slow),
        pytest.param("densenet121", marks=pytest.mark.slow),
    ],
)
def test_weights_of_keras_applications_give_the_same_features(name, tmp_path):
    """Preprocessing, the order of colours and of layers: a file of theirs answers as theirs does."""
    import keras

    theirs = as_published(name)
    rng = np.random.default_rng(0)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
        if isinstance(layer, keras.layers.Normalization) and layer.weights:  # as in the published file
            mean, variance = IMAGENET.mean, np.square(IMAGENET.deviation)
            layer.set_weights([np.array(mean), variance, np.array(0)])
            layer.finalize_state()
    file = tmp_path / "theirs.weights.h5"
    theirs.save_weights(file)
    network = network_with_weights(name, str(file), 96, 1.0, HeadSpec())
    ours = keras.Model(network.input, network.get_layer(FEATURE_MAP).output)(images(96), training=False)
    expected = theirs(prepared(name, images(96)), training=False)
    assert float(np.std(expected)) > 1e-3
    scale = float(np.abs(expected).max())
    assert np.asarray(ours) / scale == pytest.approx(np.asarray(expected) / scale, abs=1e-3)


def test_weights_of_another_network_are_refused(tmp_path):
    import keras

    theirs = keras.applications.MobileNetV3Large(weights=None, include_top=False, alpha=0.35, input_shape=(64, 64, 3))
    theirs.save_weights(tmp_path / "large.weights.h5")
    with pytest.raises(WeightsError, match="mobilenetv3-small"):
        network_with_weights("mobilenetv3-small", str(tmp_path / "large.weights.h5"), 64, 0.35, HeadSpec())


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("vit-tiny", "imagenet", "keras.applications has no vit-tiny.*'random' to begin from nothing"),
        ("mesonet", "theirs.h5", "keras.applications has no mesonet"),
        ("efficientnet-b0", "imagenet-torchvision", "are weights of mobilenetv2"),
        ("efficientnet-b0", "own", "only a backbone of your own"),
    ],
)
def test_weights_that_there_are_not(name, weights, message):
    with pytest.raises(WeightsError, match=message):
        network_with_weights(name, weights, 64, 1.0, HeadSpec())


def test_a_width_that_there_is_not():
    with pytest.raises(ConfigError, match=r"vit-tiny has one width only; set model\.alpha to 1"):
        build_network("vit-tiny", BackboneSpec(size=64, alpha=0.5), HeadSpec())


@pytest.fixture
def own_module(monkeypatch):
    """A module with backbones of one's own, good and bad."""
    import keras

    def good(spec):
        image = keras.Input((spec.size, spec.size, 3), dtype="uint8")
        x = keras.layers.Rescaling(1 / 255.0)(image)
        for number in (1, 2):
            tenths = keras.initializers.Constant(0.1)
            x = keras.layers.Conv2D(4, 3, 2, "same", kernel_initializer=tenths, name=f"block_{number}_conv")(x)
        return keras.Model(image, x)

    def pooled(spec):
        image = keras.Input((spec.size, spec.size, 3), dtype="uint8")
        return keras.Model(image, keras.layers.GlobalAveragePooling2D()(image))

    def floats(spec):
        image = keras.Input((spec.size, spec.size, 3))
        return keras.Model(image, keras.layers.Conv2D(4, 3)(image))

    module = ModuleType("my_networks")
    module.good, module.pooled, module.floats, module.number = good, pooled, floats, lambda spec: 7
    monkeypatch.setitem(sys.modules, "my_networks", module)


def test_a_backbone_of_ones_own(own_module, tmp_path):
    network = network_with_weights("my_networks:good", "own", 64, 1.0, HeadSpec())
    assert blocks(network) == ["block_1", "block_2"]
    assert network.get_layer("block_1_conv").get_weights()[0].min() == np.float32(0.1)
    unfreeze_from(network, None)
    assert len(network.trainable_variables) == 8
    network.save(tmp_path / "own.keras")
    again = network_with_weights("my_networks:good", str(tmp_path / "own.keras"), 64, 1.0, HeadSpec())
    assert check_parity(again, to_onnx(again), images(64)) <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_networks:nothing", "PYTHONPATH"),
        ("no_such_module_here:build", "PYTHONPATH"),
        ("my_networks:number", "no Keras model"),
        ("my_networks:floats", "must take uint8 pictures"),
        ("my_networks:pooled", "must give a map"),
        ("my_networks", "package.module:function"),
    ],
)
def test_what_is_no_backbone(own_module, name, message):
    with pytest.raises(ConfigError, match=message):
        find_backbone(name).build(BackboneSpec(size=64))


@pytest.fixture(scope="module")
def transformer():
    import keras

    keras.utils.set_random_seed(0)
    return build_network("vit-tiny", BackboneSpec(size=64), HeadSpec())


def test_only_the_norms_of_a_transformer_learn(transformer):
    choose_what_learns(transformer, TrainPhase(tune="norms", from_block="all"))
    learning = {path.split("/")[0] for path in paths(transformer.trainable_variables)}
    assert learning == {*(f"block_{n}_norm_{i}" for n in range(1, 13) for i in (1, 2)), "norm", FAKE, "kind_logit"}
    choose_what_learns(transformer, TrainPhase(tune="norms", from_block="block_12"))
    learning = {path.split("/")[0] for path in paths(transformer.trainable_variables)}
    assert learning == {"block_12_norm_1", "block_12_norm_2", "norm", FAKE, "kind_logit"}


def test_a_linear_probe_learns_the_head_alone(transformer):
    choose_what_learns(transformer, TrainPhase(tune="head"))
    assert {path.split("/")[0] for path in paths(transformer.trainable_variables)} == {FAKE, "kind_logit"}


def test_norms_alone_need_norms():
    network = build_network("mesonet", BackboneSpec(size=64), HeadSpec())
    with pytest.raises(ConfigError, match="no LayerNormalization learns"):
        choose_what_learns(network, TrainPhase(tune="norms"))


def test_positions_are_interpolated_for_another_size(transformer, tmp_path):
    transformer.save(tmp_path / "vit.keras")
    larger = network_with_weights("vit-tiny", str(tmp_path / "vit.keras"), 96, 1.0, HeadSpec())
    assert larger.get_layer(FEATURE_MAP).output.shape == (None, 6, 6, 192)
    old, new = (one.get_layer("positions").get_weights()[1] for one in (transformer, larger))
    assert new.shape == (37, 192)
    assert np.array_equal(new[0], old[0])
    assert new[1:].mean(axis=0) == pytest.approx(old[1:].mean(axis=0), abs=0.01)
    assert np.isfinite(larger(images(96), training=False)["fake"]).all()


def test_a_network_that_is_too_large_for_smaller_pictures_says_so(tmp_path):
    build_network("mesonet", BackboneSpec(size=96), HeadSpec()).save(tmp_path / "meso.keras")
    with pytest.raises(WeightsError, match="is for pictures of 96 px and cannot take 64"):
        network_with_weights("mesonet", str(tmp_path / "meso.keras"), 64, 1.0, HeadSpec())


def attentions(network):
    import keras

    return [layer for layer in network.layers if isinstance(layer, keras.layers.MultiHeadAttention)]


def test_rollout_follows_attention(transformer):
    """Without queries all tokens count alike; if one block's keys are made to point at a patch, the map does, too."""
    import keras

    network, picture, target = keras.models.clone_model(transformer), images(64)[:1], 6
    even = attention_rollout(network, picture)
    assert even.shape == (1, 4, 4)
    assert even.sum() == pytest.approx(1.0, abs=1e-5)
    for layer in attentions(network):
        layer.set_weights([0.0 * array for array in layer.get_weights()])
    assert attention_rollout(network, picture) == pytest.approx(1 / 16, abs=1e-6)
    first = attentions(network)[0]
    tokens = keras.Model(network.input, first.input[0])(picture)[0].numpy()
    direction = tokens[1 + target] - tokens.mean(axis=0)
    names = [variable.path.split("/", 1)[1] for variable in first.weights]
    arrays = dict(zip(names, first.get_weights(), strict=True))
    arrays["query/bias"] += 1.0
    arrays["key/kernel"] += direction[:, None, None]
    first.set_weights(list(arrays.values()))
    found = attention_rollout(network, picture)[0]
    assert found.argmax() == target
    assert found.max() > 2 / 16


def test_rollout_needs_attention():
    with pytest.raises(ConfigError, match="needs a transformer"):
        attention_rollout(build_network("mesonet", BackboneSpec(size=64), HeadSpec()), images(64))
