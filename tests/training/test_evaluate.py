import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from deepfake_detector import Detector
from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError, DataError, ModelNotFoundError
from deepfake_detector.core.types import QualityIssue, Verdict
from deepfake_detector.scoring.bundle import write_bundle
from deepfake_detector.training.config import check_config
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.evaluate import EvaluateOptions, command_line, evaluate, find_model, marked, newest_run
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling

FEW = Settings(resampling=Resampling(resamples=20))


def test_command_line_can_be_typed_again():
    options = EvaluateOptions(sets=("a b",), settings=Settings(used_for_selection=("x",)))
    line = command_line("runs/one", "my data", None, options)
    assert line.startswith("deepfake evaluate runs/one 'my data' --split test --operating-point fpr5")
    assert "--sets 'a b'" in line
    assert "--used-for-selection x" in line


def test_sets_that_chose_the_epoch_of_a_run_are_marked_without_asking(tmp_path):
    samples = [Sample(tmp_path / f"{name}.png", Label.REAL, set=name) for name in "abc"]
    config = check_config({"data": {"source": "x", "validate_only": ["c", "elsewhere"]}}, "a test")
    assert marked(Settings(), samples, config).used_for_selection == ("c",)
    assert marked(Settings(used_for_selection=("a",)), samples, config).used_for_selection == ("a", "c")
    assert marked(Settings(), samples, None).used_for_selection == ()
    with pytest.raises(DataError, match="no set aa"):
        marked(Settings(used_for_selection=("aa",)), samples, None)


def test_sets_of_foreign_sources_of_a_run_are_marked(tmp_path):
    samples = [Sample(tmp_path / f"{name}.png", Label.REAL, set=name) for name in "ab"]
    for name in ("clips/x.png", "clips/y.png"):
        coloured(tmp_path / name, 90, 90, np.random.default_rng(0))
    table = "path,label,set,split\nx.png,real,a,val\ny.png,fake,a,val\n"
    (tmp_path / "clips" / "manifest.csv").write_text(table)
    foreign = [str(tmp_path / "clips"), str(tmp_path / "gone")]
    config = check_config({"data": {"source": "x", "foreign": foreign}}, "a test")
    assert marked(Settings(), samples, config).used_for_selection == ("a",)


def coloured(path, red, blue, noise):
    pixels = np.full((48, 48, 3), (red, 0, blue), np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels + noise.integers(-20, 20, pixels.shape), 0, 255).astype(np.uint8)).save(path)


@pytest.fixture
def colours(tmp_path):
    """A split tree of whole pictures: fakes are reddish, reals bluish, with exceptions; one test file is broken."""
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for number in range(20):
            wrong = number < 3
            coloured(tmp_path / "colours" / split / "Fake" / f"{number}.png", *((60, 120) if wrong else (150, 60)), rng)
            coloured(tmp_path / "colours" / split / "Real" / f"{number}.png", *((120, 60) if wrong else (60, 120)), rng)
    (tmp_path / "colours/test/Real/broken.png").write_bytes(b"no picture")
    return tmp_path / "colours"


def test_exported_model_is_evaluated_from_files_to_page(colours, tiny_whole_bundle, tmp_path):
    options = EvaluateOptions(settings=FEW, crops=tmp_path / "cache")
    stages = []
    evaluation, folder = evaluate(
        tiny_whole_bundle,
        colours,
        tmp_path / "out",
        options,
        lambda what, done, total: stages.append((what, done, total)),
    )
    assert folder == tmp_path / "out"
    assert len(evaluation.predictions) == 41
    auc = evaluation.figures.total.metrics.figures.roc_auc.value
    assert 0.6 < auc < 0.95
    assert evaluation.figures.total.real.unreadable == 1
    first = next(one for one in evaluation.predictions if one.answer)
    pixels = np.asarray(Image.open(first.sample.path).convert("RGB"), dtype=float)
    expected = 0.5 + 8 * (pixels[..., 0].mean() - pixels[..., 2].mean()) / 255
    assert first.answer.raw_logit == pytest.approx(expected, abs=0.05)
    report = Detector(tiny_whole_bundle).analyze(first.sample.path)
    assert first.answer.raw_logit == pytest.approx(report.faces[0].logit, abs=1e-5)
    assert first.answer.issues == report.faces[0].quality.issues
    assert first.answer.verdict is report.verdict
    assert ("scoring", 40, 40) in stages
    assert stages[-1] == ("measuring", 1, 1)
    before = (folder / "metrics.json").read_bytes()
    evaluate(tiny_whole_bundle, colours, tmp_path / "out", options)
    assert (folder / "metrics.json").read_bytes() == before


