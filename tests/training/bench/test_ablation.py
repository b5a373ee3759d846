"""An ablation: what a recipe loses, what it is measured on, what is said of it, and a small one from end to end."""

import csv
import json

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from deepfake_detector.cli.exitcodes import ExitCode
from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError, DataError, ExportError
from deepfake_detector.training.bench import ablation
from deepfake_detector.training.bench.ablation import (
    CHANGED,
    FIGURES,
    FOREIGN,
    FULL,
    KNOWN,
    Ablation,
    AblationOptions,
    Judged,
    Row,
    chosen_folds,
    pictures_of,
    recipe,
)
from deepfake_detector.training.bench.ablation_report import summary
from deepfake_detector.training.bench.sources import fold_config
from deepfake_detector.training.config import check_config
from deepfake_detector.training.data.samples import Label, Sample, Split
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Estimate, Resampling
from deepfake_detector.training.run import RunFolder

PARTS = {"families": {"first": ["a"], "second": ["b"]}, "ingredients": {"averaging": ["train.ema=0.0", "seed=4"]}}


def config(**sections):
    content = {"name": "x", "data": {"source": "d"}, "train": {"ema": 0.9}, **PARTS, **sections}
    return check_config(content, "a test")


def samples(folder):
    return [
        Sample(folder / f"{name}-{label.name}-{split}-{number}.png", label, set=name, split=split)
        for name in "abc"
        for label in Label
        for split in Split
        for number in range(3)
    ]


def test_a_recipe_loses_its_ingredient_and_nothing_else():
    whole = config()
    without = recipe(whole, "averaging")
    assert (without.name, without.train.ema, without.seed) == ("x-no-averaging", 0.0, 4)
    restored = without.model_copy(update={"name": "x", "seed": 0, "train": whole.train})
    assert restored == whole
    assert recipe(whole, FULL) == whole
    more = config(ingredients={})
    assert fold_config(whole, "first", validate=False) == fold_config(more, "first", validate=False)


def test_folds_and_ingredients_are_checked(tmp_path):
    known = samples(tmp_path)
    assert chosen_folds(config(), known, ()) == {"first": ("a",), "second": ("b",)}
    assert chosen_folds(config(), known, ["second"]) == {"second": ("b",)}
    with pytest.raises(ConfigError, match="'third' is no family of the config; there are first, second"):
        chosen_folds(config(), known, ["third"])
    with pytest.raises(ConfigError, match="no ingredients to take away"):
        chosen_folds(config(ingredients={}), known, ())
    with pytest.raises(ConfigError, match="may have seen the sets to be left out"):
        chosen_folds(config(ingredients={"start": [f"model.weights={tmp_path}"]}), known, ())
    with pytest.raises(ConfigError, match=r"with train\.emma=0: unknown key 'train\.emma'; did you mean 'ema'"):
        recipe(config(ingredients={"averaging": ["train.emma=0"]}), "averaging")


def test_nothing_is_measured_on_test_pictures_nor_on_what_was_trained_on(tmp_path):
    table = tmp_path / "more.csv"
    table.write_text("path,label,set,split\nm.png,fake,m,val\nn.png,real,m,\no.png,real,m,test\n")
    for name in "mno":
        (tmp_path / f"{name}.png").touch()
    options = AblationOptions(foreign=(table,), changed_pictures=1)
    found = pictures_of(config(), samples(tmp_path), "first", options)
    assert {(one.set, one.split) for one in found[KNOWN]} == {("b", Split.VAL), ("c", Split.VAL)}
    assert {(one.set, one.split) for one in found[FOREIGN]} == {
        ("a", Split.TRAIN), ("a", Split.VAL), ("m", Split.VAL), ("m", None),
    }  # fmt: skip
    assert len(found[CHANGED]) == 6
    assert set(found[CHANGED]) < set(found[FOREIGN])
    only_tests = [one for one in samples(tmp_path) if one.set == "c" or one.split is Split.TEST]
    with pytest.raises(DataError, match="without first has no foreign pictures"):
        pictures_of(config(), only_tests, "first", AblationOptions())


def test_sets_are_compared_with_reals_of_their_own_fold(tmp_path, predictions):
    rng = np.random.default_rng(0)
    reals = [rng.normal(size=20), rng.normal(5.0, 1.0, size=20)]
    fakes = [rng.normal(1.0, 1.0, size=20), rng.normal(6.0, 1.0, size=20)]
    folds = [
        [*predictions(tmp_path, name, Label.REAL, real), *predictions(tmp_path, name, Label.FAKE, fake)]
        for name, real, fake in zip("ab", reals, fakes, strict=True)
    ]
    judged = Judged.of(folds)
    truth = [0] * 20 + [1] * 20
    expected = [roc_auc_score(truth, np.concatenate(pair)) for pair in zip(reals, fakes, strict=True)]
    found = [roc_auc_score(judged.labels[at], judged.logits[at]) for at in judged.parts]
    assert found == pytest.approx(expected)


def row(name, worth=None):
    nothing = dict.fromkeys(FIGURES, Estimate(0.5))
    return Row(name, (), nothing, {} if worth is None else dict.fromkeys(FIGURES, Estimate(*worth)), 1.0, ())


