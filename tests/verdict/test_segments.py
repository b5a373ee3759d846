"""Stretches that look fake: where they begin and end, and what is too short for one."""

import numpy as np

from deepfake_detector.verdict.segments import suspicious


def _found(logits, times=None, fake_from=1.0):
    times = np.arange(len(logits), dtype=float) if times is None else np.asarray(times)
    return [
        (start, end, inside.nonzero()[0].tolist())
        for start, end, inside in suspicious(times, np.array(logits), fake_from)
    ]


def test_a_stretch_begins_and_ends_half_way_to_its_neighbours():
    assert _found([0, 0, 2, 3, 2, 0, 0]) == [(1.5, 4.5, [2, 3, 4])]


def test_a_stretch_stays_inside_of_the_track():
    assert _found([3, 3, 3]) == [(0.0, 2.0, [0, 1, 2])]
    assert _found([3, 3, 0, 0, 3, 3]) == [(0.0, 1.5, [0, 1]), (3.5, 5.0, [4, 5])]


def test_a_single_frame_makes_no_stretch_and_breaks_none():
    assert _found([0, 0, 9, 0, 0]) == []
    assert _found([2, 2, 0, 2, 2]) == [(0.0, 4.0, [0, 1, 2, 3, 4])]


def test_frames_that_cannot_be_judged_are_passed_over():
    nan = float("nan")
    assert _found([0, 2, nan, 2, 2, 0, nan]) == [(0.5, 4.5, [1, 3, 4])]
    assert _found([nan, nan]) == []
    assert _found([]) == []


def test_a_track_of_one_frame_is_its_own_stretch():
    assert _found([2.0], times=[7.0]) == [(7.0, 7.0, [0])]
