"""One picture, with a finder that needs no looking."""

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import (
    DamagedInputError,
    LimitExceededError,
    ModelNotFoundError,
    UnreadableInputError,
)
from deepfake_detector.core.settings import AnalysisSettings, Limits
from deepfake_detector.core.types import SHIPPED_POINTS, Box, Kind, OperatingPoint, QualityIssue, Verdict
from deepfake_detector.faces.align import crop
from deepfake_detector.pipeline import Detector

STAGES = ["decode", "find", "crop", "score", "decide"]


def test_a_report_says_all_of_it(detector, bundle, tmp_path, picture, png, face_at):
    path = tmp_path / "red.png"
    path.write_bytes(png(picture("red")))
    report = detector.analyze(path)
    assert report.input.path == str(path)
    assert report.input.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (report.input.width, report.input.height) == (100, 100)
    assert report.model == bundle.info
    assert report.verdict is Verdict.FAKE
    assert report.kind is Kind.MANIPULATED
    assert list(report.timings) == STAGES
    assert all(seconds >= 0.0 for seconds in report.timings.values())
    (face,) = report.faces
    assert face.box == face_at(0).box
    assert face.landmarks == face_at(0).landmarks
    assert face.confidence == 0.9
    assert face.quality.usable
    assert (face.verdict, face.kind, face.considered) == (Verdict.FAKE, Kind.MANIPULATED, True)
    assert face.p_fake == report.p_fake == pytest.approx(1 / (1 + math.exp(-face.logit)))
    assert type(face.logit) is type(face.p_fake) is type(report.p_fake) is float
    assert report.decision.operating_point is OperatingPoint.FPR5
    assert report.decision.threshold == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert report.decision.real_below == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert (report.decision.fpr, report.decision.prior, report.decision.faces) == (0.05, 0.5, 1)


def test_the_network_sees_the_crop_that_training_cuts(detector, bundle, picture, face_at):
    image = picture("red")
    seen = crop(image, face_at(0).box, face_at(0).landmarks, bundle.card.input.rule())
    red, _, blue = (seen / 255.0).mean(axis=(0, 1))
    assert detector.analyze(image).faces[0].logit == pytest.approx(8 * (red - blue) + 0.5, abs=1e-4)


def test_every_kind_of_source_gives_the_same_answer(detector, tmp_path, picture, png, without_times):
    array = picture("red", "grey")
    path = tmp_path / "photo.png"
    path.write_bytes(png(array))
    sources = [path, str(path), png(array), Image.fromarray(array), array]
    answers = [without_times(detector.analyze(source))[1:] for source in sources]
    assert all(answer == answers[0] for answer in answers)


def test_the_most_suspicious_face_speaks_for_the_picture(detector, picture):
    report = detector.analyze(picture("blue", "red", "pale"))
    assert [face.verdict for face in report.faces] == [Verdict.REAL, Verdict.FAKE, Verdict.UNCERTAIN]
    assert report.verdict is Verdict.FAKE
    assert report.p_fake == max(face.p_fake for face in report.faces)
    assert report.decision.faces == 3
    assert report.decision.threshold > detector.analyze(picture("red")).decision.threshold
    assert any("3 faces" in warning for warning in report.warnings)


def test_no_face_has_no_probability(detector, picture):
    report = detector.analyze(picture("black"))
    assert (report.verdict, report.p_fake, report.kind, report.faces) == (Verdict.NO_FACE, None, None, ())
    assert list(report.timings) == STAGES


def test_poor_quality_changes_the_verdict_and_not_the_number(detector):
    flat = np.full((100, 100, 3), (255, 40, 20), np.uint8)
    report = detector.analyze(flat)
    assert report.verdict is Verdict.UNCERTAIN
    assert report.faces[0].quality.issues == (QualityIssue.TOO_BLURRED,)
    assert report.p_fake > 0.99
    assert report.warnings == ()  # the verdict says it already


def test_what_the_decoder_noticed_is_passed_on(detector, tmp_path, picture, png):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(png(picture("grey")))
    assert any("PNG" in warning for warning in detector.analyze(path).warnings)