def test_faces_are_cut_judged_and_counted_as_detect_does_it(astronaut, tiny_bundle, tmp_path):
    rows = ["path,label,kind,set,method,group,split"]
    for number in range(6):
        for label, scale in (("real", (0.5, 1.0, 1.0)), ("fake", (1.0, 0.8, 0.5))):
            tinted = astronaut[number * 4 :, : 512 - number * 5] * np.array(scale) * (1 - number / 40)
            Image.fromarray(tinted.astype(np.uint8)).save(tmp_path / f"{label}{number}.png")
            rows.append(f"{label}{number}.png,{label},,photos,tint,g{number},test")
    Image.fromarray(np.full((200, 200, 3), 90, np.uint8)).save(tmp_path / "wall.png")
    Image.fromarray((astronaut * 0.11).astype(np.uint8)).save(tmp_path / "night.png")
    rows += ["wall.png,real,,photos,,w,test", "night.png,real,,photos,,n,test", "real0x.png,real,,photos,,x,train"]
    Image.fromarray(astronaut).save(tmp_path / "real0x.png")
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    options = EvaluateOptions(settings=FEW, crops=tmp_path / "cache")
    evaluation, folder = evaluate(tiny_bundle, tmp_path, tmp_path / "out", options)
    total = evaluation.figures.total
    assert total.metrics.figures.roc_auc.value > 0.9
    assert total.real.no_face == 1
    dark = next(one for one in evaluation.predictions if one.sample.path.name == "night.png")
    assert dark.answer.issues == (QualityIssue.TOO_DARK,)
    assert dark.answer.verdict is Verdict.UNCERTAIN
    photo = tmp_path / "fake0.png"
    report = Detector(tiny_bundle).analyze(photo)
    measured = next(one.answer for one in evaluation.predictions if one.sample.path == photo)
    assert measured.raw_logit == pytest.approx(report.faces[0].logit, abs=1e-5)
    assert measured.p_fake == pytest.approx(report.p_fake, abs=1e-6)
    assert measured.verdict is report.verdict
    assert "no face" in (folder / "report.html").read_text()


def test_bare_command_takes_the_newest_run_and_its_data(colours, tiny_model, tiny_card, tmp_path, monkeypatch, capsys):
    from deepfake_detector.core.types import CropMode

    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(("newer", "older")):
        run = tmp_path / "outputs" / name
        card = tiny_card(crop=CropMode.WHOLE).model_copy(update={"version": f"{age}.0.0"})
        folder = write_bundle(run / "bundle", tiny_model(), card)
        (run / "config.yaml").write_text(f"name: {name}\ndata: {{source: colours, cache: crops}}\n")
        os.utime(folder / "card.json", (1e9 - age, 1e9 - age))
    assert newest_run() == newest_run(tmp_path / "outputs").relative_to(tmp_path)
    assert find_model(None).bundle.card.version == "0.0.0"
    assert find_model("outputs/older/bundle").config is None
    (tmp_path / "outputs/older/run.json").write_text("{}")
    assert find_model("outputs/older/bundle").config.name == "older"
    assert main(["evaluate", "--bootstrap", "20"]) == 0
    said = capsys.readouterr().out
    assert "ROC-AUC" in said
    assert "report.html" in said
    folder = tmp_path / "outputs/evaluations/tiny-0.0.0-test"
    content = json.loads((folder / "metrics.json").read_text())
    assert content["command"].startswith("deepfake evaluate outputs/newer colours --split test")
    assert content["data"]["pictures"] == 41
    assert (folder / "plots/roc.svg").is_file()


def test_command_line_options_choose_pictures(colours, tiny_whole_bundle, tmp_path, capsys):
    arguments = ["evaluate", str(tiny_whole_bundle), str(colours), "--bootstrap", "0", "--crops", str(tmp_path / "c")]
    assert main([*arguments, "--split", "all", "--output", str(tmp_path / "all")]) == 0
    content = json.loads((tmp_path / "all/metrics.json").read_text())
    assert content["data"]["pictures"] == 121
    assert "not only test pictures" in (tmp_path / "all/report.html").read_text()
    assert main([*arguments, "--sets", "colors"]) == 2
    assert "did you mean 'colours'" in capsys.readouterr().err
    assert main([*arguments, "--used-for-selection", "film", "--output", str(tmp_path / "x")]) == 2


def test_what_cannot_be_evaluated_is_explained(tiny_whole_bundle, colours, tmp_path):
    with pytest.raises(ModelNotFoundError, match="no run under"):
        find_model(None, tmp_path / "outputs")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/config.yaml").write_text("data: {source: x}")
    with pytest.raises(ModelNotFoundError, match="has no bundle yet"):
        find_model(tmp_path / "run")
    with pytest.raises(ConfigError, match="give the data"):
        evaluate(tiny_whole_bundle, None)
    for file in (colours / "test").rglob("*.png"):
        file.unlink()
    with pytest.raises(DataError):
        evaluate(tiny_whole_bundle, colours, tmp_path / "out", EvaluateOptions(crops=tmp_path / "c"))


def test_module_runs_as_a_script():
    command = [sys.executable, "-m", "deepfake_detector.training.evaluate", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--used-for-selection" in done.stdout
