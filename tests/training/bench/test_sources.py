import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.training.bench.sources import (
    EVERYBODY,
    FAMILY,
    OWN,
    SourcesOptions,
    check_families,
    fold_config,
    measure_fold,
    untrained_sets,
)
from deepfake_detector.training.config import JoinConfig, check_config, dump_config
from deepfake_detector.training.data.samples import Label, Sample, Split
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.training.run import RunFolder

COLUMNS = ("path", "label", "kind", "set", "method", "group", "split")
TINY = {
    "model": {"backbone": "mesonet", "weights": "random"},
    "augment": {"max_degradations": 0, "rotation": 0.0, "zoom": [1.0, 1.0], "shift": 0.0},
    "head": {"epochs": 4, "lr": 0.01, "batch_size": 32},
    "train": {"epochs": 0},
}


def config(**data):
    content = {"name": "x", "data": {"source": "d", **data}, "families": {"gan": ["a", "b"], "other": ["c"]}, **TINY}
    return check_config(content, "a test")


def test_a_fold_never_sees_its_family():
    fold = fold_config(config(exclude=["z"], sets=["a", "c"]), "gan", validate=False)
    assert fold.name == "x-without-gan"
    assert fold.data.exclude == ("z", "a", "b")
    assert fold.data.sets == ("c",)
    validated = fold_config(config(), "gan", validate=True)
    assert (validated.data.exclude, validated.data.validate_only) == ((), ("a", "b"))
    assert fold_config(config(validate_only=["a"]), "gan", validate=False).data.validate_only == ()


def test_what_no_fold_trains_on_is_known(tmp_path):
    samples = [Sample(tmp_path / "x.png", Label.REAL, set=name, split=Split.TRAIN) for name in "abcd"]
    samples += [Sample(tmp_path / "x.png", Label.FAKE, set="e", split=Split.TEST)]
    assert untrained_sets(config(exclude=["d"], validate_only=["c"]), samples) == ("c", "d", "e")
    assert untrained_sets(config(sets=["a", "b"]), samples) == ("c", "d", "e")
    assert untrained_sets(config(), samples) == ("e",)


def test_families_are_checked(tmp_path):
    samples = [Sample(tmp_path / "x.png", Label.REAL, set=name) for name in "abc"]
    check_families(config(), samples)
    with pytest.raises(ConfigError, match="at least two families"):
        check_families(config().model_copy(update={"families": {"gan": ("a",)}}), samples)
    with pytest.raises(ConfigError, match="there is no set 'c'"):
        check_families(config(), samples[:2])
    with pytest.raises(ConfigError, match="'a' is in two"):
        check_families(config().model_copy(update={"families": {"gan": ("a",), "more": ("a", "b")}}), samples)
    joined = JoinConfig(branches=(tmp_path, tmp_path), folds=((tmp_path, tmp_path),))
    with pytest.raises(ConfigError, match="the config of a branch"):
        check_families(config().model_copy(update={"join": joined}), samples)
    seen = config().model_copy(update={"model": config().model.model_copy(update={"weights": str(tmp_path)})})
    with pytest.raises(ConfigError, match="may have seen"):
        check_families(seen, samples)


