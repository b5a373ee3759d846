"""Networks become one: it answers with a mixture of theirs, learnt where their folds have seen nothing."""

import keras
import numpy as np
import onnx
import pytest
from sklearn.metrics import roc_auc_score

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.training.cards import read_predictions
from deepfake_detector.training.config import check_config
from deepfake_detector.training.export import check_parity, to_onnx
from deepfake_detector.training.join import Voices, fit_mixture, fit_soft_maximum
from deepfake_detector.training.models.joined import Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.network import FEATURE_MAP, HeadSpec, build_network
from deepfake_detector.training.models.spec import BackboneSpec
from deepfake_detector.training.run import create_run
from deepfake_detector.training.train import train

pytestmark = pytest.mark.timeout(900)
FAKE = SoftMaximum(np.diag([1.7, 0.9]), np.array([-0.3, 0.2]))
KIND = Mixture(np.array([1.0, -1.0]), 0.2)


def tiny_network(seed, size=64, dense=(), shrink=1, backbone="mobilenetv2"):
    """A network whose BatchNorm has statistics that matter."""
    keras.utils.set_random_seed(seed)
    network = build_network(backbone, BackboneSpec(size=size, alpha=0.35, shrink=shrink), HeadSpec(dense=dense))
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            noise = [rng.normal(0, 0.1, array.shape) for array in (gamma, beta, mean, variance)]
            layer.set_weights([gamma + noise[0], beta + noise[1], mean + noise[2], variance * np.exp(noise[3])])
    return network


@pytest.fixture(scope="module")
def branches():
    return [tiny_network(1), tiny_network(2, shrink=2)]


def test_a_branch_whose_head_sees_several_levels_is_joined(branches, pictures):
    levels = tiny_network(3, backbone="mobilenetv2-levels")
    assert levels.get_layer("features").output.shape[1] > branches[0].get_layer("features").output.shape[1]
    together = joined_network([branches[0], levels], FAKE, KIND).predict(pictures, verbose=0)
    logits = np.stack([one.predict(pictures, verbose=0)["fake"] for one in (branches[0], levels)], axis=1)
    np.testing.assert_allclose(together["fake"], FAKE.of(logits), atol=0.01 * np.abs(logits).max())


@pytest.fixture(scope="module")
def joined(branches):
    return joined_network(branches, FAKE, KIND)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)


def test_it_answers_with_the_mixtures_of_its_branches(branches, joined, pictures):
    logits = np.stack([branch.predict(pictures, verbose=0)["fake"] for branch in branches], axis=1)
    found = joined.predict(pictures, verbose=0)
    scale = np.abs(logits).max()
    np.testing.assert_allclose(found["fake"], FAKE.of(logits), atol=0.01 * scale)
    np.testing.assert_allclose(found["kind"], KIND.of(logits), atol=0.02 * scale)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in joined.layers)
    width = sum(branch.get_layer(FEATURE_MAP).output.shape[-1] for branch in branches)
    assert joined.get_layer(FEATURE_MAP).output.shape[-1] == width


def test_a_model_file_keeps_its_weights_in_half_the_space_without_loss(branches, joined, pictures):
    model, single = to_onnx(joined), to_onnx(branches[0])
    assert check_parity(joined, model, pictures) < 1e-4
    types = {tensor.data_type for tensor in onnx.load_model_from_string(model).graph.initializer}
    assert onnx.TensorProto.FLOAT16 in types
    assert len(model) < 1.5 * len(single)
    stored = onnx.load_model_from_string(single).graph.initializer
    assert onnx.TensorProto.FLOAT16 not in {tensor.data_type for tensor in stored}


def test_what_cannot_be_joined_is_said(branches):
    with pytest.raises(ConfigError, match="linear head"):
        joined_network([branches[0], tiny_network(3, dense=(8,))], FAKE, KIND)
    with pytest.raises(ConfigError, match=r"pictures of \[64, 96\] px"):
        joined_network([branches[0], tiny_network(3, size=96)], FAKE, KIND)
    with pytest.raises(ConfigError, match=r"sides \[2, 3\]"):
        joined_network([tiny_network(3, size=96), tiny_network(4, size=96, shrink=2)], FAKE, KIND)


