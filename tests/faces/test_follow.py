"""Key frames are searched as a whole; between them a face is followed, and whoever is missing is looked for."""

from dataclasses import replace

import numpy as np

from deepfake_detector.core.types import Box, DetectedFace, Landmarks
from deepfake_detector.faces.follow import FURTHER_TRIES, FrameFinder
from deepfake_detector.faces.mtcnn import MtcnnFinder

FRAME = np.zeros((100, 200, 3), np.uint8)
FACE = DetectedFace(Box(10, 10, 40, 40), Landmarks((20, 25), (40, 25), (30, 35), (22, 42), (38, 42)), 0.99)
OTHER = replace(FACE, box=Box(120, 10, 60, 60))


class Counting:
    """Finds what it is told to, and counts how it was asked."""

    def __init__(self, found=(FACE,), followed=(FACE,)):
        self.found, self.followed = found, followed
        self.searches, self.looks = 0, 0

    def find(self, image):
        self.searches += 1
        return self.found

    def follow(self, image, boxes):
        self.looks += 1
        return self.followed


def test_between_key_frames_only_the_expected_places_are_looked_at():
    counting = Counting()
    finder = FrameFinder(counting)
    for step in range(10):
        assert finder.find(FRAME, step / 10, 0, () if step == 0 else (FACE.box,)) == (FACE,)
    assert (counting.searches, counting.looks) == (2, 8)


def test_a_cut_makes_a_key_frame():
    counting = Counting()
    finder = FrameFinder(counting)
    finder.find(FRAME, 0.0, 0, ())
    finder.find(FRAME, 0.1, 1, (FACE.box,))
    assert (counting.searches, counting.looks) == (2, 0)


def test_a_face_that_is_followed_badly_is_searched_for():
    counting = Counting(followed=(replace(FACE, confidence=0.85),))
    finder = FrameFinder(counting)
    finder.find(FRAME, 0.0, 0, ())
    finder.find(FRAME, 0.1, 0, (FACE.box,))
    assert counting.searches == 2


def test_who_was_overlooked_on_a_key_frame_is_found_where_they_should_be():
    counting = Counting(found=(FACE,), followed=(OTHER, FACE))
    finder = FrameFinder(counting)
    finder.find(FRAME, 0.0, 0, ())
    assert finder.find(FRAME, 1.0, 0, (FACE.box, OTHER.box)) == (OTHER, FACE)


def test_a_clip_without_faces_is_not_tried_in_all_ways_for_ever():
    counting = Counting(found=())
    finder = FrameFinder(counting)
    for step in range(40):
        finder.find(FRAME, float(step), 0, ())
    with_tries = FURTHER_TRIES * 4  # as it is; with a border; turned to either side
    assert counting.searches == with_tries + 40 - FURTHER_TRIES


def test_the_shipped_finder_follows_a_face_that_moved_a_little(astronaut):
    finder = MtcnnFinder(1)
    (face,) = finder.find(astronaut)
    moved = np.roll(astronaut, (6, 9), axis=(0, 1))
    (again,) = finder.follow(moved, [face.box])
    assert abs(again.box.center[0] - face.box.center[0] - 9) < 3
    assert abs(again.box.center[1] - face.box.center[1] - 6) < 3
    assert finder.follow(moved, []) == ()
    assert finder.follow(moved, [Box(10, 380, 60, 60)]) == ()
