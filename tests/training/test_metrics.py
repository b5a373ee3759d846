import math
import time
from dataclasses import fields

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, classification_report, roc_auc_score

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.training.intervals import DEFAULT_RESAMPLING, Resampling, bootstrap, percentile, rate, reflected
from deepfake_detector.training.metrics import FIGURES, Metrics, ScoredSet, measure
from deepfake_detector.training.reliability import balanced_weights, expected_calibration_error, mass_bins

FEW = Resampling(resamples=100, seed=1)


def simulated(n=600, distance=2.0, fakes=0.5, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < fakes).astype(int)
    return labels, rng.normal(size=n) + (labels - 0.5) * distance


def values(metrics: Metrics) -> dict[str, float | None]:
    return {field.name: getattr(metrics.figures, field.name).value for field in fields(metrics.figures)}


def test_figures_equal_those_of_scikit_learn():
    labels, logits = simulated(fakes=0.3)
    metrics = measure(ScoredSet.of(labels, logits), 0.4, FEW)
    report = classification_report(labels, logits >= 0.4, target_names=["real", "fake"], output_dict=True)
    found = values(metrics)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(labels, logits))
    assert found["average_precision"] == pytest.approx(average_precision_score(labels, logits))
    assert found["accuracy"] == pytest.approx(report["accuracy"])
    assert found["balanced_accuracy"] == pytest.approx(report["macro avg"]["recall"])
    for name in ("real", "fake"):
        assert found[f"precision_{name}"] == pytest.approx(report[name]["precision"])
        assert found[f"recall_{name}"] == pytest.approx(report[name]["recall"])
        assert found[f"f1_{name}"] == pytest.approx(report[name]["f1-score"])
    p_fake = 1 / (1 + np.exp(-logits))
    halves = np.mean([brier_score_loss(labels[labels == k], p_fake[labels == k], labels=[0, 1]) for k in (0, 1)])
    assert found["brier"] == pytest.approx(halves)


def test_every_figure_lies_in_its_interval():
    metrics = measure(ScoredSet.of(*simulated()), 0.0, FEW)
    for name in FIGURES:
        estimate = getattr(metrics.figures, name)
        assert estimate.low <= estimate.value <= estimate.high, name
        assert estimate.high - estimate.low < (0.5 if name.startswith("tpr") else 0.2), name


def test_confusion_counts_the_threshold_itself_as_fake():
    confusion = measure(ScoredSet.of([0, 0, 1, 1, 1], [-1.0, 0.0, 0.0, 2.0, -3.0]), 0.0, FEW).confusion
    assert (confusion.true_real, confusion.false_fake) == (1, 1)
    assert (confusion.false_real, confusion.true_fake) == (1, 2)


def test_equal_error_rate_of_two_normal_classes():
    labels, logits = simulated(20_000, distance=2.0)
    expected = 0.5 * math.erfc(1.0 / math.sqrt(2.0))
    no_bootstrap = measure(ScoredSet.of(labels, logits), 0.0, Resampling(resamples=0))
    assert no_bootstrap.figures.eer.value == pytest.approx(expected, abs=0.01)
    assert no_bootstrap.figures.eer.low is None
    assert "no bootstrap" in no_bootstrap.figures.eer.reason


def test_tpr_at_fpr_never_exceeds_the_rate():
    labels = np.array([0] * 100 + [1] * 100)
    logits = np.concatenate([np.arange(100), np.full(100, 98.5)])  # one real in a hundred lies above all fakes
    figures = measure(ScoredSet.of(labels, logits), 0.0, FEW).figures
    assert figures.tpr_at_fpr1.value == 1.0
    logits[99] = 98.0
    logits[98] = 98.7
    logits[97] = 98.8
    assert measure(ScoredSet.of(labels, logits), 0.0, FEW).figures.tpr_at_fpr1.value == 0.0


def test_all_scores_tied_is_chance():
    figures = measure(ScoredSet.of([0] * 120 + [1] * 80, np.zeros(200)), 0.0, FEW).figures
    assert figures.roc_auc.value == pytest.approx(0.5)
    assert figures.roc_auc.low is None
    assert "resamples agree" in figures.roc_auc.reason
    assert figures.eer.value == pytest.approx(0.5)
    assert figures.ece.value == pytest.approx(0.0)
    assert figures.precision_real.value is None
    assert "called real" in figures.precision_real.reason


@pytest.mark.parametrize(("label", "defined"), [(0, "recall_real"), (1, "recall_fake")])
def test_one_class_gives_reasons_and_never_nan(label, defined):
    figures = measure(ScoredSet.of([label] * 40, np.linspace(-2, 2, 40)), 0.0, FEW).figures
    for name in FIGURES:
        estimate = getattr(figures, name)
        if name in ("accuracy", defined):
            assert estimate.value == pytest.approx(0.5)
            assert estimate.low < 0.5 < estimate.high
        else:
            assert estimate.value is None
            assert "needs both classes" in estimate.reason


def test_few_pictures_give_reasons():
    figures = measure(ScoredSet.of([0, 1, 0], [0.1, 0.2, -0.3]), 0.0, FEW).figures
    assert figures.roc_auc.value == 1.0
    assert "3 independent groups" in figures.roc_auc.reason
    assert "needs 100 real" in figures.tpr_at_fpr1.reason
    assert figures.ece.value is None


