"""What leaving the doubtful pictures open is worth: the error among those that are answered, over how many are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.intervals import Estimate, Floats, Ints, Rate, Resampling, bootstrap, percentile, rate
from deepfake_detector.training.metrics import no_interval


@dataclass(frozen=True, slots=True)
class Selective:
    """Selective prediction at a threshold.

    ``aurc``: the area under the risk–coverage curve, lower is better; ``risk`` is its end, the error without any doubt.
    ``answered``: pictures that were called real or fake, of those with a score; ``right``: of these, the right ones.
    """

    aurc: Estimate
    risk: Rate
    answered: Rate
    right: Rate


@dataclass(frozen=True, eq=False)
class Answered:
    """N scored pictures: whether the answer at the threshold is wrong, how sure it is, and whether it is given.

    ``confidence`` is how far the calibrated logit lies from where doubt is greatest; −1: the face cannot be judged.
    """

    wrong: NDArray[np.bool_]
    confidence: Floats
    given: NDArray[np.bool_]
    groups: Ints

    @cached_property
    def levels(self) -> Ints:
        """The rank of each confidence, 0 for the surest; equal ones share it."""
        return np.unique(-self.confidence, return_inverse=True)[1].astype(np.int64)


def measure_selective(answered: Answered, resampling: Resampling) -> Selective:
    """The figures, with the interval of the area."""

    def statistic(weights: Floats) -> Floats:
        return np.array([area(answered, weights)])

    value = area(answered, np.ones(len(answered.wrong)))
    without = no_interval(int(answered.groups.max()) + 1, resampling)
    if without:
        aurc = Estimate(value, reason=without)
    else:
        aurc = percentile(value, bootstrap(statistic, answered.groups, resampling)[0], resampling)
    given = int(answered.given.sum())
    right = int((answered.given & ~answered.wrong).sum())
    total, confidence = len(answered.wrong), resampling.confidence
    return Selective(
        aurc=aurc,
        risk=rate(int(answered.wrong.sum()), total, confidence),
        answered=rate(given, total, confidence),
        right=rate(right, given, confidence),
    )


def risk_coverage(answered: Answered) -> tuple[Floats, Floats]:
    """The curve: the share of pictures that is answered, surest first, and the error among them.

    Pictures of the same confidence are answered together (Geifman & El-Yaniv 2017).
    """
    mass, risk = _cumulated(answered.wrong, answered.levels, np.ones(len(answered.wrong)))
    return np.cumsum(mass) / mass.sum(), risk


def area(answered: Answered, weights: Floats) -> float:
    """The area under the curve if each picture counts so often: the mean error over all shares that are answered."""
    mass, risk = _cumulated(answered.wrong, answered.levels, weights)
    return float(mass @ risk / mass.sum())


def _cumulated(wrong: NDArray[np.bool_], levels: Ints, weights: Floats) -> tuple[Floats, Floats]:
    """How much each level of confidence weighs, and the error of all pictures up to it, surest first."""
    mass: Floats = np.bincount(levels, weights=weights).astype(np.float64)
    errors = np.bincount(levels, weights=weights * wrong)
    so_far = np.cumsum(mass)
    return mass, np.divide(np.cumsum(errors), so_far, out=np.zeros(len(mass)), where=so_far > 0)
