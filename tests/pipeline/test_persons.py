"""From tracks to verdicts: pooled, weighed, corrected; a short fake, and who is seen once."""

from dataclasses import replace

import numpy as np
import pytest

from deepfake_detector.core.types import Box, Kind, Quality, QualityIssue, Verdict
from deepfake_detector.core.video import Observation, Track
from deepfake_detector.pipeline.gallery import Cutout, Gallery, Shown
from deepfake_detector.pipeline.persons import Court, judge
from deepfake_detector.scoring.card import Calibration, FprPoint
from deepfake_detector.verdict.decide import Policy

CURVE = tuple(FprPoint(fpr=fpr, logit=logit) for fpr, logit in ((0.1, 0.7), (0.05, 1.0), (0.01, 2.0)))
CALIBRATION = Calibration(
    temperature=2.0, bias=0.5, fpr_curve=CURVE, band_below=1.0, out_of_source=True, fitted_on="nothing"
)
POLICY = Policy(fpr=0.05, threshold_at=lambda fpr: 1.0, band_below=1.0)
PIXELS = np.full((60, 60, 3), 128, np.uint8)


def court(pooling="mean"):
    return Court(CALIBRATION, POLICY, 0.5, pooling)


def track(number, logits, side=100.0, issues=(), kind=-1.0):
    quality = Quality(side, 200.0, 120.0, issues)
    seen = [
        Observation(
            at, at / 2.0, 0, Box(0, 0, side, side), None, 0.99, quality, (logit - 0.5) * 2.0,
            float(1 / (1 + np.exp(-logit))), kind,
        )
        for at, logit in enumerate(logits)
    ]  # fmt: skip
    return Track(number, tuple(seen))


def judged(*tracks, pooling="mean"):
    gallery = Gallery()
    for one in tracks:
        for seen in one.observations:
            gallery.offer(one.id, seen, Shown(Cutout(PIXELS, 0, 0), PIXELS), None)
    return judge(tracks, gallery, court(pooling))


@pytest.mark.parametrize(("logits", "verdict"), [([3, 3, 3], "fake"), ([-1, -1, -1], "real"), ([0.5] * 3, "uncertain")])
def test_the_mean_of_the_calibrated_logits_decides(logits, verdict):
    said = judged(track(1, logits))
    assert said.verdict == verdict
    assert said.logit == pytest.approx(np.mean(logits))
    face = said.persons[0].face
    assert face.logit == pytest.approx((np.mean(logits) - 0.5) * 2.0)
    assert said.kind is (Kind.MANIPULATED if verdict == "fake" else None)


def test_the_voices_of_a_network_are_pooled_apart():
    seen = track(1, [2.0, 2.0, -2.0, -2.0])
    voices = [(2.0, -9.0), (-9.0, 2.0), (-2.0, -9.0), (-9.0, -2.0)]
    apart = [replace(one, voices=own) for one, own in zip(seen.observations, voices, strict=True)]
    said = judged(Track(1, tuple(apart)))
    assert said.logit == pytest.approx(np.log(2.0) - 4.5, abs=0.01)
    assert judged(seen).logit == pytest.approx(0.0)


def test_who_looks_fake_for_a_while_is_uncertain_and_never_plainly_real():
    said = judged(track(1, [-3.0] * 12 + [2.5] * 3))
    assert said.logit < 0.0
    assert said.verdict is said.persons[0].face.verdict is Verdict.UNCERTAIN
    (segment,) = said.persons[0].segments
    assert (segment.start, segment.end) == (5.75, 7.0)
    assert segment.score == pytest.approx(1 / (1 + np.exp(-2.5)), abs=1e-3)


def test_a_way_to_pool_that_looks_for_the_worst_is_held_to_more():
    tracks = track(1, [0.0] * 8 + [1.5] * 2)
    assert judged(tracks, pooling="top").logit == pytest.approx(1.5)
    strict = Policy(fpr=0.05, threshold_at=lambda fpr: 1.0 if fpr > 0.04 else 2.0, band_below=1.0)
    gallery = Gallery()
    gallery.offer(1, tracks.observations[-1], Shown(Cutout(PIXELS, 0, 0), PIXELS), None)
    assert judge([tracks], gallery, Court(CALIBRATION, strict, 0.5, "top")).verdict is Verdict.UNCERTAIN


def test_frames_that_cannot_be_judged_do_not_count_unless_there_are_no_others():
    mixed = Track(
        1, (*track(1, [-1, -1]).observations, *track(1, [9, 9], issues=(QualityIssue.TOO_DARK,)).observations)
    )
    assert judged(mixed).verdict is Verdict.REAL
    only = judged(track(1, [9, 9], issues=(QualityIssue.TOO_DARK,)))
    assert only.verdict is Verdict.UNCERTAIN
    assert only.persons[0].segments == ()


def test_a_single_hit_beside_somebody_who_stays_does_not_count():
    said = judged(track(1, [-1] * 5), track(2, [9]))
    assert said.verdict is Verdict.REAL
    assert said.persons[1].face.considered is False
    assert said.worst == 0
    assert judged(track(1, [9])).verdict is Verdict.FAKE


def test_nobody_is_no_face():
    said = judged()
    assert (said.verdict, said.logit, said.worst, said.persons) == (Verdict.NO_FACE, None, None, ())