def test_the_summary_says_what_helps_what_harms_and_what_does_neither():
    def of(*rows):
        both = {"first": ("a",), "second": ("b",)}
        counts = dict.fromkeys(FIGURES, (1, 1))
        return summary(
            Ablation(
                name="x",
                data="d",
                fingerprint="",
                command="",
                settings=Settings(),
                epochs=(0, 2),
                machine="m",
                rows=(row(FULL), *rows),
                waiting=("last",),
                folds=both,
                size=64,
                shown=32,
                tested=counts,
            )
        )

    said = of(row("good", (0.1, 0.05, 0.15)), row("bad", (-0.1, -0.15, -0.05)), row("none", (0.1, -0.1, 0.3)))
    assert "Worth having on foreign sources: good 0.100 (0.050–0.150)." in said
    assert "Better left out for foreign sources: bad -0.100 (-0.150 to -0.050)." in said
    assert not any("none" in sentence for sentence in said)
    assert "Not trained yet: last." in said
    said = of(row("none", (0.1, -0.1, 0.3)))
    assert "On foreign sources no ingredient is told apart from nothing." in said
    assert any("64 px" in sentence and "32 pictures" in sentence for sentence in said)


@pytest.fixture
def experiment(tmp_path, planted, monkeypatch):
    """A tiny network on drawn pictures; its only ingredient is the length of its training."""
    content = {
        "name": "tiny",
        "outputs": str(tmp_path / "outputs"),
        "data": {"source": str(planted), "crop": "whole", "size": 64, "cache": str(tmp_path / "cache")},
        "model": {"backbone": "mesonet", "weights": "random"},
        "augment": {"max_degradations": 0, "rotation": 0.0, "zoom": [1.0, 1.0], "shift": 0.0},
        "head": {"epochs": 8, "lr": 0.01, "batch_size": 32},
        "train": {"epochs": 0},
        "families": {"first": ["a"], "second": ["b"]},
        "ingredients": {"training": ["head.lr=1.0e-9"]},
    }
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    return file


def test_an_ingredient_is_worth_what_is_lost_without_it(experiment, tmp_path, capsys, monkeypatch):
    command = ["bench", "ablation", str(experiment), "--fold", "second", "--bootstrap", "40", "--changed-pictures", "3"]
    judge = ablation._judged

    def interrupted(runs, *rest):
        if "no-training" in runs[0].path.name:
            raise KeyboardInterrupt
        return judge(runs, *rest)

    monkeypatch.setattr(ablation, "_judged", interrupted)
    assert main(command) == ExitCode.INTERRUPTED
    folder = tmp_path / "outputs" / "bench" / "ablation-tiny"
    assert json.loads((folder / "ablation.json").read_text())["waiting"] == ["training"]
    monkeypatch.setattr(ablation, "_judged", judge)

    def never(*_):
        raise AssertionError("a finished run must not be trained again")

    monkeypatch.setattr("deepfake_detector.training.train.train", never)
    assert main(command) == 0
    content = json.loads((folder / "ablation.json").read_text())
    assert content["waiting"] == []
    full, without = content["rows"]
    for figure in FIGURES:
        lost = full["figures"][figure]["value"] - without["figures"][figure]["value"]
        assert without["worth"][figure]["value"] == pytest.approx(lost)
    assert without["worth"]["foreign"]["value"] > 0.1
    assert full["figures"]["known"]["value"] > 0.8
    assert content["tested_on"] == {"known": [24, 24], "foreign": [72, 72], "changed": [6, 6]}
    run = RunFolder(tmp_path / "outputs" / "tiny-no-training-without-second")
    assert {count.set for count in run.record().counts} == {"a"}
    with (folder / "ablation.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [one["without"] for one in rows] == ["full", "training"]
    assert float(rows[1]["foreign_worth"]) == pytest.approx(without["worth"]["foreign"]["value"], abs=1e-5)
    assert "data:image/svg+xml" in (folder / "report.html").read_text()
    assert content["summary"][0] in capsys.readouterr().out


def test_what_cannot_be_exported_does_not_stop_the_others_but_the_full_recipe_is_needed(
    experiment, tmp_path, monkeypatch, caplog
):
    content = yaml.safe_load(experiment.read_text())
    content["ingredients"]["seed"] = ["seed=4"]
    experiment.write_text(yaml.safe_dump(content))

    def failing(word):
        def train(config, _):
            if word in config.name:
                raise ExportError("Keras and ONNX differ")
            return RunFolder(config.outputs / config.name)

        return train

    def made(name, *_):
        return row(name, None if name == FULL else (0.1, 0.0, 0.2))

    monkeypatch.setattr(ablation, "_judged", lambda *_: {})
    monkeypatch.setattr(ablation, "_row", made)
    monkeypatch.setattr(ablation, "trained_run", failing("no-training-without-second"))
    assert main(["bench", "ablation", str(experiment)]) == ExitCode.OK
    table = tmp_path / "outputs" / "bench" / "ablation-tiny" / "ablation.json"
    found = json.loads(table.read_text())
    assert ([one["name"] for one in found["rows"]], found["waiting"]) == (["full", "seed"], ["training"])
    assert "training is left out: Keras and ONNX differ" in caplog.text
    table.unlink()
    monkeypatch.setattr(ablation, "trained_run", failing("tiny-without-first"))
    assert main(["bench", "ablation", str(experiment)]) == ExitCode.USAGE
    assert not table.exists()


def test_the_command_says_how_to_repeat_it(experiment, tmp_path):
    measured = Settings(resampling=Resampling(40))
    options = AblationOptions(("second",), (tmp_path,), overrides=("seed=2",), settings=measured)
    said = ablation.command_line(experiment, None, options)
    assert f"--fold second --foreign {tmp_path} --pictures 300 --changed-pictures 30 --set seed=2 --boot" in said
