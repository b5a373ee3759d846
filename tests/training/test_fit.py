"""Parts of the training: losses and averages of a step, learning rates, checkpoints, figures, progress, logs."""

import csv
import logging

import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError, DataError, WeightsError
from deepfake_detector.training.callbacks import Callbacks, CsvLog, PlainProgress, Rate, RichProgress
from deepfake_detector.training.checkpoint import Check, State, load_state, restore, save_state, write_whole
from deepfake_detector.training.config import LossConfig, Schedule, Selection
from deepfake_detector.training.phases import Meter, known_both_classes
from deepfake_detector.training.selection import Known, figures
from deepfake_detector.training.steps import Stepper, current_rate, learning_rate, predictor


def check(**changes):
    place = {"phase": "head", "epoch": 1, "step": 0, "lr": 0.1}
    found = {"loss": 0.5, "val_loss": 0.4, "auc": 0.8, "set_auc": 0.7, "best": True}
    return Check(**{**place, **found, "seconds": 1.0, "images_per_second": 9.0, **changes})


@pytest.fixture
def linear():
    """Two features → two logits, weights 0; as small as a network with both heads gets."""
    import keras

    features = keras.Input((2,))
    flat = keras.layers.Reshape(())
    outputs = {key: flat(keras.layers.Dense(1, kernel_initializer="zeros")(features)) for key in ("fake", "kind")}
    return keras.Model(features, outputs)


def batch(fake, kind=None, kind_weight=None, weight=None):
    fake = np.asarray(fake, np.float32)
    zeros, ones = np.zeros_like(fake), np.ones_like(fake)
    targets = {"fake": fake, "kind": zeros if kind is None else np.asarray(kind, np.float32)}
    weights = {"fake": ones if weight is None else np.asarray(weight, np.float32)}
    weights["kind"] = zeros if kind_weight is None else np.asarray(kind_weight, np.float32)
    features = np.stack([fake * 2 - 1, ones], axis=1)
    return features, targets, weights


def stepper(network, loss=None, rate=0.1, ema=0.0):
    import keras

    return Stepper(network, keras.optimizers.SGD(rate), loss or LossConfig(), ema)


def test_loss_of_an_undecided_network_is_ln_2(linear):
    assert float(stepper(linear, LossConfig(kind_weight=0.0)).train(*batch([0, 1]))) == pytest.approx(np.log(2))


def test_kind_counts_only_where_it_is_known(linear):
    one = stepper(linear, LossConfig(kind_weight=0.5), rate=0.0)
    assert float(one.train(*batch([1, 1], kind=[1, 0], kind_weight=[0, 0]))) == pytest.approx(np.log(2))
    assert float(one.train(*batch([1, 1], kind=[1, 0], kind_weight=[1, 0]))) == pytest.approx(1.25 * np.log(2))


def test_kind_head_does_not_learn_from_unknown_kinds(linear):
    one = stepper(linear)
    one.train(*batch([0, 1], kind=[1, 1]))
    logits = one.predict([(batch([0, 1])[0],)])
    assert np.ptp(logits.fake) > 0
    assert np.abs(logits.kind).max() == 0.0


def test_label_smoothing_moves_the_targets(linear):
    smooth = stepper(linear, LossConfig(label_smoothing=0.1, kind_weight=0.0), rate=1.0)
    for _ in range(2000):
        smooth.train(*batch([0, 1]))
    logits = smooth.predict([(batch([0, 1])[0],)]).fake
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), [0.1, 0.9], atol=0.01)


def test_sample_weights_weigh(linear):
    one = stepper(linear, LossConfig(kind_weight=0.0), rate=0.0)
    assert float(one.train(*batch([0, 1], weight=[3, 0]))) == pytest.approx(1.5 * np.log(2))


def test_averages_lag_and_are_exchanged_for_a_check(linear):
    one = stepper(linear, ema=0.75)
    one.train(*batch([0, 1]))
    stepped = linear.trainable_variables[0].numpy()
    one.exchange_averages()
    averaged = linear.trainable_variables[0].numpy()
    np.testing.assert_allclose(averaged, 0.25 * stepped, rtol=1e-6)
    one.exchange_averages()
    np.testing.assert_array_equal(linear.trainable_variables[0].numpy(), stepped)


def test_prediction_takes_batches_of_any_size(linear):
    features = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    linear.set_weights([np.ones_like(value) for value in linear.get_weights()])
    parts = predictor(linear)([(features[:3],), (features[3:],)])
    np.testing.assert_allclose(parts.fake, features.sum(axis=1) + 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "warmup", "expected"),
    [
        (Schedule.CONSTANT, 0.0, [1.0, 1.0, 1.0]),
        (Schedule.COSINE, 0.0, [1.0, 0.5, 0.0]),
        (Schedule.COSINE, 0.5, [0.0, 1.0, 0.0]),
        (Schedule.CONSTANT, 0.5, [0.0, 1.0, 1.0]),
    ],
)
def test_learning_rate_at_begin_middle_and_end(linear, schedule, warmup, expected):
    import keras

    optimizer = keras.optimizers.SGD(learning_rate(1.0, 100, warmup, schedule))
    found = []
    for step in (0, 50, 100):
        optimizer.iterations.assign(step)
        found.append(current_rate(optimizer))
    assert found == pytest.approx(expected, abs=1e-6)


