"""People stay themselves: they cross, leave, come back, are overlooked, and end with a cut."""

import cv2
import numpy as np
import pytest

from deepfake_detector.core.types import Box, DetectedFace, Landmarks
from deepfake_detector.faces.appearance import appearance, likeness
from deepfake_detector.faces.track import Tracker

WIDTH, HEIGHT, SIDE = 640, 360, 80
MARKS = ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))


class Figure:
    """Somebody who is drawn: hair, a face with features of its own, clothes."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.skin, self.hair, self.cloth = rng.integers(30, 226, (3, 3)).tolist()
        self.features = cv2.resize(
            rng.integers(0, 90, (7, 7, 1), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC
        )

    def draw(self, frame, x, y):
        cv2.rectangle(frame, (x - 15, y - 30), (x + SIDE + 15, y + SIDE), self.hair, -1)
        cv2.rectangle(frame, (x - 50, y + SIDE + 10), (x + SIDE + 50, HEIGHT), self.cloth, -1)
        left, right = max(x, 0), min(x + SIDE, WIDTH)
        if left < right:
            face = np.clip(np.array(self.skin) + self.features[..., None] - 45, 0, 255).astype(np.uint8)
            frame[y : y + SIDE, left:right] = face[:, left - x : right - x]


def face_at(x, y):
    marks = Landmarks(*((x + SIDE * u, y + SIDE * v) for u, v in MARKS))
    return DetectedFace(Box(x, y, SIDE, SIDE), marks, 0.99)


def scene(*placed, noise=0):
    """A frame with figures at (x, y), the last in front, and the faces that a finder would see."""
    frame = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    for figure, x, y in placed:
        figure.draw(frame, x, y)
    spots = np.random.default_rng(noise).integers(-8, 9, frame.shape)
    return np.clip(frame + spots, 0, 255).astype(np.uint8), [face_at(x, y) for _, x, y in placed]


@pytest.fixture(scope="module")
def anna():
    return Figure(1)


@pytest.fixture(scope="module")
def bert():
    return Figure(2)


def test_somebody_looks_like_themselves_and_not_like_another(anna, bert):
    frame, (a, b) = scene((anna, 60, 100), (bert, 400, 120))
    later, (a2, b2) = scene((bert, 420, 110), (anna, 100, 90), noise=1)
    looks = [appearance(frame, face) for face in (a, b)]
    again = [appearance(later, face) for face in (b2, a2)]
    assert min(likeness(one, other) for one, other in zip(looks, again, strict=True)) > 0.92
    assert max(likeness(looks[0], again[1]), likeness(looks[1], again[0])) < 0.8


def test_two_people_who_cross_keep_their_numbers(anna, bert):
    tracker, ids = Tracker(), []
    for step in range(40):
        x, y = 40 + 12 * step, 520 - 12 * step
        frame, faces = scene((bert, y, 110), (anna, x, 100), noise=step)
        hidden = abs(x - y) < SIDE * 0.7  # who stands behind is not seen
        seen = faces[1:] if hidden else faces
        ids.append(tracker.update(frame, step / 25, 0, seen)[::-1])
    assert {pair[0] for pair in ids} == {ids[0][0]}
    assert {pair[1] for pair in ids if len(pair) == 2} == {ids[0][1]}
    assert any(len(pair) == 1 for pair in ids)


def test_a_second_between_frames_is_bridged_by_looks(anna, bert):
    tracker, spots = Tracker(), [(60, 400), (130, 330), (90, 430), (220, 300)]
    ids = []
    for second, (x, y) in enumerate(spots):
        frame, faces = scene((anna, x, 100), (bert, y, 90), noise=second)
        ids.append(tracker.update(frame, float(second), 0, faces))
    assert ids == [(1, 2)] * 4


def test_an_overlooked_face_goes_on_as_the_same_person(anna):
    tracker = Tracker()
    ids = []
    for step in range(12):
        frame, faces = scene((anna, 100 + 4 * step, 100), noise=step)
        ids += tracker.update(frame, step / 10, 0, [] if 4 <= step < 7 else faces)
    assert ids == [1] * 9


def test_who_leaves_and_comes_back_is_the_same_and_a_stranger_is_not(anna, bert):
    tracker = Tracker()
    first, faces = scene((anna, 500, 100))
    assert tracker.update(first, 0.0, 0, faces) == (1,)
    for second in range(1, 6):
        assert tracker.update(scene(noise=second)[0], float(second), 0, []) == ()
    back, faces = scene((bert, 500, 100), (anna, 40, 110), noise=9)
    assert tracker.update(back, 6.0, 0, faces) == (2, 1)


def test_another_person_at_the_same_place_a_moment_later_is_somebody_else(anna, bert):
    tracker = Tracker()
    frame, faces = scene((anna, 280, 100))
    assert tracker.update(frame, 0.0, 0, faces) == (1,)
    frame, faces = scene((bert, 280, 100))
    assert tracker.update(frame, 0.04, 0, faces) == (2,)


def test_a_cut_ends_everybody_even_who_stands_still(anna):
    tracker = Tracker()
    frame, faces = scene((anna, 280, 100))
    assert tracker.update(frame, 0.0, 0, faces) == (1,)
    assert tracker.update(frame, 0.04, 1, faces) == (2,)
    assert tracker.update(frame, 0.08, 1, faces) == (2,)


def test_a_face_is_expected_where_it_moves_to_and_no_more_after_a_while(anna):
    tracker = Tracker()
    for step in range(5):
        frame, faces = scene((anna, 100 + 10 * step, 100), noise=step)
        tracker.update(frame, step / 25, 0, faces)
    (box,) = tracker.expected(5 / 25)
    assert box.x == pytest.approx(150, abs=3)
    assert tracker.expected(9.0) == ()
