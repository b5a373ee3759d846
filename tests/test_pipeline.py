"""The conductor, with a finder that needs no looking, and end to end with the real one."""

import hashlib
import io
import itertools
import math
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from deepfake_detector import pipeline
from deepfake_detector.core.errors import (
    ConfigError,
    DamagedInputError,
    InputError,
    LimitExceededError,
    MissingExtraError,
    ModelError,
    ModelNotFoundError,
    UnreadableInputError,
)
from deepfake_detector.core.settings import AnalysisSettings, Limits
from deepfake_detector.core.types import (
    Box,
    DetectedFace,
    Failure,
    Kind,
    Landmarks,
    OperatingPoint,
    QualityIssue,
    Report,
    Verdict,
)
from deepfake_detector.faces.align import crop
from deepfake_detector.pipeline import Detector
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.scoring.calibration import p_fake

STAGES = ["decode", "find", "crop", "score", "decide"]
RED, GREY, BLUE = (255, 40, 20), (128, 128, 128), (20, 40, 255)
PALE = (150, 128, 128)
"""What the tiny model calls fake at 5 % false alarms, if it is alone."""


class StubFinder:
    """Finds one face in the middle of each square of 100 pixels, from left to right, but none in black ones."""

    def find(self, image):
        starts = range(0, image.shape[1] - 99, 100)
        return tuple(face_at(x) for x in starts if image[:100, x : x + 100].max() > 0)


def face_at(x, side=80.0):
    left, top = x + (100 - side) / 2, (100 - side) / 2
    marks = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    return DetectedFace(
        Box(left, top, side, side), Landmarks(*((left + side * u, top + side * v) for u, v in marks)), 0.9
    )


def picture(*colours, seed=0):
    """A row of noisy squares, one for each colour, that passes for sharp and bright."""
    noise = np.random.default_rng(seed).integers(-30, 31, (100, 100 * len(colours), 3))
    flat = np.repeat(np.array(colours), 100, axis=0)[None]
    return np.where(flat.sum(axis=2, keepdims=True) > 0, np.clip(flat + noise, 0, 255), 0).astype(np.uint8)


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def detector(bundle):
    return Detector(bundle, AnalysisSettings(threads=1), finder=StubFinder())


@pytest.fixture(scope="module")
def real_detector(tiny_bundle):
    return Detector(tiny_bundle)


def without_times(outcome):
    """A report without what differs from run to run."""
    if isinstance(outcome, Failure):
        return outcome
    rounded = [(face.box, face.verdict, face.kind, pytest.approx(face.logit, abs=1e-5)) for face in outcome.faces]
    return (outcome.input, outcome.verdict, outcome.kind, outcome.decision, outcome.warnings, rounded)


# One picture


def test_a_report_says_all_of_it(detector, bundle, tmp_path):
    path = tmp_path / "red.png"
    path.write_bytes(png(picture(RED)))
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


def test_the_network_sees_the_crop_that_training_cuts(detector, bundle):
    image = picture(RED)
    seen = crop(image, face_at(0).box, face_at(0).landmarks, bundle.card.input.rule())
    red, _, blue = (seen / 255.0).mean(axis=(0, 1))
    assert detector.analyze(image).faces[0].logit == pytest.approx(8 * (red - blue) + 0.5, abs=1e-4)


def test_every_kind_of_source_gives_the_same_answer(detector, tmp_path):
    array = picture(RED, GREY)
    path = tmp_path / "photo.png"
    path.write_bytes(png(array))
    sources = [path, str(path), png(array), Image.fromarray(array), array]
    answers = [without_times(detector.analyze(source))[1:] for source in sources]
    assert all(answer == answers[0] for answer in answers)


def test_the_most_suspicious_face_speaks_for_the_picture(detector):
    report = detector.analyze(picture(BLUE, RED, PALE))
    assert [face.verdict for face in report.faces] == [Verdict.REAL, Verdict.FAKE, Verdict.UNCERTAIN]
    assert report.verdict is Verdict.FAKE
    assert report.p_fake == max(face.p_fake for face in report.faces)
    assert report.decision.faces == 3
    assert report.decision.threshold > detector.analyze(picture(RED)).decision.threshold
    assert any("3 faces" in warning for warning in report.warnings)


def test_no_face_has_no_probability(detector):
    report = detector.analyze(picture((0, 0, 0)))
    assert (report.verdict, report.p_fake, report.kind, report.faces) == (Verdict.NO_FACE, None, None, ())
    assert list(report.timings) == STAGES


