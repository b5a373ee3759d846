"""How honest the probabilities would be without the calibration on the card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from deepfake_detector.training.intervals import Estimate, Floats, Resampling, bootstrap, percentile, reflected
from deepfake_detector.training.metrics import MIN_ECE, ScoredSet, no_interval
from deepfake_detector.training.reliability import balanced_weights, expected_calibration_error, mass_bins


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """Brier score and calibration error of ``sigmoid(raw logit)``; ``metrics.Figures`` has those after calibration."""

    brier: Estimate
    ece: Estimate


def measure_uncalibrated(raw: ScoredSet, resampling: Resampling) -> Uncalibrated:
    """The figures of raw logits, both classes at half the weight, with bootstrap intervals."""
    labels, p_fake = raw.labels, raw.p_fake
    if not raw.real or not raw.fake:
        nothing = Estimate(None, reason=f"needs both classes, here are {raw.real} real and {raw.fake} fake pictures")
        return Uncalibrated(nothing, nothing)
    bins = mass_bins(p_fake, balanced_weights(labels, np.ones(len(labels))))

    def statistic(weights: Floats) -> Floats:
        if not weights[labels == 0].any() or not weights[labels == 1].any():
            return np.full(2, np.nan)
        balanced = balanced_weights(labels, weights)
        brier = float(balanced @ (p_fake - labels) ** 2)
        return np.array([brier, expected_calibration_error(labels, p_fake, bins, balanced)])

    brier, ece = (float(value) for value in statistic(np.ones(len(labels))))
    few = len(labels) < MIN_ECE
    without = no_interval(int(raw.groups.max()) + 1, resampling)
    if without:
        found = Uncalibrated(Estimate(brier, reason=without), Estimate(ece, reason=without))
    else:
        drawn = bootstrap(statistic, raw.groups, resampling)
        found = Uncalibrated(percentile(brier, drawn[0], resampling), reflected(ece, drawn[1], resampling))
    return Uncalibrated(found.brier, Estimate(None, reason=f"needs {MIN_ECE} pictures")) if few else found
