import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfake_detector.scoring.calibration import calibrated_logit, p_fake, threshold_logit
from deepfake_detector.scoring.card import Calibration

logits = st.floats(-50.0, 50.0)
priors = st.floats(1e-6, 1.0 - 1e-6)


def calibration(curve=((0.1, 0.0), (0.05, 1.0), (0.01, 3.0)), temperature=2.0, bias=0.25):
    return Calibration.model_validate(
        {
            "temperature": temperature,
            "bias": bias,
            "fpr_curve": [{"fpr": fpr, "logit": logit} for fpr, logit in curve],
            "band_below": 0.5,
            "out_of_source": True,
            "fitted_on": "x",
        }
    )


def test_a_raw_logit_is_cooled_and_shifted():
    assert calibrated_logit(3.0, calibration()) == 1.75
    assert calibrated_logit(np.array([3.0, -1.0], np.float32), calibration()).tolist() == [1.75, -0.25]


def test_numbers_in_give_numbers_out_and_arrays_arrays():
    assert isinstance(calibrated_logit(1.0, calibration()), float)
    assert isinstance(p_fake(1.0, 0.5), float)
    array = p_fake(np.zeros((2, 3), np.float32), 0.5)
    assert array.shape == (2, 3)
    assert array.dtype == np.float64
    assert p_fake(np.zeros(0), 0.5).shape == (0,)


def test_known_probabilities():
    assert p_fake(0.0, 0.5) == 0.5
    assert p_fake(math.log(3.0), 0.5) == pytest.approx(0.75)
    # Bayes: likelihood ratio 3, prior odds 1 : 9.
    assert p_fake(math.log(3.0), 0.1) == pytest.approx(3 / 12)


@given(logits, priors)
def test_bayes_theorem(logit, prior):
    at_half = p_fake(logit, 0.5)
    expected = at_half * prior / (at_half * prior + (1.0 - at_half) * (1.0 - prior))
    assert p_fake(logit, prior) == pytest.approx(expected, rel=1e-4, abs=1e-12)


@given(logits, logits, priors)
def test_a_higher_logit_never_looks_less_fake(one, other, prior):
    low, high = sorted((one, other))
    assert 0.0 <= p_fake(low, prior) <= p_fake(high, prior) <= 1.0


@given(logits, priors, priors)
def test_a_higher_prior_never_makes_it_less_probable(logit, one, other):
    low, high = sorted((one, other))
    assert p_fake(logit, low) <= p_fake(logit, high)


@pytest.mark.parametrize("logit", [-1e4, 1e4])
def test_extreme_logits_do_not_overflow(logit):
    assert p_fake(logit, 0.5) == float(logit > 0)
    assert p_fake(np.array([logit]), 0.5).tolist() == [float(logit > 0)]


def test_tiny_probabilities_are_exact():
    assert p_fake(-100.0, 0.5) == pytest.approx(math.exp(-100.0))


@pytest.mark.parametrize(("fpr", "logit"), [(0.1, 0.0), (0.05, 1.0), (0.01, 3.0)])
def test_the_curve_gives_back_its_points(fpr, logit):
    assert threshold_logit(calibration(), fpr) == pytest.approx(logit)


def test_between_two_points_it_is_linear_in_the_log_of_the_rate():
    assert threshold_logit(calibration(), math.sqrt(0.1 * 0.05)) == pytest.approx(0.5)
    assert threshold_logit(calibration(), math.sqrt(0.05 * 0.01)) == pytest.approx(2.0)


def test_beyond_the_strictest_point_it_keeps_the_last_slope():
    # From 5 % to 1 % is a factor of 5 and two logits; so is each further factor of 5.
    assert threshold_logit(calibration(), 0.002) == pytest.approx(5.0)
    assert threshold_logit(calibration(), 0.0004) == pytest.approx(7.0)


def test_looser_than_measured_is_never_assumed():
    assert threshold_logit(calibration(), 0.5) == 0.0


@given(st.floats(1e-9, 1.0), st.floats(1e-9, 1.0))
def test_a_stricter_rate_never_has_a_lower_threshold(one, other):
    strict, loose = sorted((one, other))
    assert threshold_logit(calibration(), strict) >= threshold_logit(calibration(), loose) - 1e-9


def test_beyond_a_flat_end_it_rises_again():
    flat = calibration(curve=((0.1, 0.0), (0.05, 1.0), (0.01, 1.0)))
    assert threshold_logit(flat, 0.02) == 1.0
    assert threshold_logit(flat, 0.005) == pytest.approx(2.0)  # another halving, another logit


def test_a_curve_that_never_rises_stays_flat():
    assert threshold_logit(calibration(curve=((0.1, 1.0), (0.05, 1.0), (0.01, 1.0))), 0.0001) == 1.0
