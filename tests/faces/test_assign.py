"""Pairs that fit best, against every other way to pair."""

from itertools import permutations

import numpy as np
import pytest

from deepfake_detector.faces.assign import best_pairs


def _best_sum(fit):
    rows, columns = fit.shape
    gain = np.zeros((max(fit.shape),) * 2)
    gain[:rows, :columns] = np.maximum(fit, 0.0)
    return max(sum(gain[row, column] for row, column in enumerate(order)) for order in permutations(range(len(gain))))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 5), (5, 3), (6, 6), (1, 4)])
def test_no_other_way_to_pair_fits_better(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(20):
        fit = rng.uniform(-0.5, 1.0, shape)
        pairs = best_pairs(fit)
        assert sum(fit[pair] for pair in pairs) == pytest.approx(_best_sum(fit))
        for side in zip(*pairs, strict=True):
            assert len(set(side)) == len(side)


def test_the_best_single_pair_is_given_up_for_a_better_whole():
    assert best_pairs(np.array([[0.9, 0.85], [0.88, 0.1]])) == [(0, 1), (1, 0)]


def test_what_does_not_fit_stays_alone():
    assert best_pairs(np.array([[0.0, -1.0], [0.2, 0.0]])) == [(1, 0)]
    assert best_pairs(np.zeros((0, 3))) == []
    assert best_pairs(np.zeros((3, 0))) == []
