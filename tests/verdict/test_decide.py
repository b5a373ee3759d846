import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfake_detector.core.types import Box, Kind, QualityIssue, Verdict
from deepfake_detector.verdict.decide import (
    Evidence,
    Policy,
    bounds_for,
    considered_faces,
    decide,
    face_verdict,
    fpr_per_face,
)

BLURRED = (QualityIssue.TOO_BLURRED,)
RANK = {Verdict.REAL: 0, Verdict.UNCERTAIN: 1, Verdict.FAKE: 2}


def threshold_at(fpr):
    """One logit at 5 %, and one more for each factor of 10."""
    return 1.0 + math.log10(0.05 / fpr)


POLICY = Policy(fpr=0.05, threshold_at=threshold_at, band_below=0.5)


def face(logit, kind_logit=None, issues=(), side=100.0):
    return Evidence(Box(0.0, 0.0, side, side), logit, kind_logit, issues)


faces = st.builds(
    face,
    st.floats(-8.0, 8.0),
    st.none() | st.floats(-3.0, 3.0),
    st.sampled_from([(), (), BLURRED, (QualityIssue.TOO_SMALL, QualityIssue.TOO_DARK)]),
    st.floats(5.0, 500.0),
)
pictures = st.lists(faces, max_size=12)
policies = st.builds(
    Policy,
    fpr=st.sampled_from([0.01, 0.05, 0.1]),
    threshold_at=st.just(threshold_at),
    band_below=st.floats(0.0, 3.0),
    all_faces=st.booleans(),
)


# What is said of one face


@pytest.mark.parametrize(
    ("logit", "verdict"),
    [
        (5.0, Verdict.FAKE),
        (1.0, Verdict.FAKE),
        (0.999, Verdict.UNCERTAIN),
        (0.5, Verdict.UNCERTAIN),
        (0.499, Verdict.REAL),
        (-5.0, Verdict.REAL),
    ],
)
def test_one_face_speaks_for_the_picture(logit, verdict):
    said = decide([face(logit)], POLICY)
    assert said.verdict is verdict
    assert [each.verdict for each in said.faces] == [verdict]
    assert said.logit == logit
    assert (said.bounds.fake_from, said.bounds.real_below, said.bounds.faces) == (1.0, 0.5, 1)
    assert said.warnings == ()


def test_without_a_band_nothing_is_uncertain():
    sharp = replace(POLICY, band_below=0.0)
    assert decide([face(0.9999)], sharp).verdict is Verdict.REAL
    assert decide([face(1.0)], sharp).verdict is Verdict.FAKE


def test_a_stricter_operating_point_asks_for_more():
    assert decide([face(1.2)], POLICY).verdict is Verdict.FAKE
    assert decide([face(1.2)], replace(POLICY, fpr=0.01)).verdict is Verdict.UNCERTAIN


def test_no_face_is_said_as_such():
    said = decide([], POLICY)
    assert (said.verdict, said.kind, said.logit, said.faces) == (Verdict.NO_FACE, None, None, ())
    assert said.bounds.faces == 0
    assert said.bounds.fake_from == 1.0


@pytest.mark.parametrize(("kind_logit", "kind"), [(0.1, Kind.GENERATED), (-0.1, Kind.MANIPULATED), (None, None)])
def test_the_kind_is_the_sign_of_its_logit(kind_logit, kind):
    said = decide([face(3.0, kind_logit)], POLICY)
    assert said.kind is said.faces[0].kind is kind


@pytest.mark.parametrize("logit", [0.7, -3.0])
def test_without_a_fake_there_is_no_kind(logit):
    said = decide([face(logit, 2.0)], POLICY)
    assert said.kind is said.faces[0].kind is None


@pytest.mark.parametrize("logit", [-9.0, 0.7, 9.0])
def test_a_face_that_cannot_be_judged_is_uncertain_and_keeps_its_number(logit):
    said = decide([face(logit, 2.0, issues=(QualityIssue.TOO_SMALL, QualityIssue.TOO_DARK))], POLICY)
    assert said.verdict is said.faces[0].verdict is Verdict.UNCERTAIN
    assert said.kind is None
    assert said.logit == logit
    assert said.warnings == ()  # the verdict says it already


# Several faces


def test_the_most_suspicious_face_speaks_for_the_picture():
    said = decide([face(-2.0), face(4.0, 1.0), face(3.0, -1.0)], POLICY)
    assert said.verdict is Verdict.FAKE
    assert said.kind is Kind.GENERATED
    assert said.logit == 4.0
    assert [each.verdict for each in said.faces] == [Verdict.REAL, Verdict.FAKE, Verdict.FAKE]
    assert [each.kind for each in said.faces] == [None, Kind.GENERATED, Kind.MANIPULATED]
    assert said.warnings == ("3 faces count; the threshold is corrected for their number",)


