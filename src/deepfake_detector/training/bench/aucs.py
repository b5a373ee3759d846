"""The ROC-AUC under many weightings of the same pictures, as resampling asks for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepfake_detector.training.intervals import Estimate, Floats, Ints, Resampling, bootstrap, percentile
from deepfake_detector.training.metrics import no_interval


class WeightedAuc:
    """ROC-AUC of one list of scores, as a function of how often each picture counts.

    The same number as scikit-learn's ``roc_auc_score`` with sample weights, in its Mann–Whitney form: the share of
    pairs in which the fake scores higher, equal scores counting half. The scores are sorted once and not at every
    call: one bench resamples dozens of lists a thousand times.
    ``labels`` (N,) 0 real or 1 fake; ``scores`` (N,), NaN for pictures that are left out.
    """

    def __init__(self, labels: Ints, scores: Floats) -> None:
        self._known = np.flatnonzero(~np.isnan(scores))
        self._fake = labels[self._known] == 1
        values, self._ranks = np.unique(scores[self._known], return_inverse=True)
        self._levels = len(values)

    def __call__(self, weights: Floats) -> float:
        """The AUC for weights (N,); NaN where a class has no weight."""
        weights = weights[self._known]
        fake = np.bincount(self._ranks, weights * self._fake, self._levels)
        real = np.bincount(self._ranks, weights * ~self._fake, self._levels)
        pairs = fake.sum() * real.sum()
        return float(fake @ (np.cumsum(real) - real / 2.0) / pairs) if pairs else float("nan")


def auc_estimate(labels: Ints, scores: Floats, groups: Ints, resampling: Resampling) -> Estimate:
    """The ROC-AUC with its bootstrap interval; ``groups`` (N,) numbered from 0 are drawn whole."""
    if len(np.unique(labels)) < 2:
        return Estimate(None, reason="needs both classes")
    auc = WeightedAuc(labels, scores)
    value = auc(np.ones(len(labels)))
    without = no_interval(int(groups.max()) + 1, resampling)
    if without:
        return Estimate(value, reason=without)
    drawn = bootstrap(lambda weights: np.array([auc(weights)]), groups, resampling)
    return percentile(value, drawn[0], resampling)


def mean_auc_estimate(
    labels: Ints, rows: Floats, parts: Sequence[Ints], groups: Ints, resampling: Resampling
) -> Estimate:
    """The mean ROC-AUC over several scores of the same pictures, and over parts of them, with its bootstrap interval.

    ``rows`` (k, N) are the scores, NaN for pictures that are left out; each of ``parts`` are the places of pictures
    with both classes; ``groups`` (N,) numbered from 0 are drawn whole.
    """
    if not parts:
        return Estimate(None, reason="needs both classes")
    aucs = [[WeightedAuc(labels[part], row[part]) for part in parts] for row in rows]

    def statistic(weights: Floats) -> Floats:
        found = [auc(weights[part]) for own in aucs for auc, part in zip(own, parts, strict=True)]
        return np.array([np.mean(found)])

    value = float(statistic(np.ones(len(labels)))[0])
    without = no_interval(int(groups.max()) + 1, resampling)
    if without:
        return Estimate(value, reason=without)
    return percentile(value, bootstrap(statistic, groups, resampling)[0], resampling)