@pytest.mark.parametrize("colours", [("red",), ("grey",), ("blue",), ("grey", "blue", "red")])
def test_the_prior_moves_the_probability_and_not_the_verdict(bundle, colours, picture, row_finder):
    reports = [
        Detector(bundle, AnalysisSettings(prior=prior), finder=row_finder).analyze(picture(*colours))
        for prior in (0.001, 0.1, 0.5, 0.9)
    ]
    assert len({report.verdict for report in reports}) == 1
    assert len({tuple(face.verdict for face in report.faces) for report in reports}) == 1
    for smaller, larger in itertools.pairwise(reports):
        assert smaller.p_fake < larger.p_fake
        assert smaller.decision.threshold < larger.decision.threshold
    for report in reports:
        assert (report.p_fake >= report.decision.threshold) == (report.verdict is Verdict.FAKE)
        assert (report.p_fake < report.decision.real_below) == (report.verdict is Verdict.REAL)


def test_the_operating_point_moves_the_verdict_and_not_the_probability(bundle, picture, row_finder):
    image = picture("pale")
    reports = {
        point: Detector(bundle, AnalysisSettings(operating_point=point), finder=row_finder).analyze(image)
        for point in SHIPPED_POINTS
    }
    assert len({report.p_fake for report in reports.values()}) == 1
    assert reports[OperatingPoint.FPR10].verdict is Verdict.FAKE
    assert reports[OperatingPoint.FPR1].verdict is Verdict.REAL
    assert [report.decision.fpr for report in reports.values()] == [0.01, 0.05, 0.1]


def test_background_faces_count_only_if_asked_for(bundle, picture, face_at):
    class OneLargeOneSmall:
        def find(self, image):
            return face_at(0, side=90.0), face_at(100, side=22.0)

    image = picture("blue", "red")
    usual = Detector(bundle, finder=OneLargeOneSmall()).analyze(image)
    everybody = Detector(bundle, AnalysisSettings(all_faces=True), finder=OneLargeOneSmall()).analyze(image)
    assert [face.considered for face in usual.faces] == [True, False]
    assert usual.verdict is Verdict.REAL
    assert usual.p_fake == usual.faces[0].p_fake
    assert everybody.verdict is Verdict.UNCERTAIN  # 22 pixels are too few to judge
    assert everybody.p_fake == everybody.faces[1].p_fake


def test_a_detector_takes_an_open_bundle(bundle, tiny_bundle, row_finder):
    assert Detector(bundle, finder=row_finder).bundle is bundle
    assert Detector(str(tiny_bundle), finder=row_finder).bundle.path == Path(tiny_bundle)


# A network that looks at whole pictures


def test_a_whole_picture_is_scored_without_looking_for_faces(tiny_whole_bundle, picture):
    class NoFinder:
        def find(self, image):
            raise AssertionError("nobody asked for faces")

    report = Detector(tiny_whole_bundle, finder=NoFinder()).analyze(picture("grey", "red", "grey"))
    (face,) = report.faces
    assert face.box == Box(0.0, 0.0, 300.0, 100.0)
    assert face.landmarks is None
    assert face.confidence == 1.0
    # The centred square, which is the red one.
    assert report.verdict is Verdict.FAKE
    assert face.logit > 5.0
    assert list(report.timings) == STAGES


# Errors


def test_a_detector_needs_a_model(tmp_path):
    with pytest.raises(ModelNotFoundError):
        Detector(tmp_path / "nowhere")


def test_a_bad_picture_is_an_error_of_our_tree(detector, tmp_path, picture, png):
    with pytest.raises(UnreadableInputError):
        detector.analyze(tmp_path / "missing.png")
    with pytest.raises(DamagedInputError):
        detector.analyze(png(picture("red"))[:200])


def test_the_limits_are_obeyed(bundle, picture, row_finder):
    small = Detector(bundle, AnalysisSettings(limits=Limits(max_side=150)), finder=row_finder)
    assert small.analyze(picture("red")).verdict is Verdict.FAKE
    with pytest.raises(LimitExceededError):
        small.analyze(picture("red", "red"))