def test_poor_quality_changes_the_verdict_and_not_the_number(detector):
    flat = np.full((100, 100, 3), RED, np.uint8)
    report = detector.analyze(flat)
    assert report.verdict is Verdict.UNCERTAIN
    assert report.faces[0].quality.issues == (QualityIssue.TOO_BLURRED,)
    assert report.p_fake > 0.99
    assert "face 1 cannot be judged: too_blurred" in report.warnings


def test_what_the_decoder_noticed_is_passed_on(detector, tmp_path):
    path = tmp_path / "really_a_png.jpg"
    path.write_bytes(png(picture(GREY)))
    assert any("PNG" in warning for warning in detector.analyze(path).warnings)


@pytest.mark.parametrize("colours", [(RED,), (GREY,), (BLUE,), (GREY, BLUE, RED)])
def test_the_prior_moves_the_probability_and_not_the_verdict(bundle, colours):
    reports = [
        Detector(bundle, AnalysisSettings(prior=prior), finder=StubFinder()).analyze(picture(*colours))
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


def test_the_operating_point_moves_the_verdict_and_not_the_probability(bundle):
    image = picture(PALE)
    reports = {
        point: Detector(bundle, AnalysisSettings(operating_point=point), finder=StubFinder()).analyze(image)
        for point in OperatingPoint
    }
    assert len({report.p_fake for report in reports.values()}) == 1
    assert reports[OperatingPoint.FPR10].verdict is Verdict.FAKE
    assert reports[OperatingPoint.FPR1].verdict is Verdict.REAL
    assert [report.decision.fpr for report in reports.values()] == [0.01, 0.05, 0.1]


def test_background_faces_count_only_if_asked_for(bundle):
    class OneLargeOneSmall:
        def find(self, image):
            return face_at(0, side=90.0), face_at(100, side=22.0)

    image = picture(BLUE, RED)
    usual = Detector(bundle, finder=OneLargeOneSmall()).analyze(image)
    everybody = Detector(bundle, AnalysisSettings(all_faces=True), finder=OneLargeOneSmall()).analyze(image)
    assert [face.considered for face in usual.faces] == [True, False]
    assert usual.verdict is Verdict.REAL
    assert usual.p_fake == usual.faces[0].p_fake
    assert everybody.verdict is Verdict.UNCERTAIN  # 22 pixels are too few to judge
    assert everybody.p_fake == everybody.faces[1].p_fake


# A network that looks at whole pictures


def test_a_whole_picture_is_scored_without_looking_for_faces(tiny_whole_bundle):
    class NoFinder:
        def find(self, image):
            raise AssertionError("nobody asked for faces")

    report = Detector(tiny_whole_bundle, finder=NoFinder()).analyze(picture(GREY, RED, GREY))
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


def test_a_bad_picture_is_an_error_of_our_tree(detector, tmp_path):
    with pytest.raises(UnreadableInputError):
        detector.analyze(tmp_path / "missing.png")
    with pytest.raises(DamagedInputError):
        detector.analyze(png(picture(RED))[:200])


def test_the_limits_are_obeyed(bundle):
    small = Detector(bundle, AnalysisSettings(limits=Limits(max_side=150)), finder=StubFinder())
    assert small.analyze(picture(RED)).verdict is Verdict.FAKE
    with pytest.raises(LimitExceededError):
        small.analyze(picture(RED, RED))


@pytest.mark.parametrize("error", [MemoryError(), cv2.error("OpenCV: src.cols < SHRT_MAX")])
def test_what_opencv_cannot_take_concerns_one_picture(bundle, error):
    class Choking:
        def find(self, image):
            if image.shape[1] == 200:
                raise error
            return StubFinder().find(image)

    detector = Detector(bundle, finder=Choking())
    outcomes = list(detector.analyze_many([picture(RED), picture(RED, RED), picture(RED)]))
    assert [type(outcome) for outcome in outcomes] == [Report, Failure, Report]
    assert "200 × 100 pixels" in outcomes[1].message
    with pytest.raises(InputError, match="could not be searched"):
        detector.analyze(picture(RED, RED))


def test_mistakes_of_ours_are_not_swallowed(bundle):
    class Wrong:
        def find(self, image):
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        list(Detector(bundle, finder=Wrong()).analyze_many([picture(RED)]))


def test_a_model_that_answers_nonsense_stops_the_run(bundle):
    def refuse(crops):
        raise ModelError("not a finite number")

    detector = Detector(bundle, finder=StubFinder())
    detector._scorer.score = refuse
    with pytest.raises(ModelError):
        list(detector.analyze_many([picture(RED)]))


# Many pictures


def mixed_sources(folder):
    """Good and bad ones in turn, with what must come of them."""
    good = folder / "good.png"
    good.write_bytes(png(picture(RED)))
    cut = folder / "cut.png"
    cut.write_bytes(good.read_bytes()[:150])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture at all")
    return [
        (folder / "missing.png", "unreadable"),
        (good, Verdict.FAKE),
        (cut, "damaged"),
        (picture(BLUE), Verdict.REAL),
        (folder / "empty.jpg", "empty"),
        (png(picture(RED, BLUE, GREY)), Verdict.FAKE),
        (b"\xff\xd8\xff garbage", "damaged"),
        (str(folder / "text.jpg"), "unsupported_format"),
        (picture((0, 0, 0)), Verdict.NO_FACE),
        (folder, "unreadable"),
        (picture(GREY), Verdict.UNCERTAIN),
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16, 1000])
@pytest.mark.parametrize("workers", [1, 4])
def test_outcomes_come_in_order_with_failures_in_between(detector, tmp_path, batch_size, workers):
    sources = mixed_sources(tmp_path) * 3
    outcomes = list(detector.analyze_many((source for source, _ in sources), batch_size, workers))
    said = [outcome.code if isinstance(outcome, Failure) else outcome.verdict for outcome in outcomes]
    assert said == [expected for _, expected in sources]


