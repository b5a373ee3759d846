from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from onnx import TensorProto, helper, load_model_from_string, numpy_helper

from deepfake_detector.core.errors import ModelError, ModelSchemaError, UnsafeModelError
from deepfake_detector.scoring.bundle import Bundle, load_bundle
from deepfake_detector.scoring.card import CardOutputs
from deepfake_detector.scoring.scorer import CROPS_PER_RUN, Scorer


@pytest.fixture(scope="module")
def scorer(tiny_bundle):
    return Scorer(load_bundle(tiny_bundle), threads=1)


def crops(count, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def changed(bundle, change):
    """The bundle with another graph; such bytes do not get past ``load_bundle``, but may past a graph's own claims."""
    model = load_model_from_string(bundle.model)
    change(model.graph)
    return Bundle(bundle.card, model.SerializeToString())


def constant(name, value):
    def change(graph):
        (tensor,) = (tensor for tensor in graph.initializer if tensor.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.full(numpy_helper.to_array(tensor).shape, value, np.float32), name))

    return change


def test_logits_are_those_of_the_network(scorer):
    batch = crops(3)
    scores = scorer.score(batch)
    red, green, blue = (batch / 255.0).mean(axis=(1, 2)).T
    assert scores.fake_logit == pytest.approx(8 * (red - blue) + 0.5, abs=1e-4)
    assert scores.kind_logit == pytest.approx(4 * (green - red), abs=1e-4)
    assert scores.cam.mean(axis=(1, 2)) + 0.5 == pytest.approx(scores.fake_logit, abs=1e-4)
    assert scores.features.shape == (3, 3)
    assert {array.dtype for array in (scores.fake_logit, scores.kind_logit, scores.cam, scores.features)} == {
        np.dtype(np.float32)
    }


@pytest.mark.parametrize("count", [1, CROPS_PER_RUN + 1, 3 * CROPS_PER_RUN + 2])
def test_any_number_of_crops_scores_as_each_by_itself(scorer, count):
    batch = crops(count)
    together = scorer.score(batch)
    assert together.fake_logit.shape == together.kind_logit.shape == (count,)
    assert together.cam.shape == (count, 4, 4)
    alone = [scorer.score(batch[at : at + 1]).fake_logit[0] for at in range(count)]
    assert together.fake_logit == pytest.approx(alone, abs=1e-5)


def test_no_crops_give_no_scores(scorer):
    scores = scorer.score(crops(0))
    assert scores.fake_logit.shape == scores.kind_logit.shape == (0,)
    assert scores.cam.shape == (0, 4, 4)
    assert scores.features.shape == (0, 3)


def test_a_view_that_skips_pixels_is_read_right(scorer):
    large = crops(4, size=64)
    view = large[::2, ::2, ::2, ::-1]
    assert not view.flags.c_contiguous
    assert scorer.score(view).fake_logit.tolist() == scorer.score(view.copy()).fake_logit.tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((1, 32, 32, 3), np.float32),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((1, 3, 32, 32), np.uint8),
        np.zeros((1, 31, 32, 3), np.uint8),
        np.zeros((1, 32, 32, 4), np.uint8),
        np.zeros(0, np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_other_crops_are_refused(scorer, wrong):
    with pytest.raises(ModelError, match=r"takes uint8 crops of shape \(N, 32, 32, 3\), got"):
        scorer.score(wrong)


def test_outputs_that_the_card_does_not_name_are_none(tiny_bundle):
    bundle = load_bundle(tiny_bundle)
    scores = Scorer(Bundle(bundle.card.model_copy(update={"outputs": CardOutputs()}), bundle.model)).score(crops(2))
    assert scores.fake_logit.shape == (2,)
    assert scores.kind_logit is scores.cam is scores.features is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("weights", "role"), [("fake_bias", "fake_logit"), ("kind_weights", "kind_logit")])
def test_a_logit_that_is_no_number_is_an_error(tiny_bundle, value, weights, role):
    broken = Scorer(changed(load_bundle(tiny_bundle), constant(weights, value)))
    with pytest.raises(ModelError, match=f"{role} that is not a finite number"):
        broken.score(crops(1))


def test_a_model_that_fails_while_running_is_an_error(tiny_bundle):
    def reshape(graph):
        graph.initializer.append(numpy_helper.from_array(np.array([7]), "seven"))
        graph.node.append(helper.make_node("Reshape", ["evidence", "seven"], ["seven_of_them"]))
        graph.node.append(helper.make_node("ReduceMax", ["seven_of_them"], ["extra"], keepdims=0))
        graph.node[9].output[0] = "logit"
        graph.node.append(helper.make_node("Add", ["logit", "extra"], ["fake_logit"]))

    broken = Scorer(changed(load_bundle(tiny_bundle), reshape))
    with pytest.raises(ModelError, match="failed while running"):
        broken.score(crops(2))


def test_a_shape_that_the_graph_hid_is_an_error(tiny_bundle):
    def hide(graph):
        graph.node[9].output[0] = "logit"
        graph.initializer.append(numpy_helper.from_array(np.array([1]), "axis"))
        graph.node.append(helper.make_node("Unsqueeze", ["logit", "axis"], ["fake_logit"]))
        graph.output[0].CopyFrom(helper.make_tensor_value_info("fake_logit", TensorProto.FLOAT, None))

    bundle = changed(load_bundle(tiny_bundle), hide)
    with pytest.raises(ModelSchemaError, match=r"fake_logit of type float32 and shape \(1, 1\)"):
        Scorer(bundle).score(crops(2))


def test_a_model_that_cannot_be_opened_is_an_error(tiny_bundle):
    with pytest.raises(UnsafeModelError, match="cannot open tiny"):
        Scorer(Bundle(load_bundle(tiny_bundle).card, b"\xff"))


def test_threads_do_not_disturb_each_other(scorer):
    batches = [crops(5, seed=seed) for seed in range(16)]
    expected = [scorer.score(batch).fake_logit.tolist() for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert [scores.fake_logit.tolist() for scores in pool.map(scorer.score, batches)] == expected
