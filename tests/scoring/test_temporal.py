"""Each signal answers to what it is named after, and to nothing that moves steadily."""

import cv2
import numpy as np
import pytest
from skimage import data

from deepfake_detector.core.types import Box, Landmarks, Quality
from deepfake_detector.core.video import Observation
from deepfake_detector.scoring.temporal import SIGNALS, TrackSeries, aligned_shapes, curves, trace

FRAMES = 12
TIMES = np.arange(FRAMES) / 25.0
FACE = cv2.resize(data.astronaut()[10:210, 130:330].mean(axis=2).astype(np.uint8), (96, 96))
OTHER = np.fliplr(data.camera()[60:156, 180:276])
SHAPE = np.array([[30, 40], [66, 40], [48, 58], [35, 74], [61, 74]], dtype=np.float64)


def painted(change, size=1.0):
    """The face with its inside lighter by ``change``, the border blended; ``size`` 1 is where a swapped face ends."""
    canvas = np.zeros((96, 96), dtype=np.float32)
    cv2.ellipse(canvas, (48, 51), (int(24 * size), int(27 * size)), 0, 0, 360, 1.0, -1)
    return np.clip(FACE + change * cv2.GaussianBlur(canvas, (0, 0), 1.0), 0, 255).astype(np.uint8)


def person(times=TIMES, landmarks=None, features=None, traces=None):
    """Somebody who does nothing, or what is given."""
    marks = np.repeat(SHAPE[None], len(times), axis=0) if landmarks is None else landmarks
    rows = np.ones((len(times), 8), dtype=np.float32) if features is None else features
    still = trace(FACE, painted(2.0))
    return [
        Observation(
            index=index,
            time=float(time),
            scene=0,
            box=Box(0.0, 0.0, 96.0, 96.0),
            landmarks=Landmarks(*(tuple(point) for point in marks[index].tolist())),
            confidence=1.0,
            quality=Quality(96.0, 100.0, 120.0),
            logit=0.0,
            p_fake=0.5,
            features=rows[index],
            trace=still if traces is None else traces[index],
        )
        for index, time in enumerate(times)
    ]


def means(observations, logits=None):
    found = curves(observations, np.zeros(len(observations)) if logits is None else logits)
    return {curve.name: float(np.mean(curve.values)) for curve in found}


def moving_head(rng=None):
    """Landmarks of a head that drifts, grows and leans, optionally with trembling points."""
    frames = []
    for step in range(FRAMES):
        angle, zoom = 0.03 * step, 1.0 + 0.04 * step
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        noise = 0.0 if rng is None else rng.normal(0.0, 1.0, SHAPE.shape)
        frames.append((SHAPE + noise) @ turn.T + [5.0 * step, -3.0 * step])
    return np.array(frames)


def test_of_somebody_who_does_nothing_all_is_measured_and_nothing_found():
    found = curves(person(), np.zeros(FRAMES))
    assert [curve.name for curve in found] == list(SIGNALS)
    for curve in found:
        assert len(curve.times) == len(curve.values) >= FRAMES - 2
        if curve.name not in ("inner_unrest", "border_jitter"):
            assert np.mean(curve.values) == pytest.approx(0.0, abs=1e-6)


def test_a_score_that_rises_steadily_does_not_flicker_whatever_the_times():
    times = np.cumsum(np.linspace(0.02, 0.5, FRAMES))
    assert means(person(times), 0.7 * times)["score_flicker"] == pytest.approx(0.0, abs=1e-6)


def test_a_score_that_jumps_flickers_by_its_jump():
    jumping = np.where(np.arange(FRAMES) % 2, 1.5, -1.5)
    assert means(person(), jumping)["score_flicker"] == pytest.approx(3.0)


def test_features_that_swing_flicker_and_longer_ones_do_not():
    swinging = np.ones((FRAMES, 8), dtype=np.float32)
    swinging[::2, :4] = 0.0
    longer = np.outer(np.arange(1, FRAMES + 1), np.ones(8)).astype(np.float32)
    assert means(person(features=swinging))["feature_flicker"] > 0.1
    assert means(person(features=longer))["feature_flicker"] == pytest.approx(0.0, abs=1e-6)