def test_state_comes_back_and_old_weights_go(linear, tmp_path):
    state = State("fine-tuning", 2, 7, 0.9, 1, (check(),))
    save_state(tmp_path, State("head"), linear.variables)
    saved = save_state(tmp_path, state, linear.variables)
    kept = linear.get_weights()
    linear.set_weights([value + 1 for value in kept])
    assert load_state(tmp_path) == saved
    restore(tmp_path, saved, linear.variables)
    assert all(np.array_equal(a, b) for a, b in zip(kept, linear.get_weights(), strict=True))
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_no_state_is_the_first_one(tmp_path):
    assert load_state(tmp_path) == State()


def test_damaged_state_is_named(linear, tmp_path):
    saved = save_state(tmp_path, State(), linear.variables)
    with pytest.raises(WeightsError, match="another network"):
        restore(tmp_path, saved, linear.variables[:1])
    (tmp_path / saved.weights).write_bytes(b"broken")
    with pytest.raises(WeightsError, match="start the run anew"):
        restore(tmp_path, saved, linear.variables)
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(WeightsError, match="start the run anew"):
        load_state(tmp_path)


def test_interrupted_writing_leaves_the_old_file(tmp_path):
    file = tmp_path / "x.txt"
    file.write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(file, fail)
    assert file.read_text() == "old"


@pytest.mark.parametrize(
    ("selection", "score"), [(Selection.SET_AUC, 0.7), (Selection.LOSS, -0.4), (Selection.LAST, 0.7)]
)
def test_patience_counts_checks_without_gain(selection, score):
    state = State().with_check(check(), selection)
    assert (state.score, state.checks_without_gain) == (score, 0)
    state = state.with_check(check(best=False, set_auc=0.1), selection).with_check(check(best=False), selection)
    assert (state.score, state.checks_without_gain, len(state.checks)) == (score, 2, 3)


def test_sets_are_judged_apart():
    """Set "b" is shifted: pooled, its reals look like the fakes of "a"; within each set the order is perfect."""
    known = Known(np.array([0, 1, 0, 1, 0]), np.full(5, -1), ("a", "a", "b", "b", "only real"))
    found = figures(known, np.array([-2.0, -1.0, 1.0, 2.0, 0.0], np.float32))
    assert found.set_auc == 1.0
    assert found.auc == pytest.approx(4 / 6)
    assert found.score(Selection.SET_AUC) == 1.0
    assert found.score(Selection.LOSS) == -found.loss


def test_sets_of_one_class_fall_back_to_the_pooled_auc():
    known = Known(np.array([0, 0, 1, 1]), np.full(4, -1), ("r", "r", "f", "f"))
    found = figures(known, np.array([0.0, 2.0, 1.0, 3.0], np.float32))
    assert found.set_auc == found.auc == 0.75


def test_foreign_sets_count_alone():
    labels, sets = np.array([0, 1, 0, 1, 0, 1]), ("a", "a", "b", "b", "c", "d")
    logits = np.array([0.0, 1.0, 3.0, 2.0, 0.0, 5.0], np.float32)

    def set_auc(*foreign):
        return figures(Known(labels, np.full(6, -1), sets, frozenset(foreign)), logits).set_auc

    assert set_auc() == 0.5
    assert (set_auc("a"), set_auc("b"), set_auc("a", "b"), set_auc("b", "c")) == (1.0, 0.0, 0.5, 0.0)
    assert set_auc("c", "d") == 1.0, "neither has both classes: judged together"
    assert set_auc("c") == 0.5, "no foreign fake: as without foreign sets"


def test_loss_gives_both_classes_the_same_mass():
    known = Known(np.array([0, 0, 0, 1]), np.full(4, -1), ("a",) * 4)
    found = figures(known, np.array([-50.0, -50.0, -50.0, 0.0], np.float32))
    assert found.loss == pytest.approx(np.log(2) / 2)


def test_validation_of_one_class_is_refused():
    with pytest.raises(DataError, match="all of one class"):
        known_both_classes(Known(np.zeros(3, int), np.full(3, -1), ("a",) * 3))


def test_loss_that_is_no_number_stops():
    with pytest.raises(ConfigError, match="lower learning rate"):
        Meter().add(float("nan"), 1)


def test_log_is_written_anew_each_time(tmp_path):
    log = CsvLog(tmp_path / "training.csv")
    log.on_check([check()])
    log.on_check([check(), check(epoch=2)])
    with (tmp_path / "training.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["epoch"], row["set_auc"]) for row in rows] == [("1", "0.7"), ("2", "0.7")]


def test_plain_progress_says_speed_and_time_left(caplog):
    progress = PlainProgress(every=0.0)
    with caplog.at_level(logging.INFO):
        progress.on_phase("fine-tuning", 100, 20)
        progress.on_batch(30, 0.25)
        progress.on_check([check()])
    assert "fine-tuning: 100 images, 20 done" in caplog.text
    assert "50 of 100 images" in caplog.text
    assert "images/s" in caplog.text
    assert "left, loss 0.2500" in caplog.text
    assert "mean AUC over sets 0.7000 (best)" in caplog.text


def test_time_left_follows_from_the_speed(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    rate = Rate("head", 10_000, 1000)
    now[0] += 2.0
    rate.add(4)
    assert rate.said() == "head: 1004 of 10000 images, 2.0 images/s, 1:14:58 left"


def test_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    bar = Callbacks([RichProgress()])
    bar.on_phase("head", 10, 0)
    bar.on_batch(10, 0.5)
    bar.on_check([check()])
    bar.on_end()
    said = capsys.readouterr().err
    assert "10/10" in said
    assert "AUC 0.8000" in said