def test_many_say_the_same_as_one_by_one(detector):
    sources = [picture(*colours) for colours in itertools.product((RED, GREY, BLUE), repeat=2)]
    together = [without_times(report) for report in detector.analyze_many(sources, batch_size=5)]
    assert together == [without_times(detector.analyze(source)) for source in sources]


def test_a_failure_says_which_file_and_why(detector, tmp_path):
    cut = tmp_path / "cut.png"
    cut.write_bytes(png(picture(RED))[:150])
    of_path, of_bytes, of_nothing, of_array = detector.analyze_many(
        [cut, cut.read_bytes(), tmp_path / "missing", np.zeros((2, 2), np.float64)]
    )
    digest = hashlib.sha256(cut.read_bytes()).hexdigest()
    assert (of_path.path, of_path.code, of_path.sha256) == (str(cut), "damaged", digest)
    assert str(cut) in of_path.message
    assert (of_bytes.path, of_bytes.code, of_bytes.sha256) == (None, "damaged", digest)
    assert (of_nothing.path, of_nothing.code, of_nothing.sha256) == (str(tmp_path / "missing"), "unreadable", None)
    assert (of_array.path, of_array.code, of_array.sha256) == (None, "input_error", None)


def test_a_missing_extra_stops_no_other_file(detector, monkeypatch):
    original = pipeline.load_image

    def without_heic(source, limits):
        if isinstance(source, bytes):
            raise MissingExtraError("opening HEIC pictures", "heic")
        return original(source, limits)

    monkeypatch.setattr(pipeline, "load_image", without_heic)
    outcomes = list(detector.analyze_many([picture(RED), b"heic", picture(RED)]))
    assert [type(outcome) for outcome in outcomes] == [Report, Failure, Report]
    assert outcomes[1].code == "missing_extra"
    with pytest.raises(MissingExtraError):
        detector.analyze(b"heic")


def test_crops_of_several_pictures_are_scored_together(bundle):
    detector = Detector(bundle, finder=StubFinder())
    sizes, score = [], detector._scorer.score

    def counting(crops):
        sizes.append(len(crops))
        return score(crops)

    detector._scorer.score = counting
    reports = list(detector.analyze_many([picture(RED, BLUE)] * 9 + [picture(RED)], batch_size=8))
    assert sizes == [8, 8, 3]
    shares = [report.timings["score"] for report in reports]
    assert shares[0] == pytest.approx(shares[3])
    assert shares[8] == pytest.approx(2 * shares[9])


def test_nothing_in_gives_nothing_out(detector):
    assert list(detector.analyze_many([])) == []


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"workers": 0}, {"workers": -3}])
def test_numbers_under_one_are_refused_at_once(detector, wrong):
    with pytest.raises(ConfigError, match="give 1 or more"):
        detector.analyze_many([], **wrong)


