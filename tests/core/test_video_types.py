"""What a video's answer says by itself."""

from deepfake_detector.core.types import Box, Face, Quality, Verdict
from deepfake_detector.core.video import Observation, Person


def _observation(time):
    return Observation(round(time * 25), time, 0, Box(0, 0, 50, 60), None, 0.9, Quality(50, 100, 120), 0.1, 0.5)


def test_a_person_spans_from_the_first_to_the_last_time_they_are_seen():
    face = Face(Box(0, 0, 50, 60), None, 0.9, Quality(50, 100, 120), 0.1, 0.5, Verdict.REAL)
    person = Person(1, face, 2.0, "mean", tuple(_observation(time) for time in (0.4, 2.0, 7.2)))
    assert person.span == (0.4, 7.2)


def test_features_do_not_make_two_observations_differ():
    assert _observation(1.0) == _observation(1.0)
