"""How well probabilities keep their word: balanced weights, bins of equal weight, and the calibration error."""

from __future__ import annotations

import numpy as np

from deepfake_detector.training.intervals import Floats, Ints

ECE_BINS = 15


def balanced_weights(labels: Ints, weights: Floats) -> Floats:
    """Weights (N,) that sum to 0.5 in each class."""
    per_class = np.bincount(labels, weights=weights, minlength=2)
    return np.asarray(weights * 0.5 / per_class[labels], dtype=np.float64)


def mass_bins(p_fake: Floats, weights: Floats, bins: int = ECE_BINS) -> Ints:
    """Each picture's bin (N,): ``bins`` of about equal weight from the lowest to the highest probability.

    Equal probabilities share a bin, so that there may be fewer.
    """
    order = np.argsort(p_fake, kind="stable")
    middle = np.cumsum(weights[order]) - weights[order] / 2.0
    number = np.minimum((middle / weights.sum() * bins).astype(np.int64), bins - 1)
    values, first = np.unique(p_fake[order], return_index=True)
    result = number[first][np.searchsorted(values, p_fake)]
    return np.asarray(np.unique(result, return_inverse=True)[1], dtype=np.int64)


def expected_calibration_error(labels: Ints, p_fake: Floats, bins: Ints, weights: Floats) -> float:
    """Mean over the bins of how far the mean probability is from the share of fakes (Naeini et al. 2015)."""
    gaps = np.bincount(bins, weights=weights * (p_fake - labels))
    return float(np.abs(gaps).sum() / weights.sum())
