"""Ways to pool: what they have in common, what tells them apart, and how the threshold follows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Quality, QualityIssue
from deepfake_detector.verdict.pool import POOLINGS, frame_weight, heard, pooled

FRAMES = st.lists(st.tuples(st.floats(-8, 8), st.floats(0, 1)), min_size=1, max_size=20)


@given(FRAMES, st.sampled_from(sorted(POOLINGS)))
def test_a_pooled_logit_lies_among_those_that_count_whatever_their_order(frames, name):
    logits, weights = np.array(frames).T
    value = pooled(name, logits, weights)
    counted = logits[weights > 0] if weights.any() else logits
    assert counted.min() - 1e-6 <= value <= counted.max() + 1e-6
    assert pooled(name, logits[::-1], weights[::-1]) == pytest.approx(value, abs=1e-6)


@given(FRAMES, st.sampled_from(["mean", "trimmed", "steady", "lower", "top", "soft_maximum"]), st.floats(0.1, 3))
def test_more_suspicious_frames_never_make_it_less(frames, name, more):
    logits, weights = np.array(frames).T
    raised = logits.copy()
    raised[0] += more
    assert pooled(name, raised, weights) >= pooled(name, logits, weights) - 1e-9


def test_each_way_hears_a_short_fake_in_its_own_way():
    logits = np.array([-2.0] * 16 + [4.0] * 4)
    weights = np.ones(20)
    said = {name: pooled(name, logits, weights) for name in POOLINGS}
    assert said["mean"] == pytest.approx(-0.8)
    assert [said[name] for name in ("trimmed", "steady", "lower")] == pytest.approx([-2.0] * 3)
    assert said["top"] == pytest.approx(4.0)
    assert said["confident"] == pytest.approx(-0.8)  # neither are 40 % sure of a fake, nor 90 % of a real face
    assert said["mean"] < said["soft_maximum"] < said["top"]
    assert pooled("confident", np.array([-2.0] * 11 + [4.0] * 9), weights) == pytest.approx(4.0)
    assert pooled("confident", np.array([-2.0] * 19 + [4.0]), weights) == pytest.approx(-2.0)


def test_a_soft_face_counts_less_and_one_that_cannot_be_judged_not_at_all():
    assert frame_weight(Quality(200, 300, 120)) == 1.0
    assert 0.0 < frame_weight(Quality(48, 20, 120)) < frame_weight(Quality(96, 20, 120)) < 1.0
    assert frame_weight(Quality(200, 3, 120, (QualityIssue.TOO_BLURRED,))) == 0.0
    assert pooled("mean", np.array([0.0, 6.0]), np.array([1.0, 0.0])) == 0.0


def test_frames_that_all_cannot_be_judged_are_pooled_all_the_same():
    assert pooled("mean", np.array([1.0, 3.0]), np.zeros(2)) == 2.0


def test_each_voice_is_pooled_by_itself_so_that_noise_of_one_does_not_drown_the_other():
    rng = np.random.default_rng(4)
    steady = np.full((40, 1), -1.0)
    noisy = rng.normal(-4.0, 3.0, (40, 1))
    voices = np.concatenate([noisy, steady], axis=1)
    logits = np.logaddexp.reduce(voices, axis=1)
    apart = pooled("mean", logits, np.ones(40), voices)
    assert apart == pytest.approx(np.logaddexp(noisy.mean(), -1.0))
    assert apart < pooled("mean", logits, np.ones(40)) - 0.2


def test_voices_share_out_the_calibrated_odds_and_one_voice_changes_nothing():
    voices = np.array([[0.0, 1.0], [2.0, -1.0]])
    calibrated = np.logaddexp.reduce(voices, axis=1) + 0.7
    expected = np.logaddexp(1.0 + 0.7, 0.0 + 0.7)
    assert pooled("mean", calibrated, np.ones(2), voices) == pytest.approx(expected)
    one = np.array([[3.0], [-2.0]])
    assert pooled("top", calibrated, np.ones(2), one) == pytest.approx(pooled("top", calibrated, np.ones(2)))


@given(FRAMES)
def test_what_the_voices_of_a_frame_say_adds_up_to_its_calibrated_odds(frames):
    logits, other = np.array(frames).T
    said = heard(logits, np.column_stack([3.0 * logits, other]))
    assert np.logaddexp.reduce(said, axis=1) == pytest.approx(logits)
    assert said[:, 0] - said[:, 1] == pytest.approx(3.0 * logits - other)
    assert heard(logits, None)[:, 0].tolist() == logits.tolist()


def test_no_frame_is_an_error():
    with pytest.raises(ValueError, match="no frame"):
        pooled("mean", np.array([]), np.array([]))


def test_what_looks_for_the_worst_says_how_often_it_may_be_wrong():
    assert POOLINGS[AnalysisSettings().pooling].chances == 1
    assert POOLINGS["top"].chances == 5


@pytest.mark.parametrize("name", sorted(POOLINGS))
def test_real_persons_are_called_fake_no_more_often_than_the_threshold_allows(name):
    rng = np.random.default_rng(5)
    person, frame = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 24))
    for shared in (0.2, 0.6, 0.95):  # how much the frames of a person have in common
        logits = np.sqrt(shared) * person + np.sqrt(1 - shared) * frame
        rate = 1.0 - 0.95 ** (1.0 / POOLINGS[name].chances)
        threshold = np.quantile(rng.normal(size=400_000), 1.0 - rate)
        alarms = np.mean([pooled(name, row, np.ones(24)) >= threshold for row in logits[:3000]])
        assert alarms <= 0.065
