"""Backbones side by side: what is foreign, which ones lie on the front, and a small comparison from end to end."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from deepfake_detector.cli.exitcodes import ExitCode
from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError, ExportError
from deepfake_detector.training.bench import backbones
from deepfake_detector.training.bench.backbones import Row, candidate_config, chosen_candidates, is_foreign
from deepfake_detector.training.bench.backbones_report import pareto
from deepfake_detector.training.bench.ranking import foreign_auc, own_auc, robust_auc
from deepfake_detector.training.bench.stress import Stressed
from deepfake_detector.training.config import check_config
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.intervals import Estimate, Resampling
from deepfake_detector.training.run import RunFolder

BACKBONES = {
    "first": {"backbone": "mesonet", "weights": "random"},
    "second": {"backbone": "mobilenetv2", "weights": "random", "alpha": 0.35, "lr": 0.001, "from_block": "block_10"},
}
QUICK = Resampling(40)


def config(**sections):
    return check_config({"name": "x", "data": {"source": "d"}, "backbones": BACKBONES, **sections}, "a test")


def test_a_candidate_changes_what_it_names_and_nothing_else():
    whole = config(train={"epochs": 7, "lr": 0.5}, card={"name": "mine"})
    first, second = (candidate_config(whole, name) for name in BACKBONES)
    assert (first.name, first.model.backbone, first.train.batchnorm, first.train.lr) == (
        "x-first", "mesonet", "learned", 0.5,
    )  # fmt: skip
    assert (second.model.alpha, second.train.lr, second.train.from_block) == (0.35, 0.001, "block_10")
    assert second.train.epochs == 7
    assert second.card.name is None
    assert (second.data, second.loss, second.augment) == (whole.data, whole.loss, whole.augment)
    pretrained = config(backbones={"one": {"backbone": "vit-tiny", "weights": "w.keras", "size": 96}})
    one = candidate_config(pretrained, "one")
    assert (one.train.batchnorm, one.train.from_block, one.data.size) == ("frozen", None, 96)


def test_candidates_are_checked():
    assert chosen_candidates(config(), ["second"]) == ["second"]
    with pytest.raises(ConfigError, match="no backbones to compare"):
        chosen_candidates(config(backbones={}), [])
    with pytest.raises(ConfigError, match="there is no 'third'; there are first, second"):
        chosen_candidates(config(), ["third"])
    with pytest.raises(ConfigError, match=r"unknown key 'backbones\.first\.wieghts'; did you mean 'weights'"):
        config(backbones={"first": {"backbone": "mesonet", "wieghts": "random"}})


def test_foreign_is_what_is_not_trained_on(tmp_path):
    samples = [Sample(tmp_path / "x.png", label, set=name) for name in "abc" for label in Label]

    def foreign(**data):
        chosen = config(data={"source": "d", **data})
        return [f"{one.set}{int(one.label)}" for one in samples if is_foreign(one, chosen)]

    assert foreign() == []
    assert foreign(sets=["a", "b"]) == ["c0", "c1"]
    assert foreign(exclude=["b/fake"]) == ["b1"]
    assert foreign(validate_only=["b"]) == ["b0", "b1"]


def test_foreign_fakes_are_measured_against_reals_of_their_set_else_foreign_ones_else_any(tmp_path, predictions):
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(size=20) for name in ("a0", "a1", "b1", "c0", "d0")}
    made = {name: predictions(tmp_path, name[0], Label(int(name[1])), values) for name, values in logits.items()}

    def auc(reals, fakes):
        reals = np.concatenate([logits[name] for name in reals])
        return roc_auc_score([0] * len(reals) + [1] * 20, np.concatenate([reals, logits[fakes]]))

    own = made["d0"]
    both = foreign_auc([*made["a0"], *made["a1"], *made["b1"], *made["c0"]], own, QUICK)
    assert both.value == pytest.approx((auc(["a0"], "a1") + auc(["a0", "c0"], "b1")) / 2)
    assert both.low < both.value < both.high
    assert foreign_auc(made["b1"], own, QUICK).value == pytest.approx(auc(["d0"], "b1"))
    assert own_auc([*made["a0"], *made["a1"]], QUICK).value == pytest.approx(auc(["a0"], "a1"))
    assert foreign_auc(made["c0"], own, QUICK).value is None
    assert foreign_auc([], [], QUICK).value is None


def test_the_robust_figure_is_the_mean_over_changes(tmp_path, predictions):
    reals = predictions(tmp_path, "a", Label.REAL, [0.0, 1.0, 2.0])
    fakes = predictions(tmp_path, "a", Label.FAKE, [3.0, 4.0, 5.0])
    clean = (*reals, *fakes)
    same = tuple(one.answer for one in clean)
    turned = tuple(replace(answer, logit=-answer.logit) for answer in same)
    lost = (None, *same[1:])
    found = robust_auc(Stressed((), clean, (same, turned, lost), ()), QUICK)
    assert found.value == pytest.approx(2 / 3)


def row(name, milliseconds, auc):
    nothing = Estimate(None)
    return Row(name, "mesonet", "random", 64, 1, 1.0, milliseconds, None, nothing, Estimate(auc), nothing, "")


def test_the_front_is_of_those_that_nothing_beats():
    rows = [row("slow", 9.0, 0.9), row("slower", 10.0, 0.9), row("quick", 1.0, 0.6), row("bad", 2.0, 0.5)]
    rows += [row("unknown", 0.1, None), row("middle", 3.0, 0.7)]
    assert [one.name for one in pareto(rows, lambda one: one.foreign.value)] == ["quick", "middle", "slow"]


def test_an_interruption_leaves_the_table_of_what_is_finished(experiment, tmp_path, monkeypatch):
    finished = row("first", 1.0, 0.7)

    def one_only(name, *_):
        if name == "second":
            raise KeyboardInterrupt
        return finished

    monkeypatch.setattr(backbones, "_row", one_only)
    assert main(["bench", "backbones", str(experiment)]) == ExitCode.INTERRUPTED
    content = json.loads((tmp_path / "outputs" / "bench" / "backbones-tiny" / "backbones.json").read_text())
    assert ([one["name"] for one in content["rows"]], content["waiting"]) == (["first"], ["second"])
    assert "Not trained yet: second." in content["summary"]


def test_a_candidate_that_cannot_be_exported_does_not_stop_the_others(experiment, tmp_path, monkeypatch, caplog):
    def second_only(name, *_):
        if name == "first":
            raise ExportError("Keras and ONNX differ")
        return row("second", 1.0, 0.7)

    monkeypatch.setattr(backbones, "_row", second_only)
    assert main(["bench", "backbones", str(experiment)]) == ExitCode.OK
    content = json.loads((tmp_path / "outputs" / "bench" / "backbones-tiny" / "backbones.json").read_text())
    assert ([one["name"] for one in content["rows"]], content["waiting"]) == (["second"], ["first"])
    assert "first is left out: Keras and ONNX differ" in caplog.text
    assert main(["bench", "backbones", str(experiment), "--only", "first"]) == ExitCode.USAGE


@pytest.fixture
def experiment(tmp_path, planted, monkeypatch):
    """Two tiny networks that are trained on set a; set b is foreign."""
    content = {
        "name": "tiny",
        "outputs": str(tmp_path / "outputs"),
        "data": {"source": str(planted), "sets": ["a"], "crop": "whole", "size": 64, "cache": str(tmp_path / "cache")},
        "augment": {"max_degradations": 0, "rotation": 0.0, "zoom": [1.0, 1.0], "shift": 0.0},
        "head": {"epochs": 2},
        "train": {"epochs": 1, "batch_size": 8},
        "backbones": {name: {**one, "backbone": "mesonet", "from_block": None} for name, one in BACKBONES.items()},
    }
    content["backbones"]["second"]["alpha"] = 0.5
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    return file


def test_networks_are_trained_once_and_compared(experiment, tmp_path, capsys):
    command = ["bench", "backbones", str(experiment), "--bootstrap", "40", "--robust-pictures", "2"]
    assert main([*command, "--only", "first", "--pictures", "24"]) == 0
    run = RunFolder(tmp_path / "outputs" / "tiny-first")
    trained_at = run.record_file.stat().st_mtime_ns
    assert main([*command, "--pictures", "24"]) == 0
    assert run.record_file.stat().st_mtime_ns == trained_at
    folder = tmp_path / "outputs" / "bench" / "backbones-tiny"
    content = json.loads((folder / "backbones.json").read_text())
    assert [one["name"] for one in content["rows"]] == ["first", "second"]
    assert content["waiting"] == []
    assert content["budget"]["training pictures"] == [24, 24]
    assert content["foreign"] == {"b": [4, 4]}
    assert content["rows"][1]["parameters"] < content["rows"][0]["parameters"]
    for one in content["rows"]:
        assert one["milliseconds"] > 0.0
        assert one["training"]["per_second"] > 0.0
        assert all(0.0 <= one[figure]["value"] <= 1.0 for figure in ("own", "foreign", "robust"))
    assert "--pictures 24" in content["command"]
    with (folder / "backbones.csv").open() as stream:
        assert [one["name"] for one in csv.DictReader(stream)] == ["first", "second"]
    page = (folder / "report.html").read_text()
    assert page.count("<img") == 3
    assert "from random weights" in page.lower()
    assert {file.name for file in (folder / "plots").iterdir()} >= {"foreign.png", "own.svg", "robust.png"}
    assert "second °" in capsys.readouterr().out