def test_a_soft_maximum_finds_what_any_branch_finds():
    rng = np.random.default_rng(6)
    labels = np.repeat([0, 1, 1], 300)
    kinds = np.repeat([-1, 0, 1], 300)
    logits = rng.normal(-2.0, 1.0, (900, 2))
    for branch in (0, 1):
        logits[kinds == branch, branch] += 5.0
    sets = np.full(900, "a")
    found = fit_soft_maximum(logits, labels, sets, np.full(900, -1)).of(logits)
    mixture = fit_mixture(logits, labels, np.full(900, "a")).of(logits)
    assert roc_auc_score(labels, found) > roc_auc_score(labels, mixture) > 0.9
    probability = 1 / (1 + np.exp(-found))
    assert probability[labels == 0].mean() + probability[labels == 1].mean() == pytest.approx(1.0, abs=0.05)


def test_a_branch_gives_the_odds_of_its_own_fakes_and_rarer_ones_lower_them():
    rng = np.random.default_rng(7)
    labels, kinds = np.repeat([0, 1, 1], 2000), np.repeat([-1, 0, 1], 2000)
    logits = rng.normal(-1.25, 1.0, (6000, 2))
    for branch in (0, 1):
        logits[kinds == branch, branch] += 2.5
    each = fit_soft_maximum(logits, labels, np.full(6000, "a"), kinds)
    # The log odds of two normal classes 2.5 apart; each kind has half of the mass of the photos.
    np.testing.assert_allclose(each.weights, [[2.5, 0], [0, 2.5]], atol=0.2)
    np.testing.assert_allclose(each.offsets, np.log(0.5), atol=0.2)
    rarer = fit_soft_maximum(logits, labels, np.full(6000, "a"), kinds, Voices(shares=[9, 1]))
    np.testing.assert_allclose(rarer.offsets - each.offsets, [np.log(9 / 5), np.log(1 / 5)], atol=0.2)


def test_branches_of_one_kind_add_up_to_one_voice():
    rng = np.random.default_rng(8)
    labels, kinds = np.repeat([0, 1, 1], 2000), np.repeat([-1, 0, 1], 2000)
    logits = rng.normal(-1.25, 1.0, (6000, 3))
    logits[kinds == 0, 0] += 2.5
    logits[kinds == 1, 1:] += [2.5, 1.0]  # two that see the same fakes, one of them worse
    has = np.array([[True, False], [False, True], [False, True]])
    found = fit_soft_maximum(logits, labels, np.full(6000, "a"), kinds, Voices(has))
    np.testing.assert_allclose(found.weights, [[2.5, 0], [0, 2.5], [0, 1.0]], atol=0.25)
    given = fit_soft_maximum(logits, labels, np.full(6000, "a"), kinds, Voices(has, within=(1.0, 0.5, 1.0))).weights
    assert given[1, 1] == given[2, 1] / 2 == pytest.approx(0.7, abs=0.3)
    assert given[0] == pytest.approx([2.5, 0], abs=0.25)
    single = fit_soft_maximum(logits[:, :2], labels, np.full(6000, "a"), kinds)
    assert roc_auc_score(labels, found.of(logits)) > roc_auc_score(labels, single.of(logits[:, :2])) + 0.003


def test_a_network_of_three_branches_with_two_voices(branches, pictures):
    three = [*branches, tiny_network(5)]
    fake = SoftMaximum(np.array([[1.2, 0], [0, 0.8], [0, 1.5]]), np.array([-0.3, 0.4]))
    network = joined_network(three, fake, Mixture(np.array([1.0, -0.5, -0.5]), 0.0))
    logits = np.stack([branch.predict(pictures, verbose=0)["fake"] for branch in three], axis=1)
    found = network.predict(pictures, verbose=0)["fake"]
    np.testing.assert_allclose(found, fake.of(logits), atol=0.01 * np.abs(logits).max())
    assert network.get_layer("branch_maps").output.shape[-1] == 2


def test_a_mixture_trusts_what_tells_the_classes_apart():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 400)
    logits = np.stack([rng.normal(3.0 * labels, 1.0), rng.normal(0.0, 1.0, 800)], axis=1)
    mixture = fit_mixture(logits, labels, np.full(800, "a"))
    assert mixture.weights[0] > 2.0
    assert abs(mixture.weights[1]) < 0.3
    assert np.mean((mixture.of(logits) > 0) == labels) > 0.9
    with pytest.raises(ConfigError, match="all of one class"):
        fit_mixture(logits, np.zeros(800, dtype=np.int64), np.full(800, "a"))


