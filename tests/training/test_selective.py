import numpy as np
import pytest

from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.training.metrics import ScoredSet, measure
from deepfake_detector.training.people import people_rates, traits, widest_gap
from deepfake_detector.training.selective import Answered, measure_selective, risk_coverage
from deepfake_detector.training.uncalibrated import measure_uncalibrated

FEW = Resampling(60)


def answered(wrong, confidence, given=None):
    wrong = np.array(wrong, dtype=bool)
    given = np.ones(len(wrong), dtype=bool) if given is None else np.array(given, dtype=bool)
    return Answered(wrong, np.array(confidence, dtype=float), given, np.arange(len(wrong)))


def test_risk_is_that_of_the_surest_so_far():
    coverage, risk = risk_coverage(answered([0, 1, 0, 0], [4, 1, 3, 2]))
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk.tolist() == [0.0, 0.0, 0.0, 0.25]
    coverage, risk = risk_coverage(answered([0, 1, 0, 1], [2, 2, 1, 1]))  # equally sure: answered together
    assert (coverage.tolist(), risk.tolist()) == ([0.5, 1.0], [0.5, 0.5])


def test_aurc_is_the_mean_risk_and_doubt_is_counted():
    """Geifman & El-Yaniv: the mean over all coverages of the risk of the surest."""
    rng = np.random.default_rng(0)
    wrong, confidence = rng.random(200) < 0.3, rng.random(200)
    order = np.argsort(-confidence)
    expected = np.mean(np.cumsum(wrong[order]) / np.arange(1, 201))
    found = measure_selective(answered(wrong, confidence, confidence > 0.5), FEW)
    assert found.aurc.value == pytest.approx(expected)
    assert found.aurc.low < expected < found.aurc.high
    assert found.answered.count == (confidence > 0.5).sum()
    assert found.right.value == pytest.approx(1 - wrong[confidence > 0.5].mean())
    assert found.risk.count == wrong.sum()


def test_a_good_doubt_has_a_smaller_area_than_a_blind_one():
    rng = np.random.default_rng(1)
    wrong = rng.random(300) < 0.3
    good = measure_selective(answered(wrong, rng.random(300) - wrong), FEW).aurc
    blind = measure_selective(answered(wrong, rng.random(300)), FEW).aurc
    assert good.high < blind.low


def test_before_the_calibration_the_same_figures_are_those_of_the_raw_logits():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 200)
    raw = ScoredSet.of(labels, 5 * (rng.normal(size=200) + labels - 0.5))
    found, expected = measure_uncalibrated(raw, FEW), measure(raw, 0.0, FEW).figures
    assert found.brier.value == pytest.approx(expected.brier.value)
    assert found.ece.value == pytest.approx(expected.ece.value)
    assert found.brier.low == pytest.approx(expected.brier.low)
    assert measure_uncalibrated(raw.where(labels == 1), FEW).brier.value is None
    assert measure_uncalibrated(raw.where(np.arange(200) < 20), FEW).ece.value is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "crop_part1_10_0_3_20161220222308131.jpg.chip.jpg",
            {"age": "under 18", "gender": "male", "ethnicity": "Indian"},
        ),
        ("61_1_0_20170104013211746.jpg", {"age": "55 and over", "gender": "female", "ethnicity": "White"}),
        ("All-Age-Faces Dataset_original images_00023A35.jpg", {"age": "35 to 54"}),
        ("easy_12_1110.jpg", {}),
        ("seed_5_1_2.png", {}),
    ],
)
def test_traits_come_from_the_names_of_two_sets(name, expected):
    assert traits(name) == expected


def test_false_alarms_are_counted_by_group_and_fakes_are_not(tmp_path):
    def person(age, gender, called, label=Label.REAL, number=[0]):  # noqa: B006 - counts the files
        number[0] += 1
        name = f"{age}_{gender}_0_20170104013{number[0]:06d}.jpg"
        return Sample(tmp_path / name, label, set="utk"), called

    rows = [person(20, 0, False) for _ in range(8)] + [person(60, 1, n < 2) for n in range(4)]
    rows += [person(60, 1, True, Label.FAKE) for _ in range(5)]
    found = people_rates(rows, 0.95)
    assert [(one.trait, one.group, one.fpr.count, one.fpr.n) for one in found] == [
        ("age", "18 to 34", 0, 8),
        ("age", "55 and over", 2, 4),
        ("ethnicity", "White", 2, 12),
        ("gender", "male", 0, 8),
        ("gender", "female", 2, 4),
    ]
    high, low = widest_gap(found)
    assert (high.group, low.group) == ("55 and over", "18 to 34")
    assert widest_gap(one for one in found if one.trait == "ethnicity") is None
