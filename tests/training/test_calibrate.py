import math

import numpy as np
import pytest

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.calibrate import (
    ALL_SOURCES,
    MAX_MISSED,
    MAX_UNCERTAIN,
    MIN_BAND,
    MIN_UNSEEN,
    RATES,
    fit,
    fit_band,
    fit_calibration,
    fit_kind_temperature,
    fit_temperature,
    fpr_points,
    set_weights,
)


def simulated(n=4000, temperature=2.5, bias=-0.8, fakes=0.5, seed=0):
    """Raw logits whose true log odds are raw / temperature + bias: two normal classes at the right distance."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < fakes).astype(int)
    distance = 4.0
    odds = rng.normal(size=n) * math.sqrt(distance) + (labels - 0.5) * distance
    return (odds - bias) * temperature, labels


def fitted(raw, labels, sets=None):
    names = ["one"] * len(raw) if sets is None else sets
    return fit(raw, labels, sets=names, unseen=[True] * len(raw), fitted_on="here")


@pytest.mark.parametrize(("temperature", "bias"), [(2.5, -0.8), (0.4, 1.5), (1.0, 0.0)])
def test_known_temperature_and_bias_come_back(temperature, bias):
    calibration = fitted(*simulated(20_000, temperature, bias)).calibration
    assert calibration.temperature == pytest.approx(temperature, rel=0.06)
    assert calibration.bias == pytest.approx(bias, abs=0.08)
    assert calibration.out_of_source
    assert calibration.fitted_on == "here"


def test_the_worst_source_decides_and_enough_unseen_reals_make_it_out_of_source():
    rng = np.random.default_rng(1)
    known, foreign, fakes = rng.normal(-6, 1, 400), rng.normal(-2, 1, 400), rng.normal(3, 1, 400)
    raw, labels = np.concatenate([known, foreign, fakes]), np.repeat([0, 0, 1], 400)
    sets, unseen = np.repeat(["known", "foreign", "fakes"], 400), np.repeat([False, True, False], 400)
    found = fit(raw, labels, sets=sets, unseen=unseen, fitted_on="here")
    assert found.calibration.out_of_source
    assert next(point.source for point in found.points if point.fpr == 0.05) == "foreign"
    unseen[np.flatnonzero(unseen)[MIN_UNSEEN - 1 :]] = False
    few = fit(raw, labels, sets=sets, unseen=unseen, fitted_on="here")
    assert not few.calibration.out_of_source
    assert few.points == found.points


def test_share_of_fakes_does_not_move_the_probability():
    calibration = fitted(*simulated(20_000, fakes=0.1)).calibration
    assert calibration.temperature == pytest.approx(2.5, rel=0.1)
    assert calibration.bias == pytest.approx(-0.8, abs=0.15)


def test_fit_lowers_the_loss():
    found = fitted(*simulated())
    assert found.loss_after < found.loss_before


def test_classes_that_do_not_overlap_give_no_endless_confidence():
    raw = np.concatenate([np.linspace(-2, -1, 200), np.linspace(1, 2, 200)])
    found = fitted(raw, np.repeat([0, 1], 200)).calibration
    highest = 2.0 / found.temperature + found.bias
    assert 2.0 < highest < math.log(100_000)


def test_a_large_set_does_not_drown_a_small_one():
    labels = np.array([0] * 1000 + [0] * 50 + [1] * 80)
    sets = ["big"] * 1000 + ["small"] * 50 + ["fakes"] * 80
    weights = set_weights(labels, sets)
    assert weights[:1000].sum() == pytest.approx(0.25)
    assert weights[1000:1050].sum() == pytest.approx(0.25)
    assert weights[1050:].sum() == pytest.approx(0.5)
    tiny = set_weights(np.array([0] * 100 + [0] * 2 + [1] * 80), ["big"] * 100 + ["tiny"] * 2 + ["fakes"] * 80)
    assert tiny[100:102].sum() == pytest.approx(0.5 * 2 / 22)


def test_worst_source_decides():
    rng = np.random.default_rng(0)
    easy, hard = rng.normal(-3, 1, 1000), rng.normal(-1, 1, 800)
    points = fpr_points(np.concatenate([easy, hard]), ["easy"] * 1000 + ["hard"] * 800)
    assert {point.source for point in points} == {"hard"}
    alone = fpr_points(hard, ["hard"] * 800)
    assert [point.logit for point in points] == [point.logit for point in alone]
    for point in points:
        assert (hard >= point.logit).mean() <= point.fpr


def test_curve_goes_from_loose_to_strict_and_never_falls():
    rng = np.random.default_rng(1)
    points = fpr_points(rng.normal(size=700), ["a"] * 300 + ["b"] * 250 + ["c"] * 30 + ["d"] * 120)
    assert [point.fpr for point in points] == list(RATES)
    logits = [point.logit for point in points]
    assert logits == sorted(logits)


def test_few_reals_of_a_source_count_in_the_pool_only():
    rng = np.random.default_rng(2)
    points = fpr_points(np.concatenate([rng.normal(-3, 1, 500), np.full(5, 9.0)]), ["many"] * 500 + ["five"] * 5)
    assert "five" not in {point.source for point in points}
    assert points[-1].source == ALL_SOURCES
    assert points[-1].logit > 9.0


def test_one_odd_picture_of_a_small_source_does_not_decide():
    rng = np.random.default_rng(4)
    usual, small = rng.normal(size=600), np.append(rng.normal(size=39), 9.0)
    points = {
        point.fpr: point for point in fpr_points(np.concatenate([usual, small]), ["usual"] * 600 + ["small"] * 40)
    }
    assert points[0.1].logit < 2.0
    assert points[0.05].logit < 2.5
    assert {points[rate].source for rate in (0.05, 0.02, 0.01)} <= {"usual", ALL_SOURCES}


def test_too_few_reals_for_a_rate_give_a_careful_forecast():
    reals = np.random.default_rng(3).normal(size=40)
    points = {point.fpr: point for point in fpr_points(reals, ["one"] * 40)}
    assert points[0.05].measured
    assert not points[0.01].measured
    assert points[0.01].logit > reals.max()
    assert points[0.005].logit >= points[0.01].logit


@pytest.mark.parametrize("reals", [25, 60, 150, 400])
def test_new_reals_keep_to_the_promised_rate(reals):
    rng = np.random.default_rng(reals)
    exceeded = {rate: [] for rate in RATES}
    fresh = rng.normal(size=20_000)
    for _ in range(300):
        for point in fpr_points(rng.normal(size=reals), ["one"] * reals):
            exceeded[point.fpr].append((fresh >= point.logit).mean())
    for rate, shares in exceeded.items():
        assert np.mean(shares) <= rate * 1.1
        assert np.mean(shares) >= rate * (0.9 - 20.0 / reals / (reals * rate + 1)) - 1.5 / reals


def test_ties_stay_below_the_threshold():
    points = fpr_points(np.repeat([-1.0, 0.5], [900, 100]), ["one"] * 1000)
    by_rate = {point.fpr: point.logit for point in points}
    assert -1.0 < by_rate[0.2] < 0.5
    assert by_rate[0.05] > 0.5


def test_band_keeps_both_promises_where_it_can():
    labels = np.arange(6000) % 2
    found = fitted(np.random.default_rng(0).normal(size=6000) + labels * 2.5, labels)
    assert found.uncertain <= MAX_UNCERTAIN
    assert found.missed <= MAX_MISSED
    assert found.calibration.band_below >= MIN_BAND


def test_band_yields_to_the_uncertain_share():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 1000)
    logits, weights = rng.normal(size=2000) + labels * 0.3, np.full(2000, 1 / 2000)  # it hardly knows anything
    threshold = float(np.quantile(logits[labels == 0], 0.95))
    band = fit_band(logits, labels, weights, threshold)
    left_open = (logits < threshold) & (logits >= threshold - band)
    assert left_open.mean() == pytest.approx(MAX_UNCERTAIN, abs=0.002)
    assert left_open.mean() <= MAX_UNCERTAIN
    assert (logits[labels == 1] < threshold - band).mean() > MAX_MISSED


def test_what_is_rather_fake_is_never_called_real():
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 1000)
    found = fitted(rng.normal(size=2000) + labels * 0.3, labels)
    threshold = next(point.logit for point in found.points if point.fpr == 0.05)
    assert threshold > 0.0
    assert threshold - found.calibration.band_below <= 0.0
    assert found.uncertain > MAX_UNCERTAIN


def test_band_is_never_empty_for_a_good_detector():
    labels = np.repeat([0, 1], 500)
    logits = np.where(labels == 1, 6.0, -6.0) + np.linspace(-1, 1, 1000)
    assert fit_band(logits, labels, np.full(1000, 1e-3), 0.0) == pytest.approx(MIN_BAND)


def test_kind_temperature_comes_back():
    raw, kinds = simulated(20_000, temperature=3.0, bias=0.0)
    unknown = np.full(500, np.nan)
    found = fit_kind_temperature(np.concatenate([raw, np.full(500, 40.0)]), np.concatenate([kinds, unknown]))
    assert found == pytest.approx(3.0, rel=0.05)
    assert fit_kind_temperature(raw[:50], np.ones(50)) == 1.0


def test_whole_calibration_with_kinds(caplog):
    raw, labels = simulated(3000)
    kinds = np.where(labels == 1, np.arange(3000) % 2, -1)
    kind_logits = (kinds - 0.5) * 4 + np.random.default_rng(0).normal(size=3000) * 8
    calibration = fit_calibration(
        raw, labels, kind_logits, kinds, sets=["one"] * 3000, unseen=[False] * 3000, fitted_on="val"
    )
    assert calibration.kind_temperature > 2.0
    assert [point.fpr for point in calibration.fpr_curve] == list(RATES)
    caplog.set_level("INFO", "deepfake_detector")
    plain = fit_calibration(raw, labels, sets=["one"] * 3000, unseen=[False] * 3000, fitted_on="val")
    assert "calibrated on val: log loss" in caplog.messages[0]
    assert caplog.messages[-1] == f"threshold for 0.5 %: set by {(labels == 0).sum()} reals of all sources"
    assert plain.kind_temperature == 1.0
    assert plain.temperature == calibration.temperature


def test_temperature_without_information_says_one_half():
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 2000)
    raw = rng.normal(size=4000) * 5
    temperature, bias = fit_temperature(raw, labels, np.full(4000, 1 / 4000))
    assert np.abs(raw / temperature + bias).max() < 0.3


@pytest.mark.parametrize(
    ("raw", "labels", "message"),
    [
        ([0.0] * 30, [0] * 19 + [1] * 11, "here are 19 and 11"),
        ([0.0] * 50, [0] * 50, "here are 50 and 0"),
        ([float("inf")] * 2 + [0.0] * 48, [0, 1] * 25, "2 of 50 logits"),
        ([0.0] * 50, [0, 2] * 25, "labels must be"),
        ([0.0] * 50, [0, 1] * 20, "50"),
    ],
)
def test_what_cannot_be_fitted_is_refused(raw, labels, message):
    with pytest.raises(DataError, match=message):
        fitted(raw, labels)
