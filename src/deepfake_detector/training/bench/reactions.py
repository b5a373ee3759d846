"""From the answers to changed pictures to figures: how much worse, how many false alarms, how many other verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepfake_detector.core.types import Verdict
from deepfake_detector.training.bench.aucs import WeightedAuc
from deepfake_detector.training.bench.changes import Change
from deepfake_detector.training.bench.stress import Stressed
from deepfake_detector.training.evaluation import Settings, group
from deepfake_detector.training.intervals import (
    Estimate,
    Floats,
    Ints,
    Rate,
    Resampling,
    bootstrap,
    percentile,
    rate,
)
from deepfake_detector.training.metrics import no_interval
from deepfake_detector.training.predict import Answer

CLEAN = "unchanged"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What one change did to some of the pictures; the first reaction of a part is that to no change.

    ``loss`` is the AUC without the change less that with it. ``fpr`` and ``tpr`` are at the threshold, of the pictures
    that still have a score; ``flips`` are all verdicts that became another one, ``reversals`` those from real to fake
    or back, ``lost`` the faces that are not found any more, all of ``flips.n`` pictures.
    """

    name: str
    family: str
    level: float
    words: str
    roc_auc: Estimate
    loss: Estimate
    fpr: Rate
    tpr: Rate
    flips: Rate
    reversals: Rate
    lost: int


@dataclass(frozen=True, slots=True)
class StressedPart:
    """The reactions of all pictures (``set`` None) or of one set.

    The AUC of all pictures is the mean over ``sets_in_mean`` sets with both classes; where there is no such set, it is
    0, and the AUC is that of all pictures together.
    """

    set: str | None
    used_for_selection: bool
    real: int
    fake: int
    sets_in_mean: int
    clean: Reaction
    changed: tuple[Reaction, ...]

    @property
    def name(self) -> str:
        """For tables and plots."""
        return "all pictures" if self.set is None else self.set or "(no name)"


def react(stressed: Stressed, threshold: float, settings: Settings) -> tuple[StressedPart, ...]:
    """All pictures together, then each set; sets used for selection stay out of the first, unless there are no others.

    ``threshold`` is the calibrated logit from which on a face is called fake.
    """
    sets = np.array([one.sample.set for one in stressed.clean])
    marked = np.isin(sets, settings.used_for_selection)
    table = _Table(stressed, threshold, settings.resampling)
    summed = ~marked if not marked.all() else np.ones(len(sets), dtype=bool)
    parts = [table.part(np.flatnonzero(summed), None, bool(marked.all()))]
    for name in np.unique(sets):
        parts.append(table.part(np.flatnonzero(sets == name), str(name), bool(name in settings.used_for_selection)))
    return tuple(parts)


class _Table:
    """All answers as arrays: one row for no change and for each change, one column for each picture."""

    def __init__(self, stressed: Stressed, threshold: float, resampling: Resampling) -> None:
        clean = [one.answer for one in stressed.clean]
        rows: list[Sequence[Answer | None]] = [clean, *stressed.answers]
        self._changes: list[Change | None] = [None, *stressed.changes]
        self._logits = np.array([[_logit(answer) for answer in row] for row in rows])
        self._verdicts = np.array([[_verdict(answer) for answer in row] for row in rows])
        self._labels: Ints = np.array([int(one.sample.label) for one in stressed.clean], dtype=np.int64)
        self._sets = np.array([one.sample.set for one in stressed.clean])
        self._groups = np.array([group(one) for one in stressed.clean])
        self._threshold, self._resampling = threshold, resampling

    def part(self, chosen: Ints, set_: str | None, marked: bool) -> StressedPart:
        """The reactions of the chosen pictures."""
        labels = self._labels[chosen]
        aucs, in_mean = self._aucs(chosen)
        reactions = [self._reaction(number, chosen, auc) for number, auc in enumerate(aucs)]
        counts = int((labels == 0).sum()), int((labels == 1).sum())
        return StressedPart(set_, marked, *counts, in_mean, reactions[0], tuple(reactions[1:]))

    def _aucs(self, chosen: Ints) -> tuple[list[tuple[Estimate, Estimate]], int]:
        """For each row the AUC and what was lost, and over how many sets the mean was taken."""
        labels, sets = self._labels[chosen], self._sets[chosen]
        both = [name for name in np.unique(sets) if len(np.unique(labels[sets == name])) == 2]
        places = [np.flatnonzero(sets == name) for name in both] or [np.arange(len(chosen))]
        scorers = [[WeightedAuc(labels[at], row[chosen[at]]) for at in places] for row in self._logits]

        def statistic(weights: Floats) -> Floats:
            found = [[scorer(weights[at]) for scorer, at in zip(row, places, strict=True)] for row in scorers]
            means = np.mean(np.array(found), axis=1)
            return np.concatenate([means, means[0] - means])

        values = statistic(np.ones(len(chosen)))
        groups = np.unique(self._groups[chosen], return_inverse=True)[1]
        without = no_interval(int(groups.max()) + 1, self._resampling)
        missing = not np.isfinite(values[0])
        drawn = None if without or missing else bootstrap(statistic, groups, self._resampling)

        def estimate(place: int) -> Estimate:
            value = float(values[place])
            if not np.isfinite(value):
                return Estimate(None, reason="needs both classes")
            if drawn is None:
                return Estimate(value, reason=without)
            return percentile(value, drawn[place], self._resampling)

        number = len(self._logits)
        return [(estimate(row), estimate(number + row)) for row in range(number)], len(both)

    def _reaction(self, number: int, chosen: Ints, auc: tuple[Estimate, Estimate]) -> Reaction:
        change, labels = self._changes[number], self._labels[chosen]
        logits, said, before = self._logits[number][chosen], self._verdicts[number][chosen], self._verdicts[0][chosen]
        scored = ~np.isnan(logits)
        called = logits >= self._threshold
        sure = {Verdict.REAL.value, Verdict.FAKE.value}
        reversed_ = [old != new and {old, new} == sure for old, new in zip(before, said, strict=True)]
        confidence = self._resampling.confidence

        def share(counted: np.ndarray, among: np.ndarray) -> Rate:
            return rate(int((counted & among).sum()), int(among.sum()), confidence)

        everything = np.ones(len(chosen), dtype=bool)
        return Reaction(
            name=change.name if change else CLEAN,
            family=change.family if change else "",
            level=change.level if change else 0.0,
            words=change.words if change else CLEAN,
            roc_auc=auc[0],
            loss=auc[1],
            fpr=share(called, scored & (labels == 0)),
            tpr=share(called, scored & (labels == 1)),
            flips=share(said != before, everything),
            reversals=share(np.array(reversed_, dtype=bool), everything),
            lost=int((~scored).sum()),
        )


def _logit(answer: Answer | None) -> float:
    return float("nan") if answer is None else answer.logit


def _verdict(answer: Answer | None) -> str:
    return Verdict.NO_FACE.value if answer is None else answer.verdict.value


def worst(part: StressedPart) -> Reaction:
    """The change that costs the most AUC; without an AUC, the one that changes the most verdicts."""
    if part.clean.roc_auc.value is None:
        return max(part.changed, key=lambda one: one.flips.value or 0.0)
    return max(part.changed, key=lambda one: one.loss.value if one.loss.value is not None else -1.0)