def test_twenty_faces_do_not_cry_wolf():
    alone, crowd = decide([face(1.1)], POLICY), decide([face(1.1)] + [face(-4.0)] * 19, POLICY)
    assert alone.verdict is Verdict.FAKE
    assert crowd.verdict is Verdict.UNCERTAIN
    assert crowd.bounds.fake_from == pytest.approx(threshold_at(1 - 0.95 ** (1 / 20)))


def test_who_would_be_fake_alone_is_never_real_in_a_crowd():
    crowd = decide([face(1.0)] + [face(-4.0)] * 999, POLICY)
    assert crowd.bounds.fake_from - POLICY.band_below > 1.0
    assert crowd.faces[0].verdict is Verdict.UNCERTAIN


def test_background_faces_are_left_out_unless_asked_for():
    crowd = [face(-2.0, side=400.0), face(6.0, side=99.0), face(-1.0, side=100.0)]
    said = decide(crowd, POLICY)
    assert said.verdict is Verdict.REAL
    assert [each.considered for each in said.faces] == [True, False, True]
    assert said.faces[1].verdict is Verdict.FAKE
    assert said.bounds.faces == 2
    assert said.warnings[-1] == "1 background face is left out: under a quarter of the largest"
    all_of_them = decide(crowd, replace(POLICY, all_faces=True))
    assert all_of_them.verdict is Verdict.FAKE
    assert all_of_them.bounds.faces == 3


def test_the_longer_side_tells_how_large_a_face_is():
    boxes = [Box(0, 0, 40.0, 100.0), Box(0, 0, 25.0, 5.0), Box(0, 0, 24.0, 24.0)]
    assert considered_faces(boxes) == (True, True, False)
    assert considered_faces(boxes, all_faces=True) == (True, True, True)
    assert considered_faces([]) == ()


# Faces that cannot be judged among others


def test_a_suspicious_face_that_cannot_be_judged_makes_the_picture_uncertain():
    said = decide([face(-3.0), face(7.0, issues=BLURRED)], POLICY)
    assert said.verdict is Verdict.UNCERTAIN
    assert said.logit == 7.0


def test_an_innocent_face_that_cannot_be_judged_leaves_the_word_to_the_others():
    said = decide([face(-3.0), face(-2.0, issues=BLURRED)], POLICY)
    assert said.verdict is Verdict.REAL
    assert said.logit == -2.0
    assert "face 2 cannot be judged: too blurred" in said.warnings


def test_faces_that_cannot_be_judged_for_the_same_reason_share_a_warning():
    said = decide([face(-3.0), *[face(-2.0, issues=BLURRED)] * 2, face(-2.0, issues=(QualityIssue.TOO_DARK,))], POLICY)
    assert said.warnings[:2] == ("faces 2, 3 cannot be judged: too blurred", "face 4 cannot be judged: too dark")


def test_a_fake_stays_one_beside_a_face_that_cannot_be_judged():
    said = decide([face(9.0, -1.0, issues=(*BLURRED, QualityIssue.TOO_DARK)), face(4.0, 1.0)], POLICY)
    assert said.verdict is Verdict.FAKE
    assert said.kind is Kind.GENERATED
    assert said.logit == 9.0
    assert said.warnings[0] == "face 1 cannot be judged: too blurred and too dark"


def test_where_no_face_can_be_judged_nothing_is_said():
    said = decide([face(-5.0, issues=BLURRED)] * 3, POLICY)
    assert said.verdict is Verdict.UNCERTAIN


def test_background_faces_that_cannot_be_judged_do_not_matter():
    said = decide([face(-3.0, side=400.0), face(9.0, issues=BLURRED, side=30.0)], POLICY)
    assert said.verdict is Verdict.REAL
    assert said.logit == -3.0
    assert said.warnings == ("1 background face is left out: under a quarter of the largest",)


# Whatever comes


@given(pictures, policies, st.data())
def test_more_suspicion_never_makes_a_picture_more_innocent(picture, policy, data):
    if not picture:
        return
    at = data.draw(st.integers(0, len(picture) - 1))
    more = data.draw(st.floats(0.0, 10.0))
    raised = [*picture[:at], replace(picture[at], logit=picture[at].logit + more), *picture[at + 1 :]]
    before, after = decide(picture, policy), decide(raised, policy)
    assert RANK[after.verdict] >= RANK[before.verdict]
    assert RANK[after.faces[at].verdict] >= RANK[before.faces[at].verdict]
    assert after.logit >= before.logit


