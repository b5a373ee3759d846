import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError, DataError, ExportError
from deepfake_detector.core.explanation import MapMethod
from deepfake_detector.core.types import CropMode
from deepfake_detector.pipeline.explainer import best_maker, maker_of
from deepfake_detector.scoring.bundle import load_bundle, write_bundle
from deepfake_detector.scoring.calibration import calibrated_logit
from deepfake_detector.scoring.card import DataSet
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training import quantise as module
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.samples import Split
from deepfake_detector.training.quantise import Trial, quantise

FEW = Trial(ranges=32, compared=96)


def edge_network() -> bytes:
    """Four convolutions of 64 px that measure edges, which the planted fakes have; with the outputs of a bundle."""
    from onnx import TensorProto, checker, helper, numpy_helper

    rng = np.random.default_rng(0)
    edges = np.zeros((8, 3, 3, 3), np.float32)
    edges[:4, :, 1, 0], edges[:4, :, 1, 2] = 0.02, -0.02
    edges[4:, :, 0, 1], edges[4:, :, 2, 1] = 0.02, -0.02
    edges[1::2] *= -1.0
    mixing = [np.eye(8, dtype=np.float32) + 0.05 * rng.normal(size=(8, 8)).astype(np.float32) for _ in range(3)]
    weights = [edges, *(one[:, :, None, None] for one in mixing)]
    constants = {"low": np.float32(0), "high": np.float32(6), "fake": np.full((1, 8, 1, 1), 4, np.float32)}
    constants |= {f"weights_{number}": array for number, array in enumerate(weights)}
    node = helper.make_node
    nodes = [node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT)]
    nodes.append(node("Transpose", ["numbers"], ["map_0"], perm=[0, 3, 1, 2]))
    for number in range(4):
        pads = {"pads": [1, 1, 1, 1]} if number == 0 else {}
        nodes.append(node("Conv", [f"map_{number}", f"weights_{number}"], [f"sum_{number}"], **pads))
        nodes.append(node("Clip", [f"sum_{number}", "low", "high"], [f"map_{number + 1}"]))
    nodes += [
        node("ReduceMean", ["map_4"], ["features"], axes=[2, 3], keepdims=0),
        node("Conv", ["map_4", "fake"], ["cells"]),
        node("ReduceMax", ["cells"], ["cam"], axes=[1], keepdims=0),
        node("ReduceMean", ["cam"], ["fake_logit"], axes=[1, 2], keepdims=0),
    ]
    info, real = helper.make_tensor_value_info, TensorProto.FLOAT
    outputs = [info("fake_logit", real, ["N"]), info("cam", real, ["N", 64, 64]), info("features", real, ["N", 8])]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "edges", [info("image", TensorProto.UINT8, ["N", 64, 64, 3])], outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def plain(tiny_card, tmp_path_factory):
    """The bundle of a network that finds the planted fakes."""
    card = tiny_card(size=64, crop=CropMode.WHOLE)
    outputs = card.outputs.model_copy(update={"kind_logit": None})
    sets = tuple(DataSet(name=name, real=48, fake=48, terms="none") for name in "ab")
    card = card.model_copy(update={"outputs": outputs, "data": sets})
    return load_bundle(write_bundle(tmp_path_factory.mktemp("edges") / "edges", edge_network(), card))


@pytest.fixture(scope="module")
def made(plain, planted, tmp_path_factory):
    """The 8-bit bundle with how it compares."""
    folder = tmp_path_factory.mktemp("int8")
    model, card, found = quantise(plain, read_data(planted), folder / "crops", FEW)
    return load_bundle(write_bundle(folder / "bundle", model, card)), found


def validation(planted):
    """The validation pictures of the planted data, (96, 64, 64, 3)."""
    chosen = [one.path for one in read_data(planted) if one.split is Split.VAL]
    return np.stack([cv2.imread(str(path))[..., ::-1] for path in chosen])


def test_it_answers_nearly_the_same_in_8_bits(plain, made, planted):
    import onnx

    integers, found = made
    crops = validation(planted)
    before, after = Scorer(plain).score(crops), Scorer(integers).score(crops)
    assert after.cam.shape == before.cam.shape
    assert after.features.shape == before.features.shape
    assert before.fake_logit.std() > 0.0
    assert np.abs(after.fake_logit - before.fake_logit).max() < 0.05 * np.abs(before.fake_logit).max()
    assert (after.fake_logit != before.fake_logit).any()
    # The heads count in floating point: the map still adds up to the logit.
    assert after.cam.mean(axis=(1, 2)) == pytest.approx(after.fake_logit, rel=1e-5)
    nodes = onnx.load_model_from_string(integers.model).graph.node
    weights = [node for node in nodes if node.op_type == "DequantizeLinear" and "weights" in node.input[0]]
    assert len(weights) == 4
    (head,) = (node for node in nodes if "cells" in node.output)
    assert head.input[1] == "fake"
    assert found.megabytes == pytest.approx((len(plain.model) / 1e6, len(integers.model) / 1e6))


