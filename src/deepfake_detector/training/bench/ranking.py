"""One figure of each kind by which backbones are ranked: on sets that they know, on foreign ones, on changed ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepfake_detector.training.bench.aucs import mean_auc_estimate
from deepfake_detector.training.bench.stress import Stressed
from deepfake_detector.training.data.samples import Label
from deepfake_detector.training.evaluation import answered, group
from deepfake_detector.training.intervals import Estimate, Ints, Resampling
from deepfake_detector.training.predict import Answer, Prediction


def own_auc(predictions: Sequence[Prediction], resampling: Resampling) -> Estimate:
    """The mean ROC-AUC over the sets; fakes without reals of their own set are measured against all reals."""
    return foreign_auc(predictions, (), resampling)


def foreign_auc(foreign: Sequence[Prediction], own: Sequence[Prediction], resampling: Resampling) -> Estimate:
    """The mean ROC-AUC over the foreign sets that have fakes.

    These are measured against the reals of their set; where it has none, against all foreign reals; where there are
    none at all, against the reals of ``own``.
    """
    known = [(one, answer) for one, answer in answered([*foreign, *own])]
    if not known:
        return Estimate(None, reason="there are no such pictures")
    labels, sets, groups = columns([one for one, _ in known])
    parts = places(labels, sets, np.arange(len(known)) < len(answered(foreign)))
    logits = np.array([[answer.logit for _, answer in known]])
    return mean_auc_estimate(labels, logits, parts, groups, resampling)


def places(labels: Ints, sets: np.ndarray, abroad: np.ndarray) -> list[Ints]:
    """For each set with fakes among the pictures ``abroad`` (N,), where they and the reals against them are.

    The reals are those of the set; where it has none, all abroad; where there are none at all, the others.
    """
    parts = []
    for name in np.unique(sets[abroad & (labels == Label.FAKE)]):
        here = abroad & (sets == name)
        reals = labels == Label.REAL
        chosen = next((one for one in (here & reals, abroad & reals, reals) if one.any()), reals)
        if chosen.any():
            parts.append(np.flatnonzero((here & ~reals) | chosen))
    return parts


def robust_auc(stressed: Stressed, resampling: Resampling) -> Estimate:
    """The mean ROC-AUC over all changes, and over the sets with both classes (all pictures, if there is none)."""
    labels, sets, groups = columns(stressed.clean)
    both = [name for name in np.unique(sets) if len(np.unique(labels[sets == name])) == 2]
    parts = [np.flatnonzero(sets == name) for name in both] or [np.arange(len(labels))]
    if len(np.unique(labels)) < 2:
        return Estimate(None, reason="needs both classes")
    logits = np.array([[_logit(answer) for answer in row] for row in stressed.answers])
    return mean_auc_estimate(labels, logits, parts, groups, resampling)


def columns(predictions: Sequence[Prediction]) -> tuple[Ints, np.ndarray, Ints]:
    """Labels, sets, and the numbers of the groups that are resampled together."""
    labels = np.array([int(one.sample.label) for one in predictions], dtype=np.int64)
    sets = np.array([one.sample.set for one in predictions])
    return labels, sets, np.unique([group(one) for one in predictions], return_inverse=True)[1]


def _logit(answer: Answer | None) -> float:
    return float("nan") if answer is None else answer.logit
