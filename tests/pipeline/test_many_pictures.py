"""Streams of pictures: order, failures in between, batches, memory, threads."""

import hashlib
import itertools
import threading
import weakref

import cv2
import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError, InputError, MissingExtraError, ModelError
from deepfake_detector.core.types import Failure, Report, Verdict
from deepfake_detector.pipeline import Detector, stages


@pytest.fixture
def mixed_sources(tmp_path, picture, png):
    """Good and bad ones in turn, with what must come of them."""
    good = tmp_path / "good.png"
    good.write_bytes(png(picture("red")))
    cut = tmp_path / "cut.png"
    cut.write_bytes(good.read_bytes()[:150])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture at all")
    return [
        (tmp_path / "missing.png", "unreadable"),
        (good, Verdict.FAKE),
        (cut, "damaged"),
        (picture("blue"), Verdict.REAL),
        (tmp_path / "empty.jpg", "empty"),
        (png(picture("red", "blue", "grey")), Verdict.FAKE),
        (b"\xff\xd8\xff garbage", "damaged"),
        (str(tmp_path / "text.jpg"), "unsupported_format"),
        (picture("black"), Verdict.NO_FACE),
        (tmp_path, "unreadable"),
        (picture("grey"), Verdict.UNCERTAIN),
    ]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16, 1000])
@pytest.mark.parametrize("workers", [1, 4])
def test_outcomes_come_in_order_with_failures_in_between(detector, mixed_sources, batch_size, workers):
    sources = mixed_sources * 3
    outcomes = list(detector.analyze_many((source for source, _ in sources), batch_size, workers))
    said = [outcome.code if isinstance(outcome, Failure) else outcome.verdict for outcome in outcomes]
    assert said == [expected for _, expected in sources]


def test_many_say_the_same_as_one_by_one(detector, picture, without_times):
    sources = [picture(*colours) for colours in itertools.product(("red", "grey", "blue"), repeat=2)]
    together = [without_times(report) for report in detector.analyze_many(sources, batch_size=5)]
    assert together == [without_times(detector.analyze(source)) for source in sources]


def test_a_failure_says_which_file_and_why(detector, tmp_path, picture, png):
    cut = tmp_path / "cut.png"
    cut.write_bytes(png(picture("red"))[:150])
    of_path, of_bytes, of_nothing, of_array = detector.analyze_many(
        [cut, cut.read_bytes(), tmp_path / "missing", np.zeros((2, 2), np.float64)]
    )
    digest = hashlib.sha256(cut.read_bytes()).hexdigest()
    assert (of_path.path, of_path.code, of_path.sha256) == (str(cut), "damaged", digest)
    assert str(cut) in of_path.message
    assert (of_bytes.path, of_bytes.code, of_bytes.sha256) == (None, "damaged", digest)
    assert (of_nothing.path, of_nothing.code, of_nothing.sha256) == (str(tmp_path / "missing"), "unreadable", None)
    assert (of_array.path, of_array.code, of_array.sha256) == (None, "input_error", None)


def test_a_missing_extra_stops_no_other_file(detector, monkeypatch, picture):
    original = stages.load_image

    def without_heic(source, limits):
        if isinstance(source, bytes):
            raise MissingExtraError("opening HEIC pictures", "heic")
        return original(source, limits)

    monkeypatch.setattr(stages, "load_image", without_heic)
    outcomes = list(detector.analyze_many([picture("red"), b"heic", picture("red")]))
    assert [type(outcome) for outcome in outcomes] == [Report, Failure, Report]
    assert outcomes[1].code == "missing_extra"
    with pytest.raises(MissingExtraError):
        detector.analyze(b"heic")


def test_crops_of_several_pictures_are_scored_together(bundle, picture, row_finder):
    detector = Detector(bundle, finder=row_finder)
    sizes, score = [], detector._crew.scorer.score

    def counting(crops):
        sizes.append(len(crops))
        return score(crops)

    detector._crew.scorer.score = counting
    reports = list(detector.analyze_many([picture("red", "blue")] * 9 + [picture("red")], batch_size=8))
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


def test_an_endless_stream_is_read_as_it_is_answered(detector, picture):
    taken, image = itertools.count(), picture("grey")

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


def test_pictures_are_let_go_once_they_are_looked_at(detector, picture):
    references, most_alive = [], 0

    def pictures():
        nonlocal most_alive
        for seed in range(60):
            image = picture("red", seed=seed)
            references.append(weakref.ref(image))
            yield image
            del image
            most_alive = max(most_alive, sum(reference() is not None for reference in references))

    assert len(list(detector.analyze_many(pictures(), batch_size=20, workers=2))) == 60
    # Two for each worker, and the one in the hand; not the twenty whose crops wait for their batch.
    assert most_alive <= 6


def test_a_run_that_is_given_up_leaves_no_thread(detector, picture):
    before = threading.active_count()
    outcomes = detector.analyze_many([picture("red")] * 50, batch_size=2, workers=3)
    next(outcomes)
    outcomes.close()
    assert threading.active_count() == before


def test_an_error_of_the_caller_s_own_stream_is_the_caller_s(detector, picture):
    def broken():
        yield picture("red")
        raise RuntimeError("my disk is gone")

    outcomes = detector.analyze_many(broken(), batch_size=1, workers=1)
    with pytest.raises(RuntimeError, match="my disk"):
        list(outcomes)


# What goes wrong on the way


@pytest.mark.parametrize("error", [MemoryError(), cv2.error("OpenCV: src.cols < SHRT_MAX")])
def test_what_opencv_cannot_take_concerns_one_picture(bundle, error, picture, row_finder):
    class Choking:
        def find(self, image):
            if image.shape[1] == 200:
                raise error
            return row_finder.find(image)

    detector = Detector(bundle, finder=Choking())
    outcomes = list(detector.analyze_many([picture("red"), picture("red", "red"), picture("red")]))
    assert [type(outcome) for outcome in outcomes] == [Report, Failure, Report]
    assert "200 × 100 pixels" in outcomes[1].message
    with pytest.raises(InputError, match="could not be searched"):
        detector.analyze(picture("red", "red"))


def test_mistakes_of_ours_are_not_swallowed(bundle, picture):
    class Wrong:
        def find(self, image):
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        list(Detector(bundle, finder=Wrong()).analyze_many([picture("red")]))


def test_a_model_that_answers_nonsense_stops_the_run(bundle, picture, row_finder):
    def refuse(crops):
        raise ModelError("not a finite number")

    detector = Detector(bundle, finder=row_finder)
    detector._crew.scorer.score = refuse
    with pytest.raises(ModelError):
        list(detector.analyze_many([picture("red")]))
