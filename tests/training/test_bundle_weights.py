"""A bundle is trained on: the network that comes out of it answers as its file does, whichever branch it is."""

import csv

import numpy as np
import pytest

from deepfake_detector.core.errors import WeightsError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.training.models.network import HeadSpec
from deepfake_detector.training.run import create_run
from deepfake_detector.training.train import train
from deepfake_detector.training.weights import network_with_weights


def fake_logits(network, pictures):
    return network.predict(pictures, verbose=0)["fake"]


def of_file(bundle, pictures, output="fake_logit"):
    return open_session(load_bundle(bundle).model, "test").run([output], {"image": pictures})[0]


def pictures(size):
    return np.random.default_rng(5).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


def checks_of(run):
    with run.checks_file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_an_exported_run_is_trained_on(trained, tiny_settings):
    bundle = trained.bundle
    network = network_with_weights("mobilenetv2", str(bundle), 64, 0.35, HeadSpec())
    np.testing.assert_allclose(fake_logits(network, pictures(64)), of_file(bundle, pictures(64)), atol=1e-3)
    # The first check of a run that starts there, before any step, is as good as the run that it came from.
    further = tiny_settings(
        "further", model={"weights": str(bundle)}, head={"epochs": 0}, train={"epochs": 1, "checks_per_epoch": 1}
    )
    first, *_, last = checks_of(train(create_run(further)).run)
    assert (first["epoch"], last["epoch"]) == ("1", "1")
    assert float(first["loss"] or "nan") != float(first["loss"] or "nan")  # nothing was trained before it
    assert float(first["val_loss"]) <= min(float(check["val_loss"]) for check in checks_of(trained.run)) + 0.05


def test_branches_of_the_shipped_model_are_its_logit_together():
    branches = [
        network_with_weights("mobilenetv2", f"mobilenetv2#{number}", 320, 1.0, HeadSpec(), shrink)
        for number, shrink in ((1, 1), (2, 2), (3, 1))
    ]
    generated, *manipulated = [fake_logits(branch, pictures(320)) for branch in branches]
    together = np.logaddexp(generated, np.sum(manipulated, axis=0))
    np.testing.assert_allclose(together, of_file("mobilenetv2", pictures(320)), atol=1e-3)


@pytest.mark.parametrize(
    ("weights", "changed", "message"),
    [
        ("mobilenetv2", {}, "has 3 branches; say which"),
        ("mobilenetv2#4", {}, "branches are 1 to 3"),
        ("mobilenetv2#2", {}, "set model.backbone and model.shrink"),  # it was trained with shrink 2
        ("mobilenetv2#1", {"backbone": "mobilenetv2-levels"}, "set model.backbone and model.shrink"),
        ("mobilenetv2#1", {"alpha": 0.5}, "wants a kernel of"),
        ("mobilenetv2#1", {"backbone": "mesonet"}, "convolutions"),
        ("mobilenetv2#1", {"head": HeadSpec(dense=(8,))}, "linear head"),
    ],
)
def test_what_does_not_fit_is_said(weights, changed, message):
    wanted = {"backbone": "mobilenetv2", "alpha": 1.0, "head": HeadSpec()} | changed
    with pytest.raises(WeightsError, match=message):
        network_with_weights(wanted["backbone"], weights, 64, wanted["alpha"], wanted["head"])
