import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from deepfake_detector import Detector
from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import ConfigError, DataError, ModelNotFoundError
from deepfake_detector.core.types import Kind, OperatingPoint, QualityIssue, Verdict
from deepfake_detector.scoring.bundle import write_bundle
from deepfake_detector.training.data.samples import Label, Sample, Split
from deepfake_detector.training.evaluate import EvaluateOptions, command_line, evaluate, find_model, newest_run, write
from deepfake_detector.training.evaluation import Evaluation, Settings, assess_predictions
from deepfake_detector.training.evaluation_files import card_metrics
from deepfake_detector.training.evaluation_report import percent, summary
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.training.predict import Answer, Prediction

FEW = Settings(resampling=Resampling(resamples=20))


@pytest.fixture(scope="module")
def calibration(tiny_card):
    return tiny_card().calibration


def predicted(folder, set_, label, logits, method="", kind=None, *, skipped=""):
    """Predictions of a set, one picture for each logit; None stands for a picture that was skipped."""
    found = []
    for number, logit in enumerate(logits):
        path = folder / set_ / label.name / f"{method}{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"0")
        sample = Sample(path, label, kind, set_, method, split=Split.TEST)
        verdict = Verdict.FAKE if logit and logit >= 1 else Verdict.REAL
        kind_logit = 2.0 if kind is Kind.GENERATED else -1.0
        answer = None if logit is None else Answer(logit, logit, 1 / (1 + np.exp(-logit)), kind_logit, verdict, ())
        found.append(Prediction(sample, answer, skipped if logit is None else ""))
    return found


