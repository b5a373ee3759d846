"""``deepfake train`` and ``deepfake export``: what they pass on, and what they refuse before anything is trained."""

import numpy as np
import pytest

from deepfake_detector.cli.main import main
from deepfake_detector.training.fit import FitResult
from deepfake_detector.training.run import RunFolder
from deepfake_detector.training.selection import Figures
from deepfake_detector.training.steps import Logits
from deepfake_detector.training.train import Trained


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("name: mine\ndata: {source: photos}\n")
    return "x.yaml"


@pytest.fixture
def trainings(monkeypatch):
    """Notes the runs that would be trained, and takes them for done."""
    seen = []

    def note(run, callbacks):
        seen.append(run)
        nothing = Logits(np.zeros(0, np.float32), np.zeros(0, np.float32))
        return Trained(run, run.bundle, FitResult((), nothing, Figures(0.25, 0.9, 0.8)))

    monkeypatch.setattr("deepfake_detector.cli.train.run_training", note)
    return seen


def test_train_makes_a_run_with_the_overrides(config, trainings, capsys):
    assert main(["train", config, "--set", "train.epochs=3", "--set", "seed=5"]) == 0
    (run,) = trainings
    assert run.path.name == "mine"
    assert (run.config().train.epochs, run.config().seed) == (3, 5)
    said = capsys.readouterr().out
    assert "AUC 0.9000" in said
    assert "deepfake evaluate outputs/mine/bundle" in said


def test_train_alone_takes_the_usual_config(tmp_path, config, trainings):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "train.yaml").write_text("name: usual\ndata: {source: photos}\n")
    assert main(["train"]) == 0
    assert trainings[0].path.name == "usual"


def test_resume_goes_on_in_the_same_folder(config, trainings):
    main(["train", config])
    assert main(["train", "--resume", "outputs/mine"]) == 0
    assert [run.path.as_posix() for run in trainings] == ["outputs/mine"] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "x.yaml", "--set", "train.epoch=1"], "did you mean 'epochs'"),
        (["train", "no.yaml"], "cannot read the config no.yaml"),
        (["train"], "cannot read the config configs/train.yaml"),
        (["train", "--resume", "outputs/no", "x.yaml"], "--resume takes the config of the run"),
        (["train", "x.yaml"], "there is no photos"),
        (["export", "outputs/no", "copy"], "outputs/no is no run folder"),
    ],
)
def test_mistakes_are_answered_in_words(config, capsys, arguments, message):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_interrupted_training_says_how_to_go_on(config, monkeypatch, capsys):
    def interrupt(run, callbacks):
        raise KeyboardInterrupt

    monkeypatch.setattr("deepfake_detector.cli.train.run_training", interrupt)
    assert main(["train", config]) == 130
    assert "deepfake train --resume outputs/mine" in capsys.readouterr().err


def test_export_passes_the_folders_on(monkeypatch, tmp_path, capsys):
    seen = []

    def note(run, destination):
        seen.append((run.path, destination))
        return destination

    monkeypatch.setattr("deepfake_detector.training.export.export_run", note)
    assert main(["export", str(tmp_path / "run"), str(tmp_path / "copy")]) == 0
    assert seen == [(RunFolder(tmp_path / "run").path, tmp_path / "copy")]
    assert str(tmp_path / "copy") in capsys.readouterr().out