def test_a_head_that_moves_has_calm_landmarks_and_a_trembling_one_has_not():
    calm = means(person(landmarks=moving_head()))["landmark_jitter"]
    trembling = means(person(landmarks=moving_head(np.random.default_rng(0))))["landmark_jitter"]
    assert calm == pytest.approx(0.0, abs=1e-5)
    assert 0.03 < trembling < 0.12  # a pixel, the eyes being 36 apart, of three frames


def test_shapes_are_measured_in_eye_distances():
    shapes = aligned_shapes(moving_head())
    assert np.linalg.norm(shapes[:, 1] - shapes[:, 0], axis=1) == pytest.approx(1.0)
    assert shapes.mean(axis=1) == pytest.approx(0.0, abs=1e-9)


def test_an_inside_that_changes_by_itself_is_unrest_and_light_or_a_moving_head_is_not():
    light = np.clip(FACE * 0.9, 0, 255).astype(np.uint8)
    moved = np.roll(FACE, 1, axis=1)
    assert trace(FACE, painted(12.0)).unrest > 1.0
    assert max(trace(FACE, light).unrest, trace(FACE, moved).unrest) < 0.5


def test_a_border_that_wanders_jitters_more_than_a_head_that_moves():
    def disc(size=1.0, shift=0):
        canvas = np.full((96, 96), 120.0, dtype=np.float32)
        cv2.ellipse(canvas, (48 + shift, 51), (int(27 * size), int(31 * size)), 0, 0, 360, 160.0, -1)
        return cv2.GaussianBlur(canvas, (0, 0), 1.0).astype(np.uint8)

    left = np.arange(96)[None] < 48
    jitter = {
        name: trace(disc(), other).wander
        for name, other in (("moved", disc(shift=1)), ("bent", np.where(left, disc(1.12), disc()).astype(np.uint8)))
    }
    assert jitter["bent"] > 2.0 * jitter["moved"]


def test_a_frame_without_a_next_one_or_shown_twice_is_left_out():
    traces = [trace(FACE, painted(12.0))] * FRAMES
    traces[3], traces[5] = trace(FACE), trace(FACE, FACE)
    found = {curve.name: curve for curve in curves(person(traces=traces), np.zeros(FRAMES))}
    assert found["inner_unrest"].times == tuple(np.delete(TIMES, [3, 5]).tolist())
    assert found["border_jitter"].times == found["inner_unrest"].times
    assert len(found["identity_drift"].times) == FRAMES


def test_another_face_in_half_of_the_frames_is_a_drift_and_a_brighter_one_is_not():
    half = [trace(FACE if step % 2 else OTHER) for step in range(FRAMES)]
    brighter = [trace(np.clip(FACE * 0.5 + 6.0 * step, 0, 255).astype(np.uint8)) for step in range(FRAMES)]
    assert means(person(traces=half))["identity_drift"] > 0.2
    assert means(person(traces=brighter))["identity_drift"] < 0.01


def test_an_empty_face_is_no_error():
    blank = np.zeros((96, 96), dtype=np.uint8)
    found = trace(blank, blank)
    assert found.unrest is None
    assert np.isfinite(found.look).all()


def test_frames_far_apart_are_no_neighbours():
    assert "score_flicker" not in means(person(np.arange(FRAMES) * 60.0))
    bursts = person(np.array([0.0, 0.04, 0.08, 60.0, 60.04, 60.08]))
    flicker = curves(bursts, np.array([0.0, 1, 0, 5, 6, 5]))[0]
    assert flicker.times == (0.04, 60.04)
    assert flicker.values == pytest.approx([1.0, 1.0])


@pytest.mark.parametrize("frames", [0, 1, 2])
def test_too_few_frames_give_no_flicker(frames):
    found = means(person(np.arange(frames) * 0.04))
    assert not {"score_flicker", "feature_flicker", "landmark_jitter"} & set(found)


def test_what_is_missing_is_left_out():
    bare = TrackSeries(TIMES, logits=np.zeros(FRAMES))
    assert bare.looks is None
    without = [
        Observation(index, time, 0, Box(0, 0, 9, 9), None, 1.0, Quality(9, 9, 9), 0.0, 0.5)
        for index, time in enumerate(TIMES)
    ]
    assert list(means(without)) == ["score_flicker"]