def test_fakes_alone_are_measured_against_the_reals_of_their_family(tmp_path, tiny_bundle, predictions):
    rng = np.random.default_rng(0)
    logits = {name: rng.normal(size=20) for name in ("a real", "a fake", "b fake", "c fake", "d real")}
    found = [
        one
        for name, values in logits.items()
        for one in predictions(tmp_path, name[0], Label[name[2:].upper()], values)
    ]
    families = {"gan": ("a", "b"), "other": ("c",)}
    options = SourcesOptions(settings=Settings(resampling=Resampling(20)))
    cells = {cell.set: cell for cell in measure_fold("gan", families, found, load_bundle(tiny_bundle), options)}
    assert [cells[name].against for name in "abcd"] == [OWN, FAMILY, EVERYBODY, ""]
    assert [cells[name].left_out for name in "abcd"] == [True, True, False, False]
    labels = [0] * 20 + [1] * 20
    for name, reals in (("a", "a real"), ("b", "a real")):
        expected = roc_auc_score(labels, np.concatenate([logits[reals], logits[f"{name} fake"]]))
        assert cells[name].roc_auc.value == pytest.approx(expected)
    assert cells["c"].roc_auc.value == pytest.approx(
        roc_auc_score([0] * 40 + [1] * 20, np.concatenate([logits["a real"], logits["d real"], logits["c fake"]]))
    )
    assert cells["d"].roc_auc.value is None
    assert cells["d"].fpr.count == (logits["d real"] >= 1.0).sum()
    assert (cells["b"].real, cells["b"].fake, cells["b"].fpr.n) == (0, 20, 0)
    marked = measure_fold("gan", families, found, load_bundle(tiny_bundle), replace(options, validate_left_out=True))
    assert [cell.used_for_selection for cell in marked] == [True, True, False, False]


@pytest.fixture
def experiment(tmp_path, planted, monkeypatch):
    """A config with two families on drawn pictures, of which one (set b) is tested on with all its pictures."""
    content = {
        "name": "tiny",
        "seed": 3,
        "outputs": str(tmp_path / "outputs"),
        "data": {"source": str(planted), "crop": "whole", "size": 64, "cache": str(tmp_path / "cache")},
        "families": {"first": ["a"], "second": ["b"]},
        **TINY,
    }
    file = tmp_path / "tiny.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def test_one_command_trains_tests_and_goes_on(experiment, tmp_path, capsys, monkeypatch):
    arguments = ["bench", "sources", str(experiment), "--split", "val", "--bootstrap", "20"]
    arguments += ["--output", str(tmp_path / "matrix")]
    assert main(arguments) == 0
    said = capsys.readouterr().out
    content = json.loads((tmp_path / "matrix/sources.json").read_text())
    assert {(cell["fold"], cell["set"]): cell["left_out"] for cell in content["cells"]} == {
        ("first", "a"): True,
        ("first", "b"): False,
        ("second", "a"): False,
        ("second", "b"): True,
    }
    assert content["summary"][0] in said
    foreign = [cell["roc_auc"]["value"] for cell in content["cells"] if cell["left_out"]]
    assert content["mean_left_out_auc"] == pytest.approx(np.mean(foreign))
    for family, left_out in (("first", "a"), ("second", "b")):
        run = RunFolder(tmp_path / "outputs" / f"tiny-without-{family}")
        assert run.record().finished
        assert left_out not in {count.set for count in run.record().counts}
    with (tmp_path / "matrix/predictions-without-first.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    truth = [row["label"] == "fake" for row in rows if row["set"] == "a"]
    scores = [float(row["logit"]) for row in rows if row["set"] == "a"]
    cell = next(cell for cell in content["cells"] if (cell["fold"], cell["set"]) == ("first", "a"))
    assert cell["roc_auc"]["value"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-6)
    assert "data:image/svg+xml" in (tmp_path / "matrix/report.html").read_text()

    def never(*_):
        raise AssertionError("a finished fold must not be trained again")

    monkeypatch.setattr("deepfake_detector.training.train.train", never)
    assert main(arguments) == 0
    assert json.loads((tmp_path / "matrix/sources.json").read_text()) == content
    assert main([*arguments, "--set", "seed=4"]) == 2
    assert "is a run of another config" in capsys.readouterr().err


def test_a_family_is_named_on_the_command_line(experiment, capsys):
    assert main(["bench", "sources", str(experiment), "--family", "first"]) == 2
    assert "write it as name=set,set" in capsys.readouterr().err
    assert main(["bench", "sources", str(experiment), "--family", "one=a", "--family", "two=bb"]) == 2
    assert "did you mean 'b'" in capsys.readouterr().err


def test_families_are_part_of_a_written_config():
    assert "families:\n  gan:\n  - a\n  - b\n" in dump_config(config())
