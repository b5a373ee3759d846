"""A whole training on planted traces: it learns, it can be interrupted, and what it leaves is complete."""

import csv
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.cards import read_predictions
from deepfake_detector.training.phases import FINE
from deepfake_detector.training.run import RunFolder, create_run
from deepfake_detector.training.train import train

# A network is really trained; seconds on a quiet machine.
pytestmark = pytest.mark.timeout(900)


class Interrupt(Callback):
    """Stops the training in a phase after a batch, as Ctrl-C does."""

    def __init__(self, phase):
        self.phase, self.now = phase, ""

    def on_phase(self, phase, images, done):
        self.now = phase

    def on_batch(self, images, loss):
        if self.now == self.phase:
            raise KeyboardInterrupt


def kill_in_an_epoch(run):
    """Go on with a run in another process, and kill it when its last checkpoint lies in the middle of an epoch."""
    command = [sys.executable, "-m", "deepfake_detector.training.train", "--resume", str(run.path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = run.checkpoints / "state.json"
    deadline = time.monotonic() + 250
    while time.monotonic() < deadline and process.poll() is None:
        if state.is_file() and json.loads(state.read_text())["step"]:
            break
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    return json.loads(state.read_text())


def weights_of(run):
    import keras

    return keras.models.load_model(run.checkpoints / "final.keras", compile=False).get_weights()


def without_times(checks):
    return [(c.phase, c.epoch, c.step, c.lr, c.loss, c.val_loss, c.auc, c.set_auc, c.best) for c in checks]


def test_it_learns_the_trace_and_the_kind(trained):
    assert trained.result.figures.set_auc > 0.9
    rows = [row for row in read_predictions(trained.run.predictions_file) if row.kind >= 0]
    assert roc_auc_score([row.kind for row in rows], [row.kind_logit for row in rows]) > 0.75


def test_run_folder_is_complete(trained):
    run = trained.run
    record = run.record()
    assert record.finished
    assert record.seed == 3
    assert record.packages["keras"]
    assert {(c.set, c.part, c.real, c.fake) for c in record.counts} == {
        (name, part, number, number) for name in "ab" for part, number in (("train", 48), ("validation", 24))
    }
    assert run.config().train.epochs == 3
    assert list(run.plots.glob("*.png"))
    assert list((run.logs / "tensorboard").glob("events*"))
    with run.checks_file.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["phase"] for row in rows] == ["head"] * 8 + [FINE] * 6
    assert "fine-tuning, epoch 3" in (run.logs / "train.log").read_text()
    assert not list(run.checkpoints.glob("features-*"))


def test_bundle_answers_as_the_network_did(trained):
    bundle = load_bundle(trained.bundle)
    crops = np.load(trained.run.sample_file)
    scores = Scorer(bundle).score(crops)
    rows = read_predictions(trained.run.predictions_file)
    chosen = np.unique(np.linspace(0, len(rows) - 1, 32).round().astype(int))
    np.testing.assert_allclose(scores.fake_logit, [rows[i].fake_logit for i in chosen], atol=2e-3)
    assert bundle.card.calibration.out_of_source is False
    assert [(data.name, data.real, data.fake) for data in bundle.card.data] == [("a", 48, 48), ("b", 48, 48)]


def test_interrupted_and_killed_and_resumed_gives_the_same(trained, tiny_settings, monkeypatch):
    run = create_run(tiny_settings("stopped"))
    with pytest.raises(KeyboardInterrupt):
        train(run, [Interrupt("features (validation)")])
    assert [file.name for file in run.checkpoints.iterdir()] == ["features-view-00.npy"]
    state = kill_in_an_epoch(run)
    assert state["phase"] == FINE
    assert state["step"] == 6
    monkeypatch.setattr("deepfake_detector.training.export.export_run", lambda run: run.bundle)  # tested elsewhere
    again = train(RunFolder(run.path))
    assert without_times(again.result.checks) == without_times(trained.result.checks)
    for ours, theirs in zip(weights_of(run), weights_of(trained.run), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_a_head_phase_it_goes_on_from_within_the_first_epoch(tiny_settings, monkeypatch):
    monkeypatch.setattr("deepfake_detector.training.export.export_run", lambda run: run.bundle)  # tested elsewhere
    short = {"head": {"epochs": 0}, "train": {"epochs": 1}}
    whole = train(create_run(tiny_settings("headless", **short)))
    run = create_run(tiny_settings("headless-stopped", **short))
    with pytest.raises(KeyboardInterrupt):
        train(run, [Interrupt(FINE)])
    assert json.loads((run.checkpoints / "state.json").read_text())["step"] == 0
    again = train(RunFolder(run.path))
    assert without_times(again.result.checks)[1:] == without_times(whole.result.checks)[1:]
    for ours, theirs in zip(weights_of(run), weights_of(whole.run), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_resuming_with_other_data_is_refused(trained, tiny_settings, tmp_path):
    run = create_run(tiny_settings("changed", outputs=str(tmp_path)))
    record = trained.run.record().model_copy(update={"data_fingerprint": "0" * 64})
    run.write_record(record)
    with pytest.raises(ConfigError, match=r"data of .* has changed"):
        train(run)


def test_names_of_runs_are_never_used_twice(tiny_settings, tmp_path):
    config = tiny_settings("twice", outputs=str(tmp_path))
    assert [create_run(config).path.name for _ in range(3)] == ["twice", "twice-2", "twice-3"]


def test_folder_that_is_no_run(tmp_path):
    with pytest.raises(ConfigError, match="no run folder"):
        RunFolder(tmp_path).config()


def test_a_foreign_source_chooses_the_best_check(planted, tiny_settings, tmp_path):
    more = tmp_path / "more.csv"
    files = sorted((planted / "b").glob("*-*.png"))
    lines = [f"{f},{'fake' if int(f.stem[-3:]) % 4 >= 2 else 'real'},c,{f.stem.split('-')[0]}" for f in files]
    more.write_text("\n".join(["path,label,set,split", *lines]))
    data = {"sets": ["a"], "foreign": [str(more)]}
    done = train(create_run(tiny_settings("abroad", data=data, head={"epochs": 2}, train={"epochs": 0})))
    rows = read_predictions(done.run.predictions_file)
    abroad = [row for row in rows if row.foreign]
    assert ({row.set for row in abroad}, {row.set for row in rows}) == ({"c"}, {"a", "c"})
    assert len(abroad) == len([f for f in files if not f.name.startswith("test")])
    auc = roc_auc_score([row.label for row in abroad], [row.fake_logit for row in abroad])
    assert done.result.figures.set_auc == pytest.approx(auc)
    assert {(count.part, count.set) for count in done.run.record().counts if count.set == "c"} == {
        ("foreign validation", "c")
    }
    both = tiny_settings("both", outputs=str(tmp_path), data={"foreign": [str(planted)]})
    with pytest.raises(DataError, match="both have the set 'a'"):
        train(create_run(both))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"validate_only": ["c"]}, "there is no set 'c'"),
        ({"exclude": ["a"], "validate_only": ["b"]}, "0 real and 0 fake training pictures"),
    ],
)
def test_data_that_cannot_be_used(tiny_settings, tmp_path, data, message):
    run = create_run(tiny_settings("wrong", outputs=str(tmp_path), data=data))
    with pytest.raises(DataError, match=message):
        train(run)
    assert not run.path.exists()


def test_module_runs_as_a_script(tmp_path):
    command = [sys.executable, "-m", "deepfake_detector.training.train", str(tmp_path / "missing.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot read the config" in done.stderr