def test_no_error_gets_an_exact_interval():
    figures = measure(ScoredSet.of([0] * 50 + [1] * 50, [-3.0] * 50 + [3.0] * 50), 0.0, FEW).figures
    assert figures.recall_fake.value == 1.0
    assert figures.recall_fake.low == pytest.approx(0.025 ** (1 / 50))
    assert "exact" in figures.recall_fake.reason


def test_resamples_without_one_class_are_not_used():
    labels = np.array([1] + [0] * 199)
    estimate = measure(ScoredSet.of(labels, np.linspace(1, -1, 200)), 0.0, FEW).figures.roc_auc
    assert estimate.value == 1.0
    assert estimate.low is None
    assert "resamples" in estimate.reason


def test_pictures_of_one_group_are_drawn_together():
    labels, logits = simulated(200, distance=1.0)
    alone = measure(ScoredSet.of(labels, logits), 0.0, FEW).figures.roc_auc
    copies = ScoredSet.of(np.tile(labels, 9), np.tile(logits, 9), [f"{number:03}" for number in np.tile(range(200), 9)])
    grouped = measure(copies, 0.0, FEW).figures.roc_auc
    copied = measure(ScoredSet.of(copies.labels, copies.logits), 0.0, FEW).figures.roc_auc
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.high - grouped.low == pytest.approx(alone.high - alone.low, rel=1e-6)
    assert copied.high - copied.low < 0.5 * (grouped.high - grouped.low)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    hits = 0
    for seed in range(200):
        data = np.random.default_rng(seed).exponential(size=100)
        means = bootstrap(lambda weights, data=data: np.array([np.average(data, weights=weights)]), np.arange(100), FEW)
        estimate = percentile(float(data.mean()), means[0], FEW)
        hits += estimate.low <= 1.0 <= estimate.high
    assert 0.88 <= hits / 200 <= 0.98


def test_the_seed_decides():
    scored = ScoredSet.of(*simulated(100))
    assert measure(scored, 0.0, FEW) == measure(scored, 0.0, FEW)
    assert measure(scored, 0.0, FEW) != measure(scored, 0.0, Resampling(resamples=100, seed=2))


def test_calibrated_scores_have_small_calibration_error():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 8000)
    logits = rng.normal(size=8000) * math.sqrt(2.0) * 1.5 + (labels - 0.5) * 4.5  # d²/σ² = d: the true log odds
    honest = measure(ScoredSet.of(labels, logits), 0.0, FEW).figures.ece
    bold = measure(ScoredSet.of(labels, logits * 4), 0.0, FEW).figures.ece
    assert honest.value < 0.03
    assert honest.low < 0.01
    assert bold.value > 0.05


def test_calibration_error_by_hand():
    labels, p_fake = np.array([0, 1, 0, 1]), np.array([0.2, 0.2, 0.6, 0.6])
    weights = balanced_weights(labels, np.ones(4))
    bins = mass_bins(p_fake, weights, bins=2)
    assert bins.tolist() == [0, 0, 1, 1]
    assert expected_calibration_error(labels, p_fake, bins, weights) == pytest.approx((0.3 + 0.1) / 2)


def test_bins_have_equal_mass_and_keep_ties_together():
    p_fake = np.repeat([0.1, 0.9], [70, 30])
    assert np.bincount(mass_bins(p_fake, np.ones(100))).tolist() == [70, 30]
    spread = np.random.default_rng(0).random(1500)
    assert set(np.bincount(mass_bins(spread, np.ones(1500))).tolist()) == {100}


def test_reflected_takes_the_overstatement_off():
    distribution = np.linspace(0.04, 0.08, 101)
    estimate = reflected(0.03, distribution, DEFAULT_RESAMPLING)
    assert estimate.low == 0.0
    assert estimate.high == 0.03


def test_exact_interval_of_a_share():
    assert rate(0, 0).value is None
    none_of_many = rate(0, 100)
    assert none_of_many.low == 0.0
    assert none_of_many.high == pytest.approx(1 - 0.025 ** (1 / 100))


def test_bootstrap_mean_has_the_known_spread():
    data = np.random.default_rng(0).normal(size=400)
    spread = bootstrap(lambda w: np.array([np.average(data, weights=w)]), np.arange(400), Resampling(2000)).std()
    assert spread == pytest.approx(data.std() / 20, rel=0.1)


@pytest.mark.parametrize(
    ("labels", "logits", "groups", "message"),
    [
        ([], [], None, "nothing to measure"),
        ([0, 1], [0.0], None, "one length"),
        ([0, 2], [0.0, 1.0], None, "0 \\(real\\) or 1"),
        ([0, 1], [0.0, float("nan")], None, "not finite"),
        ([0, 1], [0.0, 1.0], ["a"], "1 groups for 2"),
    ],
)
def test_unusable_scores_are_refused(labels, logits, groups, message):
    with pytest.raises(DataError, match=message):
        ScoredSet.of(labels, logits, groups)


def test_impossible_resampling_is_refused():
    with pytest.raises(ConfigError, match="at least 20"):
        Resampling(resamples=5)
    with pytest.raises(ConfigError, match="confidence"):
        Resampling(confidence=1.0)


def test_ten_thousand_pictures_are_quick():
    scored = ScoredSet.of(*simulated(10_000))
    start = time.process_time()
    measure(scored, 0.0, Resampling(resamples=100))
    assert time.process_time() - start < 6.0  # 1000 resamples in a minute even where two cores are busy
