import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import SHIPPED_POINTS, Kind, OperatingPoint, Verdict
from deepfake_detector.training.data.samples import Label, Sample, Split
from deepfake_detector.training.evaluate import write
from deepfake_detector.training.evaluation import Evaluation, Settings, assess_predictions, doubts
from deepfake_detector.training.evaluation_files import card_metrics
from deepfake_detector.training.evaluation_report import percent, summary
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.training.predict import Answer, Prediction, bounds
from deepfake_detector.training.selective import risk_coverage
from deepfake_detector.verdict.decide import face_verdict

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
    assert [points[point].logit for point in SHIPPED_POINTS] == [2.0, 1.0, 0.7]
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


def test_the_band_that_ships_lies_on_the_risk_coverage_curve(predictions, calibration):
    """What lies in the band is doubted most, so that answering all others is a point of the curve."""
    limits = bounds(calibration, OperatingPoint.FPR5)
    said = [
        replace(one, answer=replace(one.answer, verdict=face_verdict(one.answer.logit, True, limits)))
        for one in predictions
        if one.answer
    ]
    found = doubts(said, limits)
    coverage, risk = risk_coverage(found)
    given = found.given.mean()
    assert 0.5 < given < 1.0
    at = np.argmin(np.abs(coverage - given))
    assert coverage[at] == pytest.approx(given)
    assert risk[at] == pytest.approx(found.wrong[found.given].mean())


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
    assert len(page.addresses) == 9
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
