import dataclasses
import pickle

import numpy as np
import pytest

from deepfake_detector.core.types import (
    SHIPPED_POINTS,
    Box,
    CropRule,
    Decision,
    InputInfo,
    Kind,
    Landmarks,
    ModelInfo,
    OperatingPoint,
    Quality,
    QualityIssue,
    Report,
    Verdict,
)


def landmarks(left_eye, right_eye):
    return Landmarks(left_eye, right_eye, (5.0, 5.0), (3.0, 8.0), (7.0, 8.0))


def test_a_box_knows_its_geometry():
    box = Box(-2.0, 4.0, 10.0, 20.0)
    assert box.area == 200.0
    assert box.center == (3.0, 14.0)
    assert box.long_side == 20.0
    assert Box(0.0, 0.0, -1.0, 5.0).area == 0.0


@pytest.mark.parametrize(
    ("right_eye", "degrees"), [((10.0, 0.0), 0.0), ((10.0, 10.0), 45.0), ((10.0, -10.0), -45.0), ((0.0, 9.0), 90.0)]
)
def test_roll_is_positive_clockwise_on_the_screen(right_eye, degrees):
    assert landmarks((0.0, 0.0), right_eye).roll == pytest.approx(degrees)


def test_landmarks_as_an_array_keep_their_order():
    array = landmarks((1.0, 2.0), (3.0, 4.0)).as_array()
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 2], [3, 4], [5, 5], [3, 8], [7, 8]]


def test_a_face_with_an_issue_is_not_usable():
    assert Quality(100.0, 50.0, 120.0).usable
    assert not Quality(10.0, 50.0, 120.0, (QualityIssue.TOO_SMALL,)).usable


def test_operating_points_name_their_rate():
    assert {point.value: point.fpr for point in SHIPPED_POINTS} == {"fpr1": 0.01, "fpr5": 0.05, "fpr10": 0.10}
    assert set(OperatingPoint) - set(SHIPPED_POINTS) == {OperatingPoint.OWN}
    with pytest.raises(ValueError, match="rate of its file"):
        OperatingPoint.OWN.fpr  # noqa: B018


def test_the_words_of_a_report_are_plain_strings():
    assert [*map(str, Verdict)] == ["real", "fake", "uncertain", "no_face"]
    assert [*map(str, Kind)] == ["manipulated", "generated"]
    assert [*map(str, QualityIssue)] == ["too_small", "too_blurred", "too_dark"]


def test_values_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CropRule().size = 1


def test_a_report_travels_between_processes():
    report = Report(
        input=InputInfo("a.png", "0" * 64, 1, "PNG", 2, 3),
        model=ModelInfo("m", "1", "0" * 64, "MIT"),
        verdict=Verdict.NO_FACE,
        p_fake=None,
        kind=None,
        decision=Decision(OperatingPoint.FPR5, 0.05, 0.7, 0.5, 0.5, 0, False),
        timings={"decode": 0.1},
    )
    assert pickle.loads(pickle.dumps(report)) == report