@pytest.fixture(scope="module")
def predictions(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("predicted")
    rng = np.random.default_rng(0)
    return [
        *predicted(tmp_path, "mixed", Label.REAL, rng.normal(-2, 1, 60)),
        *predicted(tmp_path, "mixed", Label.FAKE, rng.normal(2, 1, 30), "swap", Kind.MANIPULATED),
        *predicted(tmp_path, "mixed", Label.FAKE, rng.normal(0, 1, 20), "splice", Kind.MANIPULATED),
        *predicted(tmp_path, "reals", Label.REAL, rng.normal(-3, 1, 40)),
        *predicted(tmp_path, "reals", Label.REAL, [None] * 3, skipped="no face was found"),
        *predicted(tmp_path, "fakes", Label.FAKE, rng.normal(1, 1, 25), "gan", Kind.GENERATED),
        *predicted(tmp_path, "broken", Label.FAKE, [None] * 2, skipped="damaged: x.jpg is cut off"),
    ]


@pytest.fixture(scope="module")
def figures(predictions, calibration):
    return assess_predictions(predictions, calibration, FEW)


@pytest.fixture(scope="module")
def evaluation(predictions, figures, tiny_card):
    card = tiny_card()
    return Evaluation(card, "some <data>", "test", "f" * 64, "deepfake evaluate a b", FEW, tuple(predictions), figures)


def test_sets_methods_and_the_sum_have_their_figures(figures):
    assert [part.set for part in figures.sets] == ["broken", "fakes", "mixed", "reals"]
    assert [part.name for part in figures.methods] == ["mixed / splice", "mixed / swap"]
    total = figures.total
    assert (total.metrics.real, total.metrics.fake) == (100, 75)
    assert (total.real.total, total.fake.total) == (103, 77)
    assert total.real.no_face == 3
    assert total.fake.unreadable == 2
    splice, swap = figures.methods
    assert (splice.metrics.real, splice.metrics.fake) == (60, 20)
    assert swap.metrics.figures.roc_auc.value > splice.metrics.figures.roc_auc.value


def test_thresholds_are_those_of_the_card(predictions, figures):
    points = {at.point: at for at in figures.total.points}
    assert [points[point].logit for point in OperatingPoint] == [2.0, 1.0, 0.7]
    logits = np.array([one.answer.logit for one in predictions if one.answer and one.sample.label is Label.FAKE])
    assert points[OperatingPoint.FPR1].tpr.count == (logits >= 2.0).sum()
    assert points[OperatingPoint.FPR1].tpr.n == len(logits)


def test_one_class_sets_have_rates_and_no_auc(figures):
    sets = {part.set: part for part in figures.sets}
    reals, fakes = sets["reals"], sets["fakes"]
    assert reals.metrics.figures.roc_auc.value is None
    assert reals.points[0].fpr.n == 40
    assert reals.points[0].fpr.high is not None
    assert reals.points[0].tpr.value is None
    assert fakes.points[0].tpr.n == 25
    assert sets["broken"].metrics is None
    assert sets["broken"].points == ()


def test_sets_used_for_selection_stay_out_of_the_sum(predictions, calibration):
    settings = Settings(resampling=FEW.resampling, used_for_selection=("fakes",))
    figures = assess_predictions(predictions, calibration, settings)
    assert figures.total.metrics.fake == 50
    assert not figures.total.used_for_selection
    assert [part.set for part in figures.sets if part.used_for_selection] == ["fakes"]
    everything = Settings(resampling=FEW.resampling, used_for_selection=("fakes", "mixed", "reals", "broken"))
    total = assess_predictions(predictions, calibration, everything).total
    assert total.metrics.fake == 75
    assert total.used_for_selection
    with pytest.raises(DataError, match="no set film"):
        assess_predictions(predictions, calibration, Settings(used_for_selection=("film",)))


def test_mean_over_sets_counts_each_set_once(figures):
    mixed = next(part for part in figures.sets if part.set == "mixed")
    assert figures.mean_set_auc == mixed.metrics.figures.roc_auc.value
    assert figures.sets_in_mean == 1


def test_kind_is_measured_on_fakes_of_known_kind(predictions, figures, calibration):
    kind = figures.kind
    assert (kind.manipulated, kind.generated) == (50, 25)
    assert kind.roc_auc.value == 1.0
    assert kind.accuracy.value == 1.0
    unknown = [one for one in predictions if one.sample.label is Label.REAL]
    assert assess_predictions(unknown, calibration, FEW).kind is None


def test_nothing_scored_is_refused(tmp_path, calibration):
    nothing = predicted(tmp_path, "a", Label.REAL, [None], skipped="no face was found")
    with pytest.raises(DataError, match="no picture could be scored"):
        assess_predictions(nothing, calibration, FEW)


@pytest.fixture(scope="module")
def written(evaluation, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    write(evaluation, folder)
    return folder


def test_numbers_are_written_without_nan_and_complete(evaluation, written):
    content = json.loads((written / "metrics.json").read_text(), parse_constant=pytest.fail)
    assert content["figures"]["total"]["metrics"]["real"] == 100
    assert content["data"]["skipped"] == {"no face was found": 3, "damaged": 2}
    with (written / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    by_place = {(row["scope"], row["set"], row["method"], row["figure"]): row for row in rows}
    assert len(by_place) == len(rows)
    auc = by_place["set", "mixed", "", "roc_auc"]
    assert float(auc["low"]) <= float(auc["value"]) <= float(auc["high"])
    assert "needs both classes" in by_place["set", "reals", "", "roc_auc"]["reason"]
    assert by_place["all", "", "", "real_verdict_no_face"]["value"] == "3"
    with (written / "predictions.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == len(evaluation.predictions)
    assert sum(line["verdict"] == "no_face" for line in lines) == 3
    assert sum(bool(line["skipped"]) for line in lines) == 5
    assert lines[0]["path"].startswith("mixed/REAL/")


def test_card_metrics_name_each_set_and_say_what_was_selected_on(evaluation):
    found = {(metric.name, metric.on): metric for metric in card_metrics(evaluation)}
    auc = found["ROC-AUC", "mixed (test)"]
    assert auc.low < auc.value < auc.high
    assert not auc.used_for_selection
    assert {on for name, on in found if name.startswith("reals")} == {"mixed (test)", "reals (test)"}
    assert {on for name, on in found if name.startswith("fakes")} == {"mixed (test)", "fakes (test)"}
    assert all(metric.used_for_selection for metric in card_metrics(replace(evaluation, split="val")))


class Page(HTMLParser):
    """Collects the text, the addresses and the open tags of a page."""

    def __init__(self, text):
        super().__init__()
        self.words, self.addresses, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def test_page_stands_alone_and_is_well_formed(written):
    page = Page((written / "report.html").read_text())
    assert page.open == []
    assert len(page.addresses) == 8
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.addresses)
    text = re.sub(r"\s+", " ", "".join(page.words))
    assert "some <data>" in text
    assert "In 3 pictures no face was found" in text
    assert "Of 100 real pictures" in text
    assert "f" * 64 in text
    assert "mixed / splice" in text
    assert "not only test pictures" not in text


def test_page_warns_of_pictures_that_were_trained_on(evaluation, tmp_path):
    marked = Settings(resampling=FEW.resampling, used_for_selection=("mixed",))
    figures = assess_predictions(evaluation.predictions, evaluation.card.calibration, marked)
    other = Evaluation(evaluation.card, "d", "val", "f", "c", marked, evaluation.predictions, figures)
    write(other, tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "not only test pictures" in text
    assert "Used for selection or calibration: mixed" in text
    assert (tmp_path / "plots/set_aucs.png").is_file()


def test_a_single_class_still_makes_a_page(predictions, tiny_card, tmp_path):
    fakes = tuple(one for one in predictions if one.sample.set == "fakes")
    card = tiny_card()
    figures = assess_predictions(fakes, card.calibration, FEW)
    write(Evaluation(card, "d", "test", "f", "c", FEW, fakes, figures), tmp_path)
    assert not (tmp_path / "plots/roc.png").exists()
    assert (tmp_path / "plots/scores.svg").is_file()
    assert figures.mean_set_auc is None
    assert not any(
        "real pictures" in sentence for sentence in summary(Evaluation(card, "d", "t", "f", "c", FEW, fakes, figures))
    )


def test_summary_compares_the_promise_with_what_was_found(evaluation):
    sentences = summary(evaluation)
    assert any("meant for 5.0%" in sentence for sentence in sentences)
    assert any("2 pictures could not be read" in sentence for sentence in sentences)
    assert percent(None) == "–"
    assert percent(0.0384) == "3.8%"


def test_unwritable_output_is_refused(evaluation, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="cannot write the evaluation"):
        write(evaluation, tmp_path / "file")


def test_command_line_can_be_typed_again():
    options = EvaluateOptions(sets=("a b",), settings=Settings(used_for_selection=("x",)))
    line = command_line("runs/one", "my data", None, options)
    assert line.startswith("deepfake evaluate runs/one 'my data' --split test --operating-point fpr5")
    assert "--sets 'a b'" in line
    assert "--used-for-selection x" in line


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
