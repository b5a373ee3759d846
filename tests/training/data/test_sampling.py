"""Which samples an epoch shows: shares, fairness, pairs."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.data.sampling import BalanceConfig, class_weights, epoch_indices


def make(**counts):
    """``utk_real=5`` → five samples."""
    samples = []
    for name, number in counts.items():
        set_name, label = name.rsplit("_", 1)
        samples += [Sample(Path(f"{name}{i}"), Label[label.upper()], set=set_name) for i in range(number)]
    return samples


def shown(samples, config, seed=0):
    order = epoch_indices(samples, config, np.random.default_rng(seed))
    return order, Counter((samples[i].set, samples[i].label) for i in order)


def test_without_balance_each_sample_is_shown_once():
    samples = make(a_real=7, b_fake=3)
    order, _ = shown(samples, BalanceConfig())
    assert sorted(order) == list(range(10))
    assert order.dtype == np.int64


def test_class_balance_shows_each_class_half_of_the_time():
    samples = make(a_real=90, b_real=10, a_fake=20)
    order, counts = shown(samples, BalanceConfig(balance="class"))
    assert len(order) == 120
    assert counts[("a", Label.FAKE)] == 60
    assert counts[("a", Label.REAL)] == 54
    assert counts[("b", Label.REAL)] == 6


def test_nobody_is_shown_more_than_once_more_often_than_another():
    samples = make(a_real=90, a_fake=20)
    order, _ = shown(samples, BalanceConfig(balance="class", epoch_size=150))
    times = Counter(order.tolist())
    assert {times[i] for i in range(90)} <= {0, 1}
    assert {times[i] for i in range(90, 110)} <= {3, 4}


@pytest.mark.parametrize(("exponent", "small", "large"), [(0.0, 50, 50), (0.5, 20, 80), (1.0, 6, 94)])
def test_the_exponent_tempers_the_sizes_of_the_sets(exponent, small, large):
    samples = make(small_real=100, large_real=1600, small_fake=50)
    _, counts = shown(samples, BalanceConfig(balance="source", exponent=exponent, epoch_size=200))
    assert counts[("small", Label.REAL)] == small
    assert counts[("large", Label.REAL)] == large
    assert counts[("small", Label.FAKE)] == 100


def test_weights_name_a_set_or_one_class_of_it():
    samples = make(a_real=40, b_real=40, a_fake=40, b_fake=40, soft_real=40)
    config = BalanceConfig(
        balance="source", exponent=0.0, weights={"soft": 0.0, "a": 3.0, "a/fake": 1.0}, epoch_size=80
    )
    _, counts = shown(samples, config)
    assert counts == {
        ("a", Label.REAL): 30,
        ("b", Label.REAL): 10,
        ("a", Label.FAKE): 20,
        ("b", Label.FAKE): 20,
    }


def test_a_weight_for_no_set_names_the_near_miss():
    config = BalanceConfig(balance="source", weights={"ukt": 0.5})
    with pytest.raises(DataError, match=r"'ukt' \(did you mean 'utk'\?\)"):
        shown(make(utk_real=3, sd_fake=3), config)


def test_a_class_left_with_nothing_is_refused():
    with pytest.raises(DataError, match="no fake pictures are left"):
        shown(make(a_real=3), BalanceConfig(balance="class"))
    with pytest.raises(DataError, match="no real pictures are left"):
        shown(make(a_real=3, b_fake=3), BalanceConfig(balance="source", weights={"a": 0.0}))


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": {"a": 1.0}},
        {"balance": "class", "weights": {"a": 1.0}},
        {"epoch_size": 10},
        {"balance": "source", "weights": {"a": -1.0}},
        {"balance": "sets"},
        {"balnce": "class"},
    ],
)
def test_settings_that_would_do_nothing_or_harm_are_refused(settings):
    with pytest.raises(ValidationError):
        BalanceConfig(**settings)


def test_pairs_lie_in_one_batch_and_share_a_set_where_there_is_one():
    samples = make(a_real=20, a_fake=20, b_real=8, c_fake=8)
    order, _ = shown(samples, BalanceConfig(pairs=True))
    pairs = [(samples[a], samples[b]) for a, b in order.reshape(-1, 2)]
    assert all({one.label, other.label} == set(Label) for one, other in pairs)
    assert sum(one.set == other.set == "a" for one, other in pairs) == 20
    assert sorted(order) == list(range(56))


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 12), st.integers(0, 99))
def test_pairing_only_changes_the_order(a_real, a_fake, b_real, b_fake, seed):
    samples = make(a_real=a_real, a_fake=a_fake, b_real=b_real, b_fake=b_fake)
    order, _ = shown(samples, BalanceConfig(pairs=True), seed)
    assert sorted(order.tolist()) == list(range(len(samples)))
    # As many couples of real and fake start at an even place as there can be.
    couples = [(samples[a].label, samples[b].label) for a, b in zip(order[::2], order[1::2], strict=False)]
    assert sum(one is not other for one, other in couples) == min(a_real + b_real, a_fake + b_fake)


def test_the_same_generator_gives_the_same_order_and_another_one_another():
    samples = make(a_real=30, a_fake=30)
    for config in (BalanceConfig(), BalanceConfig(balance="source", pairs=True)):
        orders = [shown(samples, config, seed)[0].tolist() for seed in (1, 1, 2)]
        assert orders[0] == orders[1] != orders[2]


def test_class_weights_even_out_the_classes():
    weights = class_weights(make(a_real=30, b_fake=10))
    assert weights == {Label.REAL: pytest.approx(40 / 60), Label.FAKE: pytest.approx(2.0)}