@given(st.integers(1, 500), policies)
def test_more_faces_never_make_fake_easier(count, policy):
    fewer, more = bounds_for(count, policy), bounds_for(count + 1, policy)
    assert more.fake_from >= fewer.fake_from
    assert more.real_below <= more.fake_from
    assert more.real_below <= bounds_for(1, policy).fake_from


@given(st.floats(-8.0, 8.0), st.integers(1, 100), st.integers(1, 100), policies)
def test_a_face_in_a_larger_crowd_is_never_called_fake_sooner(logit, one, other, policy):
    few, many = sorted((one, other))
    if face_verdict(logit, True, bounds_for(many, policy)) is Verdict.FAKE:
        assert face_verdict(logit, True, bounds_for(few, policy)) is Verdict.FAKE
    if face_verdict(logit, True, bounds_for(1, policy)) is Verdict.FAKE:
        assert face_verdict(logit, True, bounds_for(many, policy)) is not Verdict.REAL


@given(st.sampled_from([0.01, 0.05, 0.1]), st.integers(1, 1000))
def test_the_rates_of_all_faces_add_up_to_that_of_the_picture(fpr, count):
    assert 1.0 - (1.0 - fpr_per_face(fpr, count)) ** count == pytest.approx(fpr, rel=1e-6)


@given(pictures, policies)
def test_poor_quality_never_decides(picture, policy):
    spoilt = [replace(each, issues=BLURRED) for each in picture]
    said = decide(spoilt, policy)
    assert said.verdict in ({Verdict.UNCERTAIN} if picture else {Verdict.NO_FACE})
    assert said.logit == decide(picture, policy).logit


@given(pictures, policies, st.data())
def test_spoiling_a_face_never_makes_a_picture_fake_nor_a_lone_one_real(picture, policy, data):
    if not picture:
        return
    at = data.draw(st.integers(0, len(picture) - 1))
    spoilt = [*picture[:at], replace(picture[at], issues=BLURRED), *picture[at + 1 :]]
    before, after = decide(picture, policy), decide(spoilt, policy)
    assert RANK[after.faces[at].verdict] == 1
    if before.verdict is not Verdict.FAKE:
        assert after.verdict is not Verdict.FAKE
    assert after.logit == before.logit


@given(pictures, policies, st.randoms(use_true_random=False))
def test_the_order_of_the_faces_does_not_matter(picture, policy, random):
    shuffled = random.sample(picture, len(picture))
    before, after = decide(picture, policy), decide(shuffled, policy)
    assert (before.verdict, before.logit, before.bounds) == (after.verdict, after.logit, after.bounds)


@given(pictures, policies)
def test_every_part_agrees_with_the_others(picture, policy):
    said = decide(picture, policy)
    assert len(said.faces) == len(picture)
    assert said.bounds.faces == sum(each.considered for each in said.faces)
    assert (said.verdict is Verdict.NO_FACE) == (said.logit is None) == (not picture)
    counted = [each for each in said.faces if each.considered]
    if said.verdict is Verdict.FAKE:
        assert any(each.verdict is Verdict.FAKE for each in counted)
        assert said.logit >= said.bounds.fake_from
    else:
        assert said.kind is None
    if said.verdict is Verdict.REAL:
        assert said.logit < said.bounds.real_below
        assert any(each.verdict is Verdict.REAL for each in counted)
        assert all(each.verdict is not Verdict.FAKE for each in counted)
    for each in said.faces:
        assert each.kind is None or each.verdict is Verdict.FAKE


def test_somebody_seen_in_a_single_frame_is_left_out_beside_those_who_stay():
    said = decide([face(0.0), replace(face(5.0), brief=True)], replace(POLICY, noun=("person", "persons")))
    assert said.verdict is Verdict.REAL
    assert [one.considered for one in said.faces] == [True, False]
    assert said.faces[1].verdict is Verdict.FAKE
    assert said.warnings == ("1 person is left out: seen in one frame only",)
    assert decide([face(0.0), replace(face(5.0), brief=True)], replace(POLICY, all_faces=True)).verdict is Verdict.FAKE


def test_looking_for_the_worst_asks_for_as_much_as_several_faces_do():
    assert bounds_for(1, replace(POLICY, chances=5)).fake_from == bounds_for(5, POLICY).fake_from
    assert bounds_for(2, replace(POLICY, chances=2)).fake_from == bounds_for(4, POLICY).fake_from
