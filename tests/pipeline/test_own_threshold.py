"""A threshold of one's own in an analysis: what it changes, and that the promise holds for any number of faces."""

import numpy as np
import pytest

from deepfake_detector.core.errors import ThresholdModelError
from deepfake_detector.core.settings import AnalysisSettings, OwnThreshold
from deepfake_detector.core.types import OperatingPoint, Verdict
from deepfake_detector.pipeline import Detector
from deepfake_detector.scoring.own_threshold import set_threshold, shipped_threshold


@pytest.fixture
def detector_at(bundle, row_finder):
    """``detector_at(threshold)``: a detector with a threshold of one's own."""

    def make(own):
        return Detector(bundle, AnalysisSettings(OperatingPoint.OWN, own_threshold=own), finder=row_finder)

    return make


def test_it_moves_the_verdict_and_says_so(bundle, detector, detector_at, picture):
    image = picture("red")
    logit = detector.analyze(image).faces[0].logit
    for above, verdict in ((-0.01, Verdict.FAKE), (0.01, Verdict.UNCERTAIN), (3.0, Verdict.UNCERTAIN)):
        own = OwnThreshold(0.02, logit + above, 80, bundle.card.onnx_sha256, bundle.card.version)
        here = detector_at(own)
        report = here.analyze(image)
        assert report.verdict is verdict
        assert (report.decision.operating_point, report.decision.fpr) == (OperatingPoint.OWN, 0.02)
        assert report.decision.threshold == here.threshold(1)
        assert here.margin(report) == pytest.approx(-above, abs=1e-9)
        assert any("80 real photos for 2 % false alarms" in warning for warning in report.warnings)
        assert report.decision.real_below == pytest.approx(detector.analyze(image).decision.real_below)
    assert not any("real photos" in warning for warning in detector.analyze(image).warnings)


def test_several_faces_still_ask_for_more(bundle, detector_at):
    own = OwnThreshold(0.05, 1.7, 80, bundle.card.onnx_sha256, bundle.card.version)
    assert detector_at(own).threshold(1) < detector_at(own).threshold(2) < detector_at(own).threshold(5)


def test_the_margin_is_at_or_above_0_exactly_where_the_verdict_is_fake(detector, picture):
    for colours in (("red",), ("pale",), ("pale", "blue"), ("grey", "pale", "red"), ("blue",)):
        report = detector.analyze(picture(*colours))
        assert (detector.margin(report) >= 0.0) is (report.verdict is Verdict.FAKE)
    assert detector.margin(detector.analyze(picture("black"))) is None
    flat = np.full((100, 100, 3), (255, 40, 20), np.uint8)  # as red as can be, and too blurred to be judged
    assert detector.margin(detector.analyze(flat)) is None


def test_of_the_photos_that_it_was_set_on_no_more_than_the_rate_are_fake(bundle, detector_at):
    rng = np.random.default_rng(0)

    def photo():
        red = rng.integers(90, 200, (1, rng.integers(1, 4), 1))
        tint = np.concatenate([red, np.full_like(red, 128), 256 - red], axis=2).repeat(100, 0).repeat(100, 1)
        return np.clip(tint + rng.integers(-30, 31, tint.shape), 0, 255).astype(np.uint8)

    photos = [photo() for _ in range(60)]
    start = detector_at(shipped_threshold(bundle, 0.1))
    margins = [start.margin(report) for report in start.analyze_many(photos)]
    made = set_threshold(bundle, 0.1, margins)
    after = [report.verdict is Verdict.FAKE for report in detector_at(made.own).analyze_many(photos)]
    assert sum(after) == 60 - 55  # the rank is 55
    assert sum(margin >= 0.0 for margin in margins) > 10


def test_a_threshold_of_another_model_is_refused(bundle, detector_at):
    with pytest.raises(ThresholdModelError):
        detector_at(OwnThreshold(0.02, 0.0, 80, "0" * 64, bundle.card.version))