def test_its_card_says_what_it_is_and_what_it_has_lost(plain, made):
    integers, found = made
    card = integers.card
    assert card.name == f"{plain.card.name}-int8"
    assert "in 8-bit integers" in card.architecture
    assert plain.card.onnx_sha256 in card.description
    assert card.onnx_sha256 != plain.card.onnx_sha256
    assert card.limits == plain.card.limits
    assert "carried over to this model on 96 validation faces" in card.calibration.fitted_on
    assert [part.name for part in found.parts] == ["a", "b", "all pictures"]
    assert [(part.real, part.fake) for part in found.parts] == [(24, 24), (24, 24), (48, 48)]
    assert found.parts[-1].aucs.first.value > 0.95  # else there would be nothing to lose
    assert found.worst.lost <= module.MAX_AUC_LOSS
    lost = {metric.on: metric for metric in card.metrics if metric.name.startswith("ROC-AUC lost")}
    assert lost["a (val)"].value == found.parts[0].lost
    assert all(metric.used_for_selection for metric in card.metrics)
    assert found.pictures == 96
    assert found.same_side > 0.9
    assert min(found.milliseconds) > 0.0


def test_a_model_that_would_lose_too_much_is_not_written_but_by_force(plain, planted, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_AUC_LOSS", -1.0)
    with pytest.raises(ExportError, match=r"more than -1 of its ROC-AUC, and nothing was written.*add --force"):
        quantise(plain, read_data(planted), tmp_path, FEW)
    _, card, found = quantise(plain, read_data(planted), tmp_path, replace(FEW, force=True))
    assert card.limits[:-1] == plain.card.limits
    assert f"{found.worst.lost:.3f} of its ROC-AUC" in card.limits[-1]
    assert "by force" in card.limits[-1]


def test_what_cannot_be_quantised_is_said(plain, planted, tiny_whole_bundle, tmp_path):
    samples = read_data(planted)
    with pytest.raises(ConfigError, match="no convolutions"):
        quantise(load_bundle(tiny_whole_bundle), samples, tmp_path, FEW)


def test_pictures_of_the_test_split_are_left_alone(plain, planted, tmp_path):
    samples = read_data(planted)
    for split in (Split.TRAIN, Split.VAL):
        with pytest.raises(DataError, match=rf"in the split {split}; those of the test split are not used"):
            quantise(plain, [one for one in samples if one.split is not split], tmp_path, FEW)
    foreign = [replace(one, set="c") for one in samples]
    with pytest.raises(DataError, match="sets on the model's card in the split train"):
        quantise(plain, foreign, tmp_path, FEW)
    few = [one for one in samples if one.split is Split.TRAIN or one.set == "a"][:-40]
    with pytest.raises(DataError, match="at least 20 of each"):
        quantise(plain, few, tmp_path, FEW)


@pytest.fixture(scope="module")
def small_trained(trained, tmp_path_factory):
    """A trained MobileNetV2 with weights in half precision, and what the command makes of it."""
    folder = tmp_path_factory.mktemp("quantised") / "int8"
    # Of so few pictures a single one may cost more than is allowed.
    command = ["quantise", str(trained.bundle), "--output", str(folder), "--ranges", "32", "--force"]
    assert main(command) == 0
    return load_bundle(trained.bundle), load_bundle(folder)


def test_a_trained_network_keeps_its_outputs_and_nearly_its_answers(small_trained, planted):
    before, after = small_trained
    crops = validation(planted)
    first, second = Scorer(before).score(crops), Scorer(after).score(crops)
    assert before.card.outputs == after.card.outputs
    for role in ("fake_logit", "kind_logit", "cam", "features"):
        assert getattr(first, role).shape == getattr(second, role).shape
    old, new = (
        calibrated_logit(one.fake_logit, bundle.card.calibration) for one, bundle in ((first, before), (second, after))
    )
    assert np.corrcoef(old, new)[0, 1] > 0.98
    assert len(after.model) < 0.9 * len(before.model)


def test_its_heat_map_is_the_coarse_one(small_trained):
    before, after = small_trained
    assert best_maker(Scorer(before), 1) is not None  # LayerCAM, which needs gradients
    assert best_maker(Scorer(after), 1) is None
    with pytest.raises(ConfigError, match="gives no LayerCAM; try --method cam"):
        maker_of(MapMethod.LAYER_CAM, Scorer(after), 1)
    crops = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    maps = maker_of(MapMethod.CAM, Scorer(after), 1).maps(crops)
    old = maker_of(MapMethod.CAM, Scorer(before), 1).maps(crops)
    assert np.corrcoef(maps.ravel(), old.ravel())[0, 1] > 0.9


def test_detect_takes_it(small_trained, planted, capsys):
    _, after = small_trained
    picture = next(one.path for one in read_data(planted) if one.split is Split.VAL)
    assert main(["detect", str(picture), "--model", str(after.path), "--json"]) in (0, 1, 3)
    (report,) = json.loads(capsys.readouterr().out)
    assert report["model"]["sha256"] == after.card.onnx_sha256
