"""Are two detectors told apart by these pictures? DeLong's test, a paired bootstrap, and Holm's correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepfake_detector.training.bench.aucs import WeightedAuc
from deepfake_detector.training.intervals import Estimate, Floats, Ints, Resampling, bootstrap, percentile
from deepfake_detector.training.metrics import no_interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two ROC-AUCs on the same pictures; ``gain`` is the second less the first, with its bootstrap interval.

    ``p_delong`` and ``p_bootstrap`` are two-sided; None, with ``reason``, where there is no test.
    """

    first: Estimate
    second: Estimate
    gain: Estimate
    p_delong: float | None
    p_bootstrap: float | None
    reason: str | None = None


def compare_aucs(
    labels: Ints,
    scores: tuple[Floats, Floats],
    groups: Ints,
    resampling: Resampling,
    places: Sequence[Ints] | None = None,
) -> Comparison:
    """Compare two lists of scores (N,) of the same pictures; ``labels`` (N,) 0 real or 1 fake; infinite scores may be.

    ``groups`` (N,) are numbered from 0. DeLong's test takes each picture for a witness of its own; the bootstrap draws
    whole groups. With ``places`` (the indices of each set) the mean of their AUCs is compared, by the bootstrap alone.
    Without both classes nothing is compared.
    """
    parts = [np.arange(len(labels))] if places is None else list(places)
    if not parts or any(len(np.unique(labels[at])) < 2 for at in parts):
        nothing = Estimate(None, reason="needs both classes")
        return Comparison(nothing, nothing, nothing, None, None, nothing.reason)
    rankers = [[WeightedAuc(labels[at], one[at]) for at in parts] for one in scores]

    def statistic(weights: Floats) -> Floats:
        first, second = (np.mean([auc(weights[at]) for auc, at in zip(row, parts, strict=True)]) for row in rankers)
        return np.array([first, second, second - first])

    values = statistic(np.ones(len(labels)))
    p_delong = delong_test(labels, *scores) if places is None else None
    without = no_interval(int(groups.max()) + 1, resampling)
    if without:
        bare = [Estimate(float(value), reason=without) for value in values]
        return Comparison(bare[0], bare[1], bare[2], p_delong, None, without)
    drawn = bootstrap(statistic, groups, resampling)
    found = [percentile(float(value), row, resampling) for value, row in zip(values, drawn, strict=True)]
    return Comparison(found[0], found[1], found[2], p_delong, _two_sided(drawn[2]))


def delong_test(labels: Ints, first: Floats, second: Floats) -> float | None:
    """Two-sided p that two correlated ROC-AUCs are equal; 1 if the scores rank all pictures alike.

    DeLong, DeLong & Clarke-Pearson 1988, by the midranks of Sun & Xu 2014. None where the test does not exist: for
    fewer than two pictures of a class, and where there is no error to estimate a variance from.
    """
    from scipy.stats import norm

    if np.bincount(labels, minlength=2).min() < 2:
        return None
    aucs, covariance = delong(labels, np.stack([first, second]))
    variance = covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1]
    if variance <= 1e-15:  # nothing but rounding
        return 1.0 if abs(aucs[0] - aucs[1]) < 1e-12 else None
    return float(2.0 * norm.sf(abs(aucs[0] - aucs[1]) / np.sqrt(variance)))


def delong(labels: Ints, scores: Floats) -> tuple[Floats, Floats]:
    """AUCs (k,) of k lists of scores (k, N) and their covariance (k, k); needs two pictures of each class."""
    from scipy.stats import rankdata

    fake, real = scores[:, labels == 1], scores[:, labels == 0]
    m, n = fake.shape[1], real.shape[1]
    both = rankdata(np.concatenate([fake, real], axis=1), axis=1)
    # For each fake the share of the reals below it, and for each real the share of the fakes above it.
    below = (both[:, :m] - rankdata(fake, axis=1)) / n
    above = 1.0 - (both[:, m:] - rankdata(real, axis=1)) / m
    covariance = np.atleast_2d(np.cov(below)) / m + np.atleast_2d(np.cov(above)) / n
    return below.mean(axis=1), covariance


def _two_sided(differences: Floats) -> float:
    """Two-sided p by how many resamples lie on the other side of 0 (percentile interval turned into a test)."""
    known = differences[np.isfinite(differences)]
    if not len(known):
        return 1.0
    side = min(int((known <= 0.0).sum()), int((known >= 0.0).sum()))
    return min(1.0, 2.0 * (side + 1) / (len(known) + 1))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down correction (1979) of those p values that exist, in their order."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        corrected[place] = highest
    return corrected
