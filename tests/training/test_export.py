"""Keras → ONNX: the same answers, one file with standard operators, and refused if they differ."""

from dataclasses import replace

import keras
import numpy as np
import onnx
import pytest

from deepfake_detector.core.errors import ConfigError, DataError, ExportError
from deepfake_detector.core.onnx import open_session, refuse_unsafe
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.scoring.card import CardOutputs
from deepfake_detector.training import export
from deepfake_detector.training.cards import (
    Prediction,
    calibrate_run,
    make_card,
    read_predictions,
    write_predictions,
)
from deepfake_detector.training.export import check_parity, export_run, outputs_of, to_onnx
from deepfake_detector.training.models.joined import Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.network import HeadSpec, build_network, settle_batchnorm
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.run import RunFolder
from deepfake_detector.training.steps import Logits

# A network is really trained; seconds on a quiet machine.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def network(images):
    network = build_network("mobilenetv2", BackboneSpec(size=64, alpha=0.35), HeadSpec())
    settle_batchnorm(network, [(images,)] * 24)
    return network


@pytest.fixture(scope="module")
def model(network):
    return to_onnx(network)


def test_same_answers_for_any_batch(network, model, images):
    assert check_parity(network, model, images) < 1e-4
    session = open_session(model, "the model")
    for number in (1, 5):
        fake, kind = session.run(["fake_logit", "kind_logit"], {"image": images[:number]})
        np.testing.assert_allclose(fake, network(images[:number])["fake"], atol=1e-4)
        np.testing.assert_allclose(kind, network(images[:number])["kind"], atol=1e-4)


def test_activation_map_averages_to_the_logit_without_bias(network, model, images):
    network.get_layer("fake_logit").bias.assign([0.0])
    fake, cam, features = open_session(model, "m").run(["fake_logit", "cam", "features"], {"image": images})
    assert cam.shape == (5, 2, 2)
    assert features.shape == (5, 1280)
    np.testing.assert_allclose(cam.mean(axis=(1, 2)), fake, atol=1e-4)


def test_joined_branches_have_one_exact_map_and_their_voices(network, images):
    fake = SoftMaximum(np.diag([0.7, 1.4]), np.array([0.25, -0.5]))
    joined = joined_network([network, network], fake, Mixture(np.array([0.7, -0.4]), 0.25))
    exported = to_onnx(joined)
    assert check_parity(joined, exported, images) < 1e-4  # which looks at the map, too
    assert outputs_of(joined).voices == "voices"
    assert outputs_of(network).voices is None
    cam, voices, logit = open_session(exported, "m").run(["cam", "voices", "fake_logit"], {"image": images})
    assert cam.shape == (5, 2, 2)
    assert voices.shape == (5, 2)
    np.testing.assert_allclose(np.logaddexp.reduce(voices, axis=1), logit, atol=1e-4)


def test_a_map_that_does_not_add_up_to_the_logit_is_refused(network, model, images, monkeypatch):
    fake, kind = open_session(model, "m").run(["fake_logit", "kind_logit"], {"image": images})
    monkeypatch.setattr(export, "predictor", lambda _: lambda batches: Logits(fake, kind))
    assert check_parity(network, model, images) < 1e-4
    other = keras.models.clone_model(network)
    other.set_weights(network.get_weights())
    bias = other.get_layer("fake_logit").bias
    bias.assign(bias + 1.0)
    with pytest.raises(ExportError, match="differ by 1 "):
        check_parity(other, model, images)


def test_file_is_small_standard_and_folded(model):
    refuse_unsafe(model, "the model")
    graph = onnx.load_model_from_string(model).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count("Conv") == 52 + 1
    assert operators.count("Transpose") <= 2
    assert "Pad" not in operators
    assert "BatchNormalization" not in operators
    assert [value.name for value in graph.input] == ["image"]
    shapes = {v.name: [d.dim_value or d.dim_param for d in v.type.tensor_type.shape.dim] for v in graph.output}
    assert shapes == {"fake_logit": ["N"], "kind_logit": ["N"], "cam": ["N", 2, 2], "features": ["N", 1280]}


def test_dense_head_has_no_activation_map(images):
    network = build_network("mobilenetv2", BackboneSpec(size=64, alpha=0.35), HeadSpec(dense=(8,)))
    settle_batchnorm(network, [(images,)] * 24)
    model = to_onnx(network)
    assert outputs_of(network).cam is None
    assert "cam" not in [value.name for value in onnx.load_model_from_string(model).graph.output]
    assert check_parity(network, model, images) < 1e-4


def test_another_network_is_refused(network, model, images):
    kernel = network.get_layer("kind_logit").kernel
    kept = kernel.numpy()
    kernel.assign(kept + 0.01)
    with pytest.raises(ExportError, match=r"differ by .* in a logit"):
        check_parity(network, model, images)
    kernel.assign(kept)
    with pytest.raises(ExportError, match="no crops"):
        check_parity(network, model, images[:0])


def test_run_is_exported_elsewhere(trained, tmp_path):
    folder = export_run(trained.run, tmp_path / "copy")
    there, here = load_bundle(folder), load_bundle(trained.bundle)
    assert there.card.calibration == here.card.calibration
    assert there.card.name == "tiny"
    assert there.card.architecture == "mobilenetv2, alpha 0.35, a linear head"
    with pytest.raises(ExportError, match="exists already"):
        export_run(trained.run, folder)


def test_run_that_converts_wrongly_leaves_no_bundle(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", 0.0)
    monkeypatch.setattr(export, "to_onnx", lambda network: (trained.bundle / "model.onnx").read_bytes())
    with pytest.raises(ExportError, match="differ"):
        export_run(trained.run, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_unfinished_run_says_how_to_go_on(tmp_path):
    with pytest.raises(ConfigError, match="no run folder"):
        export_run(RunFolder(tmp_path))
    (tmp_path / "config.yaml").write_text("data: {source: photos}")
    with pytest.raises(ConfigError, match="deepfake train --resume"):
        export_run(RunFolder(tmp_path))


def test_kind_is_left_out_where_nothing_says_it(trained, tmp_path):
    import shutil

    copy = RunFolder(tmp_path / "run")
    shutil.copytree(trained.run.path, copy.path, ignore=shutil.ignore_patterns("bundle", "tensorboard"))
    rows = read_predictions(copy.predictions_file)
    write_predictions(copy.predictions_file, [replace(row, kind=-1) for row in rows])
    assert make_card(copy, CardOutputs(kind_logit="kind_logit"), "0" * 64).outputs.kind_logit is None
    assert make_card(trained.run, CardOutputs(kind_logit="kind_logit"), "0" * 64).outputs.kind_logit == "kind_logit"


def test_calibration_from_other_runs_takes_foreign_sets_only(trained, tiny_settings):
    other = RunFolder(trained.run.path.parent / "fold")
    rng = np.random.default_rng(0)
    rows = [
        Prediction(f"{i}.png", "foreign" if i < 120 else "own", i < 120, i % 2, -1, float(rng.normal(2 * (i % 2))), 0.0)
        for i in range(200)
    ]
    other.logs.mkdir(parents=True)
    write_predictions(other.predictions_file, rows)
    config = tiny_settings("folds", calibration={"from_runs": [str(other.path)]})
    calibration = calibrate_run(trained.run, config)
    assert calibration.out_of_source
    assert calibration.fitted_on.startswith("120 faces")
    write_predictions(other.predictions_file, [row for row in rows if not row.foreign])
    with pytest.raises(DataError):
        calibrate_run(trained.run, config)
