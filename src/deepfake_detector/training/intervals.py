"""How far a measured figure may be off: bootstrap intervals over groups, and exact intervals of a share."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ENOUGH_RESAMPLES = 0.9
"""An interval is given only if the figure exists in this share of the resamples."""


MIN_GROUPS = 10
"""Fewer independent groups say nothing of how far a figure may vary."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; ``reason`` says why the value, or the interval, is missing."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """``count`` of ``n``: their share with its exact (Clopper–Pearson) interval; None where ``n`` is 0."""

    count: int
    n: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Resampling:
    """How to bootstrap. 0 resamples give figures without intervals; ``confidence`` is 0–1, both excluded."""

    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 0 or 0 < self.resamples < 20:
            raise ConfigError(f"{self.resamples} bootstrap resamples: give 0 (no intervals) or at least 20")
        if not 0.0 < self.confidence < 1.0:
            raise ConfigError(f"confidence is {self.confidence}; give a share between 0 and 1, both excluded")

    @property
    def tails(self) -> tuple[float, float]:
        """The two quantiles between which the interval lies."""
        return (1.0 - self.confidence) / 2.0, (1.0 + self.confidence) / 2.0


DEFAULT_RESAMPLING = Resampling()


def bootstrap(statistic: Callable[[Floats], Floats], groups: Ints, resampling: Resampling) -> Floats:
    """What a vector of k figures becomes when whole groups are drawn again with replacement: shape (k, resamples).

    ``groups`` (n,) numbers each sample's group 0, 1, …; samples of one group are drawn together, since they are no
    independent witnesses (Field & Welsh 2007, cluster bootstrap). ``statistic`` takes how often each sample was
    drawn (n,), and gives the k figures, NaN for one that does not exist in this resample.
    """
    from scipy.stats import DegenerateDataWarning
    from scipy.stats import bootstrap as scipy_bootstrap

    number = int(groups.max()) + 1

    def over_resamples(drawn: Ints, axis: int) -> Floats:
        counts = (np.bincount(row, minlength=number)[groups].astype(np.float64) for row in np.atleast_2d(drawn))
        return np.stack([statistic(count) for count in counts], axis=axis)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)
        result = scipy_bootstrap(
            (np.arange(number),),
            over_resamples,
            n_resamples=resampling.resamples,
            batch=50,
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(resampling.seed),
        )
    return np.asarray(result.bootstrap_distribution, dtype=np.float64)


def percentile(value: float, distribution: Floats, resampling: Resampling) -> Estimate:
    """The percentile interval of a figure from its bootstrap distribution (resamples,), NaN where it did not exist."""
    known = distribution[np.isfinite(distribution)]
    if len(known) < ENOUGH_RESAMPLES * len(distribution):
        return Estimate(
            value, reason=f"no interval: the figure exists in {len(known)} of {len(distribution)} resamples"
        )
    low, high = (float(bound) for bound in np.quantile(known, resampling.tails))
    if math.isclose(low, high, abs_tol=1e-12):
        return Estimate(value, reason="no interval: all resamples agree, there are too few errors to learn from")
    return Estimate(value, low, high)


def reflected(value: float, distribution: Floats, resampling: Resampling) -> Estimate:
    """The basic bootstrap interval, cut at 0 and widened to hold the value.

    For figures such as ECE that every resample overstates: the overstatement is taken off, not added
    (Davison & Hinkley 1997, section 5.2).
    """
    plain = percentile(value, distribution, resampling)
    if plain.low is None or plain.high is None:
        return plain
    low, high = 2.0 * value - plain.high, 2.0 * value - plain.low
    return Estimate(value, max(0.0, min(low, value)), max(high, value))


def rate(count: int, n: int, confidence: float = 0.95) -> Rate:
    """The share ``count`` / ``n`` with its exact binomial interval (Clopper & Pearson 1934)."""
    from scipy.stats import binomtest

    if n == 0:
        return Rate(count, n, None, None, None)
    bounds = binomtest(count, n).proportion_ci(confidence, method="exact")
    return Rate(count, n, count / n, float(bounds.low), float(bounds.high))
