"""Videos through all stages, with a finder that knows where faces are and a network that looks at colours."""

import threading

import numpy as np
import pytest

from deepfake_detector.core.errors import (
    ConfigError,
    InputError,
    LimitExceededError,
    MissingExtraError,
    UnsupportedFormatError,
)
from deepfake_detector.core.settings import AnalysisSettings, VideoLimits
from deepfake_detector.core.types import Failure, Kind, Report, Verdict
from deepfake_detector.core.video import FrameFinding, Person, Progress, VideoReport
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.pipeline import Detector

ALL = Sampling(every=1)


DOUBTFUL = np.array([6, 0, -6])
"""Added to grey: between the limits."""


def shaded(image, shift):
    return np.clip(image.astype(int) + shift, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def frames(picture):
    """``frames("red", "blue", count=12)``: the same row of squares, a little brighter and darker in turns."""

    def _frames(*colours, count=12):
        row = picture(*colours)
        return [np.where(row > 0, shaded(row, at % 2), row) for at in range(count)]

    return _frames


def report_of(detector, source, sampling=ALL):
    *_, last = detector.analyze_video(source, sampling)
    assert isinstance(last, VideoReport)
    return last


def test_a_person_who_is_red_all_the_time_is_fake(detector, clip, frames):
    findings = list(detector.analyze_video(clip(frames("red")), ALL))
    report = findings[-1]
    assert (report.verdict, report.kind) == (Verdict.FAKE, Kind.MANIPULATED)
    assert report.p_fake > 0.99
    (person,) = report.persons
    assert report.faces == (person.face,)
    assert [seen.time for seen in person.observations] == pytest.approx(np.arange(12) / 10)
    assert (person.segments[0].start, person.segments[0].end) == (0.0, 1.1)
    seen = [finding for finding in findings if isinstance(finding, FrameFinding)]
    assert [finding.observations[0] for finding in seen] == list(person.observations)
    assert [finding.persons for finding in seen] == [(1,)] * 12
    progress = [finding for finding in findings if isinstance(finding, Progress)]
    assert (progress[-1].done, progress[-1].total, progress[-1].seconds_left) == (12, 12, 0.0)
    assert findings[-2] == person
    assert isinstance(findings[-2], Person)


def test_the_report_says_what_was_looked_at(detector, clip, frames):
    report = report_of(detector, clip(frames("blue"), fps=4), Sampling(frames=3))
    info = report.input
    assert (info.path, info.format, info.codec, info.width, info.height) == (None, "MP4", "H.264", 100, 100)
    assert (info.duration, info.fps, info.audio) == (3.0, 4.0, False)
    assert (report.sampling.rule, report.sampling.analysed, report.sampling.cuts) == ("3 frames, evenly", 3, ())
    assert {"open", "decode", "find", "track", "crop", "score", "decide"} <= set(report.timings)
    assert report.elapsed > 0.0
    assert report.still.picture.startswith(b"\xff\xd8")
    assert report.model == detector.bundle.info


def test_the_most_suspicious_person_speaks_for_the_clip_and_the_threshold_knows_how_many_there_are(
    detector, clip, frames
):
    report = report_of(detector, clip(frames("blue", "red")))
    assert [person.face.verdict for person in report.persons] == [Verdict.REAL, Verdict.FAKE]
    assert report.verdict is Verdict.FAKE
    assert report.p_fake == report.persons[1].face.p_fake
    assert report.decision.faces == 2
    assert report.decision.threshold == detector.threshold(2)
    assert report.warnings == ("2 persons count; the threshold is corrected for their number",)


def test_the_worst_frames_are_shown_apart_from_each_other_with_their_maps(detector, clip, frames):
    shades = frames("grey", count=30)
    shades[12] = shaded(shades[12], np.array([10, 0, -10]))
    (person,) = report_of(detector, clip(shades)).persons
    worst, *others = person.exhibits
    assert worst.time == pytest.approx(1.2)
    assert person.time == worst.time
    assert worst.p_fake == max(seen.p_fake for seen in person.observations)
    assert len(others) == 2
    times = [exhibit.time for exhibit in person.exhibits]
    assert min(abs(one - other) for at, one in enumerate(times) for other in times[:at]) >= 0.5
    assert all(exhibit.picture.startswith(b"\xff\xd8") and exhibit.overlay for exhibit in person.exhibits)
    assert person.face.heatmap == worst.heatmap
    assert worst.heatmap.as_array().mean() + 0.5 == pytest.approx(person.observations[12].logit, abs=1e-4)


def test_a_cut_makes_new_persons_and_the_report_says_so(detector, clip, frames):
    scenes = [*frames("blue", "black"), *frames("black", "blue"), *frames("blue", "black")]
    report = report_of(detector, clip(scenes))
    assert len(report.sampling.cuts) == 2
    assert report.sampling.cuts == pytest.approx((1.2, 2.4))
    assert [person.span for person in report.persons] == [
        pytest.approx((0.0, 1.1)), pytest.approx((1.2, 2.3)), pytest.approx((2.4, 3.5)),
    ]  # fmt: skip
    assert "whoever is seen again after a cut counts as another person" in report.warnings


def test_a_clip_without_a_face_says_so(detector, clip, frames):
    report = report_of(detector, clip(frames("black", count=3)))
    assert (report.verdict, report.p_fake, report.persons, report.still) == (Verdict.NO_FACE, None, (), None)


def test_a_network_that_looks_at_whole_pictures_judges_the_clip_as_one_person(tiny_whole_bundle, clip, frames):
    report = report_of(Detector(tiny_whole_bundle), clip(frames("red", "red")))
    assert report.verdict is Verdict.FAKE
    (person,) = report.persons
    assert (person.face.box.w, person.face.box.h, person.face.landmarks) == (200, 100, None)


def test_with_reasons_the_answer_stays_and_the_worst_frame_is_explained(bundle, row_finder, detector, clip, frames):
    video = clip(frames("black", "grey", count=4))
    plain = report_of(detector, video)
    report = report_of(Detector(bundle, AnalysisSettings(threads=1, explain=True), finder=row_finder), video)
    assert (report.verdict, report.p_fake) == (plain.verdict, plain.p_fake)
    face, before = report.persons[0].face, plain.persons[0].face
    assert face.explanation is not None
    assert len(face.explanation.reencodings) > 1
    assert face.heatmap.corners == pytest.approx(np.array(before.heatmap.corners), abs=0.02)
    assert face.heatmap.as_array() == pytest.approx(before.heatmap.as_array(), abs=1e-4)


def test_another_prior_moves_probabilities_and_no_verdict(bundle, row_finder, clip, frames):
    video = clip([shaded(frame, DOUBTFUL) for frame in frames("grey", count=4)])
    reports = [
        report_of(Detector(bundle, AnalysisSettings(prior=prior, threads=1), finder=row_finder), video)
        for prior in (0.5, 0.01)
    ]
    assert reports[0].verdict is reports[1].verdict is Verdict.UNCERTAIN
    assert reports[1].p_fake < reports[0].p_fake


@pytest.mark.parametrize("after", [0, 1, 5])
def test_closing_the_generator_ends_all_threads(detector, clip, frames, after, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(frames("red", count=40)))
    before = threading.active_count()
    findings = detector.analyze_video(path, ALL)
    for _ in range(after):
        next(findings)
    findings.close()
    assert threading.active_count() == before


def test_what_is_no_video_is_an_error_when_the_first_finding_is_asked_for(detector):
    findings = detector.analyze_video(b"no video at all, but long enough to look at")
    with pytest.raises(UnsupportedFormatError, match="not a video"):
        next(findings)


def test_a_frame_that_cannot_be_searched_is_an_error_of_the_video(bundle, clip, frames):
    class Breaks:
        def find(self, image):
            raise MemoryError

    with pytest.raises(InputError, match=r"the video \(100 × 100 pixels\) could not be searched"):
        report_of(Detector(bundle, finder=Breaks()), clip(frames("red", count=2)))


def test_pictures_and_videos_come_back_in_order_and_none_stops_another(detector, clip, frames, picture, png, tmp_path):
    video, broken = tmp_path / "clip.mp4", tmp_path / "broken.mp4"
    video.write_bytes(clip(frames("red", count=6)))
    broken.write_bytes(video.read_bytes()[:200])
    watched = []
    sources = [png(picture("blue")), video, broken, str(tmp_path / "gone.mp4"), picture("red")]
    outcomes = list(detector.analyze_many(sources, sampling=Sampling(frames=2), watch=watched.append))
    assert [type(outcome) for outcome in outcomes] == [Report, VideoReport, Failure, Failure, Report]
    assert [outcome.verdict for outcome in outcomes if not isinstance(outcome, Failure)] == ["real", "fake", "fake"]
    assert outcomes[1].input.path == str(video)
    assert outcomes[1].sampling.analysed == 2
    assert watched[-1] == outcomes[1]
    assert [outcome.code for outcome in outcomes[2:4]] == ["damaged", "unreadable"]


def test_a_gif_is_a_video_only_where_frames_are_asked_for(detector, picture):
    import io

    from PIL import Image

    file = io.BytesIO()
    first, *others = [Image.fromarray(picture("red", seed=seed)) for seed in range(4)]
    first.save(file, "GIF", save_all=True, append_images=others, duration=100)
    assert isinstance(*detector.analyze_many([file.getvalue()]), Report)
    (report,) = detector.analyze_many([file.getvalue()], sampling=ALL)
    assert (report.input.format, report.sampling.analysed) == ("GIF", 4)


def test_without_the_extra_a_video_fails_by_name_and_pictures_go_on(detector, picture, clip, frames, monkeypatch):
    video = clip(frames("red", count=2))

    def missing():
        raise MissingExtraError("opening videos", "video")

    monkeypatch.setattr("deepfake_detector.media.video.require_av", missing)
    failure, report = detector.analyze_many([video, picture("red")])
    assert failure.code == "missing_extra"
    assert 'pip install "deepfake-detector[video]"' in failure.message
    assert report.verdict is Verdict.FAKE


def test_limits_of_the_settings_hold(bundle, row_finder, clip, frames):
    settings = AnalysisSettings(video_limits=VideoLimits(max_frames=3), threads=1)
    with pytest.raises(LimitExceededError, match="9 frames of the input are asked for"):
        report_of(Detector(bundle, settings, finder=row_finder), clip(frames("red", count=9)))


def test_a_way_to_pool_that_does_not_exist_is_refused(bundle):
    with pytest.raises(ConfigError, match="mean, trimmed"):
        Detector(bundle, AnalysisSettings(pooling="maximum"))