@pytest.fixture(scope="module")
def folds(tiny_settings):
    """Two quick runs that have not seen the set "b"."""
    head_only = {"head": {"epochs": 12}, "train": {"epochs": 0}, "data": {"validate_only": ["b"]}}
    return [train(create_run(tiny_settings(f"fold-{seed}", seed=seed, **head_only))).run.path for seed in (1, 2)]


def test_a_joined_run_is_calibrated_on_foreign_pictures(folds, tiny_settings):
    paths = [str(path) for path in folds]
    done = train(create_run(tiny_settings("joined", join={"branches": paths, "folds": [paths], "most": 60})))
    rows = read_predictions(done.run.predictions_file)
    assert {row.set for row in rows} == {"b"}
    assert [sum(row.label == label for row in rows) for label in (0, 1)] == [60, 60]
    assert all(row.foreign for row in rows)
    card = load_bundle(done.bundle).card
    assert card.calibration.out_of_source
    assert "had not seen" in card.calibration.fitted_on
    assert card.architecture == "2 branches (fold-1: mobilenetv2; fold-2: mobilenetv2), soft maximum of linear heads"
    assert done.result.figures.auc > 0.7
    logits = [row.fake_logit for row in rows if row.label], [row.fake_logit for row in rows if not row.label]
    assert np.mean(logits[0]) > np.mean(logits[1])


def test_without_folds_the_sets_that_no_branch_knows_set_the_thresholds(folds, tiny_settings):
    paths = [str(path) for path in folds]
    data = {"validate_only": ["b"]}
    done = train(create_run(tiny_settings("unseen", data=data, join={"branches": paths})))
    rows = read_predictions(done.run.predictions_file)
    assert {(row.set, row.foreign) for row in rows} == {("a", False), ("b", True)}
    calibration = load_bundle(done.bundle).card.calibration
    assert calibration.out_of_source
    assert "and b, which it was not trained on" in calibration.fitted_on
    with pytest.raises(ConfigError, match="was trained on a, which"):
        train(create_run(tiny_settings("known", data={"validate_only": ["a"]}, join={"branches": paths})))


def test_more_foreign_pictures_are_judged_and_each_branch_speaks_for_a_kind(folds, planted, tiny_settings, tmp_path):
    more = tmp_path / "more.csv"
    files = sorted((planted / "b").glob("val-*.png"))
    lines = [f"{file},{'fake' if int(file.stem[-3:]) % 4 >= 2 else 'real'},c" for file in files]
    more.write_text("\n".join(["path,label,set", *lines]))
    paths = [str(path) for path in folds]
    join = {"branches": paths, "kinds": ["generated", "manipulated"], "most": 20}
    done = train(create_run(tiny_settings("more", data={"sets": ["a"], "foreign": [str(more)]}, join=join)))
    rows = read_predictions(done.run.predictions_file)
    assert {(row.set, row.foreign) for row in rows} == {("a", False), ("c", True)}
    assert [sum(row.set == "c" and row.label == label for row in rows) for label in (0, 1)] == [20, 20]
    with pytest.raises(ConfigError, match="kinds has 1 entries for 2 branches"):
        check_config({"data": {"source": "x"}, "join": {"branches": paths, "kinds": ["generated"]}}, "a test")
    with pytest.raises(ConfigError, match="within has 1 entries for 2 branches"):
        check_config({"data": {"source": "x"}, "join": join | {"within": [1]}}, "a test")
    with pytest.raises(ConfigError, match="shares has 3 entries for 2 kinds"):
        check_config({"data": {"source": "x"}, "join": join | {"shares": [1, 2, 3]}}, "a test")


def test_runs_that_do_not_fit_are_refused(folds, tiny_settings, tmp_path):
    paths = [str(path) for path in folds]
    with pytest.raises(ConfigError, match="1 runs for 2 branches"):
        check_config({"data": {"source": "x"}, "join": {"branches": paths, "folds": [paths[:1]]}}, "a test")
    missing = {"branches": [paths[0], str(tmp_path / "none")], "folds": [paths]}
    with pytest.raises(ConfigError, match="no finished run"):
        train(create_run(tiny_settings("missing", join=missing)))
    knows_all = train(create_run(tiny_settings("knows-all", head={"epochs": 1}, train={"epochs": 0}))).run.path
    with pytest.raises(ConfigError, match="no set is in"):
        train(create_run(tiny_settings("blind", join={"branches": paths, "folds": [[paths[0], str(knows_all)]]})))
