"""The figures that training watches on validation pictures, and what is known of those pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import FloatArray
from deepfake_detector.training.config import Selection


@dataclass(frozen=True, slots=True)
class Known:
    """The truth about N pictures: ``labels`` 0 real, 1 fake; ``kinds`` 0 manipulated, 1 generated, −1 unknown."""

    labels: NDArray[np.int64]
    kinds: NDArray[np.int64]
    sets: tuple[str, ...]


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
    """Loss and ROC-AUC; ``set_auc`` is the mean AUC over the sets that have both classes, or ``auc`` without such."""
    logits = np.asarray(fake_logits, dtype=np.float64)
    sets = np.asarray(known.sets)
    aucs = []
    for name in np.unique(sets):
        chosen = sets == name
        if len(np.unique(known.labels[chosen])) == 2:
            aucs.append(_auc(known.labels[chosen], logits[chosen]))
    auc = _auc(known.labels, logits)
    return Figures(_balanced_log_loss(known.labels, logits), auc, float(np.mean(aucs)) if aucs else auc)


def _auc(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    from sklearn.metrics import roc_auc_score

    if len(np.unique(labels)) < 2:
        return float("nan")
    return float(roc_auc_score(labels, logits))


def _balanced_log_loss(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> float:
    losses = np.logaddexp(0.0, logits) - labels * logits
    means = [losses[labels == label].mean() for label in (0, 1) if (labels == label).any()]
    return float(np.mean(means))
