"""The figures that training watches on validation pictures, and what is known of those pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import FloatArray
from deepfake_detector.training.config import Selection


@dataclass(frozen=True, slots=True)
class Known:
    """The truth about N pictures: ``labels`` 0 real, 1 fake; ``kinds`` 0 manipulated, 1 generated, −1 unknown.

    ``foreign``: those of the sets on which nothing is trained.
    """

    labels: NDArray[np.int64]
    kinds: NDArray[np.int64]
    sets: tuple[str, ...]
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Figures:
    """``loss``: mean log loss, both classes of equal mass; ``auc``: all pictures together; ``set_auc``: see below."""

    loss: float
    auc: float
    set_auc: float

    def score(self, selection: Selection) -> float:
        """Higher is better."""
        return -self.loss if selection is Selection.LOSS else self.set_auc


def figures(known: Known, fake_logits: FloatArray) -> Figures:
    """Loss and ROC-AUC; ``set_auc`` is the mean AUC over the sets that have both classes, or ``auc`` without such.

    Where there are both classes in foreign sets, only these count: what a network is worth shows abroad.
    """
    logits = np.asarray(fake_logits, dtype=np.float64)
    loss, auc = _balanced_log_loss(known.labels, logits), _auc(known.labels, logits)
    abroad = np.isin(known.sets, sorted(known.foreign))
    counts = abroad if len(np.unique(known.labels[abroad])) == 2 else np.ones_like(abroad)
    return Figures(loss, auc, _mean_auc(known.labels[counts], logits[counts], np.asarray(known.sets)[counts]))


def _mean_auc(labels: NDArray[np.int64], logits: NDArray[np.float64], sets: NDArray[np.str_]) -> float:
    """Over the sets with both classes; of all pictures together without such."""
    parts = [sets == name for name in np.unique(sets)]
    aucs = [_auc(labels[part], logits[part]) for part in parts if len(np.unique(labels[part])) == 2]
    return float(np.mean(aucs)) if aucs else _auc(labels, logits)


def _auc(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        return float("nan")
    return float(roc_auc_score(labels, logits))


def _balanced_log_loss(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    losses = np.logaddexp(0.0, logits) - labels * logits
    means = [losses[labels == label].mean() for label in (0, 1) if (labels == label).any()]
    return float(np.mean(means))
