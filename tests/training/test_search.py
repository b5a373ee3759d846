"""The search: what it tries, that it goes on, gives up, and writes the best; once with real trainings."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.training import search as module
from deepfake_detector.training.checkpoint import Check
from deepfake_detector.training.config import dump_config, load_config
from deepfake_detector.training.fit import FitResult
from deepfake_detector.training.runs import find_runs
from deepfake_detector.training.search import Range, Space, load_space, search
from deepfake_detector.training.selection import Figures
from deepfake_detector.training.steps import Logits
from deepfake_detector.training.train import Trained

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(f"name: mine\nseed: 1\noutputs: {tmp_path}\ndata: {{source: photos}}\n")
    return file


class Trainer:
    """Stands for the training: best at lr 1e-3; notes what it was asked for; may fail at one call."""

    def __init__(self, checks=1):
        self.seen, self.checks, self.fail = [], checks, {}

    def __call__(self, run, callbacks):
        lr = run.config().train.lr
        self.seen.append(run.config())
        if len(self.seen) in self.fail:
            raise self.fail[len(self.seen)]
        auc = 1.0 - abs(math.log10(lr) + 3) / 10
        for number in range(1, self.checks + 1):
            place = Check("fine-tuning", number, 1, lr, 0.5, 1 - auc, auc, auc, True, 1.0, 1.0)
            for callback in callbacks:
                callback.on_check([place] * number)
        nothing = Logits(np.zeros(0, np.float32), np.zeros(0, np.float32))
        return Trained(run, run.bundle, FitResult((), nothing, Figures(1 - auc, auc, auc)))


@pytest.fixture
def trainer(monkeypatch):
    trainer = Trainer()
    monkeypatch.setattr(module, "train", trainer)
    return trainer


RATES = Space(space={"train.lr": Range(low=1e-5, high=1e-1, log=True), "augment.zoom": [[1.0, 1.0], [0.9, 1.1]]})


def test_the_best_is_kept_with_all_other_settings(config, trainer):
    found = search(config, RATES, 6, ["train.epochs=3"])
    assert len(trainer.seen) == found.finished == 6
    best = max(trainer.seen, key=lambda seen: -abs(math.log10(seen.train.lr) + 3))
    kept = load_config(found.folder / "best.yaml")
    assert (kept.name, kept.train.epochs) == ("mine", 3)
    assert kept.train.lr == best.train.lr == found.settings["train.lr"]
    assert kept.augment.zoom == best.augment.zoom
    assert found.run == best.outputs / best.name
    with (found.folder / "trials.csv").open() as stream:
        assert [row["state"] for row in csv.DictReader(stream)] == ["complete"] * 6


def test_it_goes_on_and_does_again_what_was_cut_off(config, trainer):
    trainer.fail = {2: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        search(config, RATES, 3)
    search(config, RATES, 3)
    assert len(trainer.seen) == 4
    assert trainer.seen[2].train.lr == trainer.seen[1].train.lr
    search(config, RATES, 3)
    assert len(trainer.seen) == 4
    assert search(config, RATES, 5).finished == 5


def test_a_trial_that_looks_bad_is_given_up(config, trainer):
    trainer.checks = 5
    space = RATES.model_copy(update={"startup_trials": 2, "startup_checks": 0})
    found = search(config, space, 12)
    assert found.given_up > 0
    assert found.finished + found.given_up == 12


def test_a_loss_that_diverges_ends_a_trial_and_other_errors_end_the_search(config, trainer):
    trainer.fail = {1: ConfigError("the loss became nan")}
    found = search(config, RATES, 3)
    assert (found.finished, found.given_up) == (2, 1)
    trainer.fail = {4: DataError("the disk is gone")}
    with pytest.raises(DataError, match="the disk is gone"):
        search(config, RATES, 5)


def test_no_trial_at_its_end_says_why(config, trainer):
    trainer.fail = {1: ConfigError("the loss became nan")}
    with pytest.raises(ConfigError, match=r"no trial of .* came to its end: the loss became nan"):
        search(config, RATES, 1)


def test_another_space_is_another_study(config, trainer):
    search(config, RATES, 1)
    with pytest.raises(ConfigError, match="is of another config or space"):
        search(config, RATES.model_copy(update={"figure": "loss"}), 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("space: {}", "space: Dictionary should have at least 1 item"),
        ("space: {train.lr: {low: 2, high: 1}}", "low 2 and high 1 are no range"),
        ("space: {train.lr: {low: 0, high: 1, log: true}}", "are no range"),
        ("figure: f1\nspace: {seed: [1, 2]}", "figure: Input should be"),
        ("- 1", "should be a valid dictionary"),
        ("{", "cannot read the search space"),
    ],
)
def test_spaces_that_make_no_sense(text, words, tmp_path):
    (tmp_path / "space.yaml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_space(tmp_path / "space.yaml")


def test_a_setting_that_does_not_exist_is_refused_before_anything_is_trained(config, trainer):
    with pytest.raises(ConfigError, match="did you mean 'lr'"):
        search(config, Space(space={"train.lrr": [1, 2]}), 1)
    assert trainer.seen == []


def test_the_committed_space_fits_the_committed_config():
    module._check_names(
        module._Plan(REPOSITORY / "configs/train.yaml", (), load_space(REPOSITORY / "configs/search.yaml"))
    )


def test_real_trainings_from_the_command_line(tiny_settings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("deepfake_detector.training.export.export_run", lambda run: run.bundle)  # tested elsewhere
    settings = tiny_settings("tiny", outputs=str(tmp_path), head={"epochs": 2}, train={"epochs": 1})
    (tmp_path / "x.yaml").write_text(dump_config(settings))
    (tmp_path / "space.yaml").write_text("figure: loss\nspace: {head.lr: {low: 0.001, high: 0.1, log: true}}\n")
    assert main(["search", str(tmp_path / "x.yaml"), str(tmp_path / "space.yaml"), "--trials", "2"]) == 0
    said = capsys.readouterr().out
    assert "trials: 2 finished" in said
    runs = find_runs(tmp_path / "tiny-search")
    assert [run.folder.name for run in runs] == ["trial-0000", "trial-0001"]
    assert all(run.record.finished for run in runs)
    best = min(runs, key=lambda run: min(check.val_loss for check in run.checks))
    assert f"by {best.folder}" in said