def test_an_endless_stream_is_read_as_it_is_answered(detector):
    taken, image = itertools.count(), picture(GREY)

    def endless():
        while True:
            next(taken)
            yield image

    outcomes = detector.analyze_many(endless(), batch_size=4, workers=2)
    for number in range(1, 25):
        assert next(outcomes).verdict is Verdict.UNCERTAIN
        # The batch at hand, and two pictures ahead for each worker.
        assert next(taken) <= number + 4 + 4 + number
    outcomes.close()


def test_pictures_are_let_go_once_they_are_looked_at(detector):
    references, most_alive = [], 0

    def pictures():
        nonlocal most_alive
        for seed in range(60):
            image = picture(RED, seed=seed)
            references.append(weakref.ref(image))
            yield image
            del image
            most_alive = max(most_alive, sum(reference() is not None for reference in references))

    assert len(list(detector.analyze_many(pictures(), batch_size=20, workers=2))) == 60
    # Two for each worker, and the one in the hand; not the twenty whose crops wait for their batch.
    assert most_alive <= 6


def test_a_run_that_is_given_up_leaves_no_thread(detector):
    before = threading.active_count()
    outcomes = detector.analyze_many([picture(RED)] * 50, batch_size=2, workers=3)
    next(outcomes)
    outcomes.close()
    assert threading.active_count() == before


def test_an_error_of_the_caller_s_own_stream_is_the_caller_s(detector):
    def broken():
        yield picture(RED)
        raise RuntimeError("my disk is gone")

    outcomes = detector.analyze_many(broken(), batch_size=1, workers=1)
    with pytest.raises(RuntimeError, match="my disk"):
        list(outcomes)


# End to end


def test_a_real_photo_from_file_to_report(real_detector, astronaut, tmp_path):
    path = tmp_path / "astronaut.jpg"
    Image.fromarray(astronaut).save(path, quality=95)
    report = real_detector.analyze(path)
    face = report.faces[0]
    x, y = face.box.center
    assert 205 < x < 245
    assert 95 < y < 140
    assert face.quality.usable
    assert face.landmarks.left_eye[0] < face.landmarks.right_eye[0]
    assert report.verdict in {Verdict.FAKE, Verdict.REAL, Verdict.UNCERTAIN}
    assert face.p_fake == pytest.approx(p_fake(face.logit, 0.5))
    assert report.p_fake == max(each.p_fake for each in report.faces if each.considered)
    assert report.input.format == "JPEG"


def test_two_people_and_nobody(real_detector, astronaut):
    portrait = astronaut[:256, 96:352]
    two = real_detector.analyze(np.concatenate([portrait, portrait[:, ::-1]], axis=1))
    assert len(two.faces) == two.decision.faces == 2
    nobody = real_detector.analyze(np.full((300, 300, 3), 90, np.uint8))
    assert nobody.verdict is Verdict.NO_FACE


def test_eight_threads_get_the_same_answers(real_detector, astronaut):
    turned = [np.ascontiguousarray(astronaut[:, ::-1]), astronaut, astronaut[:300, 100:400], picture(GREY)]
    expected = [without_times(real_detector.analyze(image)) for image in turned]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(real_detector.analyze, turned * 6))
    assert [without_times(answer) for answer in answers] == expected * 6


def test_several_streams_at_once_from_one_detector(real_detector, astronaut):
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    sources = [small, b"not a picture", small[:, ::-1], small[:, :20]] * 2
    expected = [without_times(outcome) for outcome in real_detector.analyze_many(sources, batch_size=3)]
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda size: list(real_detector.analyze_many(sources, size)), (1, 4, 100)))
    for outcomes in runs:
        assert [without_times(outcome) for outcome in outcomes] == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 500), (11, 11)])
def test_odd_shapes_have_no_face_and_no_accident(real_detector, shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert real_detector.analyze(image).verdict is Verdict.NO_FACE


def test_whole_pictures_of_odd_shapes_are_scored(tiny_whole_bundle):
    detector = Detector(tiny_whole_bundle)
    image = np.random.default_rng(1).integers(0, 256, (1, 400, 3), dtype=np.uint8)
    report = detector.analyze(image)
    assert report.verdict is Verdict.UNCERTAIN
    assert QualityIssue.TOO_SMALL in report.faces[0].quality.issues


def test_a_detector_takes_an_open_bundle(bundle, tiny_bundle):
    assert Detector(bundle, finder=StubFinder()).bundle is bundle
    assert Detector(str(tiny_bundle), finder=StubFinder()).bundle.path == Path(tiny_bundle)
