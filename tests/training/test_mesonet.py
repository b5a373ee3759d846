"""Meso-4: the network of the paper, trained from nothing, BatchNorm included."""

import numpy as np
import pytest

from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.models.network import HeadSpec, blocks, build_network
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.run import create_run
from deepfake_detector.training.train import train


def test_it_has_the_weights_of_the_paper():
    network = build_network("mesonet", BackboneSpec(size=256), HeadSpec(dropout=0.5))
    kind_head = 17  # which the paper does not have
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 27_977 + kind_head
    assert network.get_layer("feature_map").output.shape == (None, 1, 1, 16)
    assert blocks(network) == [f"block_{number}" for number in range(1, 6)]


def test_mesoinception_has_the_weights_of_the_paper():
    network = build_network("mesoinception", BackboneSpec(size=256), HeadSpec(dropout=0.5))
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 28_615 + 17
    assert network.get_layer("feature_map").output.shape == (None, 1, 1, 16)


@pytest.mark.parametrize("batchnorm", ["learned", "frozen"])
def test_it_is_trained_from_nothing_and_exported(tiny_settings, batchnorm):
    import keras

    settings = tiny_settings(
        f"mesonet-{batchnorm}",
        model={"backbone": "mesonet", "alpha": 1.0, "dropout": 0.0},
        head={"epochs": 0},
        train={"epochs": 2, "checks_per_epoch": 1, "from_block": "all", "batchnorm": batchnorm, "ema": 0.0},
    )
    trained = train(create_run(settings))
    first = keras.models.load_model(trained.run.checkpoints / "best.keras", compile=False)
    gammas = first.get_layer("block_1_BN").gamma.numpy()
    assert np.allclose(gammas, 1.0) == (batchnorm == "frozen")
    crops = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    assert Scorer(load_bundle(trained.bundle)).score(crops).fake_logit.shape == (2,)
