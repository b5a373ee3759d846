"""A finer map that a graph makes of itself. Its values are compared with those of Keras in tests/training."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from deepfake_detector.core.onnx import open_session
from deepfake_detector.explain.gradient import with_fine_map
from deepfake_detector.explain.maps import LayerMaps, smoothed

SIDE = 16
RNG = np.random.default_rng(0)


def _model(activation="Relu", opset=18):
    """Two strided convolutions without biases, so that the gradient accounts for all of the logit."""
    weights = {
        "stem": RNG.normal(size=(4, 3, 1, 1)),
        "last": RNG.normal(size=(6, 4, 2, 2)),
        "head": RNG.normal(size=(1, 6, 1, 1)),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        node("Transpose", ["numbers"], ["planes"], perm=[0, 3, 1, 2]),
        node("Conv", ["planes", "stem"], ["stemmed"], kernel_shape=[1, 1], strides=[2, 2]),
        node("Relu", ["stemmed"], ["first"]),
        node("Conv", ["first", "last"], ["halved"], kernel_shape=[2, 2], strides=[2, 2]),
        node(activation, ["halved"], ["feature_map"]),
        node("Conv", ["feature_map", "head"], ["evidence"], kernel_shape=[1, 1]),
        node("Squeeze", ["evidence", "one"], ["cam"]),
        node("ReduceMean", ["cam", "cells"], ["fake_logit"], keepdims=0),
    ]
    numbers = {"one": np.array([1], np.int64), "cells": np.array([1, 2], np.int64)}
    stored = {name: values.astype(np.float32) for name, values in weights.items()} | numbers
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "small",
        [info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [info("cam", TensorProto.FLOAT, ["N", 4, 4]), info("fake_logit", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def model():
    return _model()


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)


def _run(model, output, crops):
    return open_session(model, "m", 1).run([output, "cam", "fake_logit"], {"image": crops})


def test_cells_are_half_as_wide_and_add_up_to_the_logit(model, crops):
    fine, cam, logit = _run(*with_fine_map(model, "cam"), crops)
    assert cam.shape == (3, 4, 4)
    assert fine.shape == (3, 8, 8)
    assert fine.mean(axis=(1, 2)) == pytest.approx(logit, rel=1e-3, abs=1e-2)


def test_what_is_black_carries_least(model, crops):
    dark = crops.copy()
    dark[:, :, : SIDE // 2] = 0
    fine, _, _ = _run(*with_fine_map(model, "cam"), dark)
    black, rest = fine[:, :, :4], fine[:, :, 4:]
    lowest = black[:, :1, :1]  # what speaks against a fake, spread evenly
    assert black == pytest.approx(np.broadcast_to(lowest, black.shape), abs=1e-2)
    assert (rest >= lowest - 1e-2).all()
    assert (rest.max(axis=(1, 2)) > lowest[:, 0, 0] + 1.0).all()


def test_the_maps_are_smoothed_and_keep_their_mean(model, crops):
    fine, _, logit = _run(*with_fine_map(model, "cam"), crops)
    maps = LayerMaps.of(model, "cam", threads=1).maps(crops)
    assert maps == pytest.approx(smoothed(fine), abs=1e-3)
    assert maps.mean(axis=(1, 2)) == pytest.approx(logit, rel=1e-3)
    assert maps.std() < fine.std()


def test_many_crops_are_done_in_several_runs(model, crops):
    maker = LayerMaps.of(model, "cam", threads=1)
    many = np.concatenate([crops] * 7)
    assert maker.maps(many)[18:] == pytest.approx(maker.maps(crops), abs=1e-4)
    assert maker.maps(many[:0]).shape[0] == 0


@pytest.mark.parametrize("changes", [{"activation": "Sigmoid"}, {"opset": 17}])
def test_graphs_with_other_operators_are_left_alone(changes):
    assert with_fine_map(_model(**changes), "cam") is None


def test_a_network_that_halves_nothing_has_no_finer_map(tiny_model):
    assert with_fine_map(tiny_model(), "cam") is None
