"""Boxes move along between the frames that were looked at, and never over a cut."""

from dataclasses import replace

import numpy as np
import pytest

from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.core.types import Box, Face, Quality, Verdict
from deepfake_detector.core.video import Observation, Person
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video
from deepfake_detector.pipeline.annotated import annotate_report, place_at

QUALITY = Quality(50.0, 100.0, 120.0)


def person(*seen):
    """Of (time, x, p_fake)."""
    looks = tuple(
        Observation(at, time, 0, Box(x, 0, 50, 60), None, 0.9, QUALITY, 0.0, share)
        for at, (time, x, share) in enumerate(seen)
    )
    face = Face(looks[0].box, None, 0.9, QUALITY, 0.0, 0.5, Verdict.REAL)
    return Person(1, face, looks[0].time, "mean", looks)


def test_between_two_looks_a_box_is_half_way():
    somebody = person((1.0, 0.0, 0.2), (2.0, 100.0, 0.6))
    box, share = place_at(somebody, 1.5)
    assert (box.x, share) == (pytest.approx(50.0), pytest.approx(0.4))


def test_a_box_stays_a_moment_and_goes():
    somebody = person((1.0, 0.0, 0.2), (2.0, 100.0, 0.6))
    assert place_at(somebody, 2.5)[0].x == 100.0
    assert place_at(somebody, 0.6)[0].x == 0.0
    assert place_at(somebody, 3.0) is None
    assert place_at(somebody, 0.1) is None


def test_a_box_does_not_stay_over_a_cut_or_a_long_absence():
    assert place_at(person((1.0, 0.0, 0.2)), 1.3, cuts=(1.2,)) is None
    assert place_at(person((1.0, 0.0, 0.2), (9.0, 50.0, 0.2)), 5.0) is None


def test_the_copy_has_the_boxes_and_all_frames(detector, clip, picture, tmp_path):
    frames = [picture("blue") for _ in range(12)]
    *_, report = detector.analyze_video(clip(frames), Sampling(frames=3))
    seen = []
    assert annotate_report(clip(frames), report, tmp_path / "out.mp4", VideoLimits(), seen.append) == ()
    assert seen[-1] == pytest.approx(1.1)
    with open_video(tmp_path / "out.mp4") as reader:
        drawn = [frame.pixels for frame in reader.frames(Sampling(every=1))]
    assert len(drawn) == 12
    box = report.persons[0].face.box
    edge = drawn[6][round(box.y + box.h / 2), round(box.x)].astype(int)
    assert edge[1] > edge[2]  # the green of "real" on a blue square
    assert np.abs(drawn[6][50, 50].astype(int) - frames[6][50, 50]).max() < 60
    assert replace(report, persons=()).faces == ()
