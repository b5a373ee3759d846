"""What whole clips' answers are worth, by pooling and by what was measured over time; ``clips.py`` collects them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector import AnalysisSettings, Detector
from deepfake_detector.scoring.calibration import threshold_logit
from deepfake_detector.training.bench.aucs import WeightedAuc, auc_estimate
from deepfake_detector.training.bench.paired import compare_aucs
from deepfake_detector.training.intervals import Resampling, rate
from deepfake_detector.verdict.decide import Policy, bounds_for
from deepfake_detector.verdict.pool import POOLINGS, heard, pooled

Floats = NDArray[np.float64]
DEFAULT_POOLING = AnalysisSettings().pooling
POOLED = "pooled logit"
QUANTILES = (0.1, 0.5, 0.9)
"""Of the frames, for each voice: what the learned pooling looks at."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a clip: calibrated logits, weights, voices by frame, and means of what was measured over time."""

    considered: bool
    times: list[float]
    logits: list[float]
    weights: list[float]
    voices: list[list[float]]
    signals: dict[str, float]

    @property
    def heard(self) -> Floats:
        """What each voice says of each frame (n, V); the one column is the frame's logit where there are no voices."""
        return heard(np.array(self.logits), np.array(self.voices) if all(self.voices) else None)

    def pooled(self, way: str, voice: int | None = None) -> float:
        """The logit of the person, by all voices or by one of them alone."""
        if voice is not None:
            return pooled(way, self.heard[:, voice], np.array(self.weights))
        voices = np.array(self.voices) if all(self.voices) else None
        return pooled(way, np.array(self.logits), np.array(self.weights), voices)

    def order_statistics(self) -> Floats:
        """The quantiles of each voice over the frames that can be judged (V · 3,); over all, if none can."""
        judged = np.array(self.weights) > 0.0
        return np.quantile(self.heard[judged if judged.any() else slice(None)], QUANTILES, axis=0).ravel()


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip, its label, its group, and what was said of it."""

    fake: bool
    method: str
    group: str
    verdict: str
    persons: tuple[Person, ...]

    def suspect(self, way: str, voice: int | None = None) -> Person | None:
        """The most suspicious person who counts; None if nobody was found."""
        counted = [person for person in self.persons if person.considered] or list(self.persons)
        return max(counted, key=lambda person: person.pooled(way, voice), default=None)

    def score(self, way: str, voice: int | None = None) -> float:
        """The logit of the clip, by all voices or by one of them alone; NaN if nobody was found."""
        suspect = self.suspect(way, voice)
        return float("nan") if suspect is None else suspect.pooled(way, voice)

    def signal(self, name: str) -> float:
        """The mean of something measured over time; NaN where it was not measured."""
        suspect = self.suspect(DEFAULT_POOLING)
        return float("nan") if suspect is None else suspect.signals.get(name, float("nan"))


class Set:
    """The clips of one condition, ready to be measured."""

    def __init__(self, clips: Sequence[Clip], resamples: int) -> None:
        self.clips = clips
        self.labels = np.array([int(clip.fake) for clip in clips], dtype=np.int64)
        self.methods = np.array([clip.method for clip in clips])
        self.groups = np.array([clip.group for clip in clips])
        self.resampling = Resampling(resamples)

    def measured(self, scores: Floats) -> dict[str, Any]:
        """AUC over all, by method, and by pair of identities."""
        found = {"all": self._auc(scores, np.ones(len(scores), dtype=bool))}
        for method in sorted(set(self.methods[self.labels == 1])):
            found[str(method)] = self._auc(scores, (self.labels == 0) | (self.methods == method))
        pairs = [
            WeightedAuc(self.labels[own], scores[own])(np.ones(int(own.sum())))
            for own in (self.groups == group for group in sorted(set(self.groups)))
        ]
        return {
            "clips": int((~np.isnan(scores)).sum()),
            "auc": found,
            "auc_by_pair": [round(float(value), 4) for value in pairs],
        }

    def _auc(self, scores: Floats, chosen: NDArray[np.bool_]) -> dict[str, Any]:
        """Clips are drawn again one by one: those of a pair share people, so the interval is rather too narrow."""
        labels, own = self.labels[chosen], scores[chosen]
        known = ~np.isnan(own)
        return asdict(auc_estimate(labels[known], own[known], np.arange(int(known.sum())), self.resampling))

    def gain(self, first: Floats, second: Floats) -> dict[str, Any]:
        """How much higher the AUC of the second is, on the same clips."""
        known = ~(np.isnan(first) | np.isnan(second))
        places = np.arange(int(known.sum()))
        found = compare_aucs(self.labels[known], (first[known], second[known]), places, self.resampling)
        return asdict(found.gain)

    def frames(self, voice: int | None = None) -> dict[str, Any]:
        """The AUC of single frames that can be judged, by all voices or by one alone; whole clips are drawn again."""
        labels, logits, groups = [], [], []
        for number, clip in enumerate(self.clips):
            suspect = clip.suspect(DEFAULT_POOLING)
            if suspect is None:
                continue
            said = suspect.logits if voice is None else suspect.heard[:, voice].tolist()
            usable = [logit for logit, weight in zip(said, suspect.weights, strict=True) if weight > 0.0]
            labels += [int(clip.fake)] * len(usable)
            logits += usable
            groups += [number] * len(usable)
        numbered = np.unique(groups, return_inverse=True)[1]
        found = auc_estimate(np.array(labels), np.array(logits), numbered, self.resampling)
        return {"number": len(labels), "auc": asdict(found)}

    def held_out(self, table: Floats) -> Floats:
        """Scores (N,) of a logistic regression on the columns, each pair by one that was fitted to the others."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        scores = np.full(len(self.labels), np.nan)
        known = ~np.isnan(table).any(axis=1)
        for group in sorted(set(self.groups)):
            own = (self.groups == group) & known
            rest = ~(self.groups == group) & known
            model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, class_weight="balanced"))
            model.fit(table[rest], self.labels[rest])
            scores[own] = model.decision_function(table[own])
        return scores


def figures(seen: Mapping[str, Sequence[Clip]], detector: Detector, resamples: int) -> dict[str, Any]:
    """All figures of each condition."""
    return {name: _condition(Set(clips, resamples), detector) for name, clips in seen.items()}


def _condition(clips: Set, detector: Detector) -> dict[str, Any]:
    default = np.array([clip.score(DEFAULT_POOLING) for clip in clips.clips])
    names = list(dict.fromkeys(name for clip in clips.clips for person in clip.persons for name in person.signals))
    signals = {name: np.array([clip.signal(name) for clip in clips.clips]) for name in names}
    together = np.column_stack([*signals.values()]) if signals else np.zeros((len(default), 0))
    combined = {f"{POOLED} and {name}": np.column_stack([default, values]) for name, values in signals.items()}
    if signals:
        combined["all over time"] = together
        combined[f"{POOLED} and all over time"] = np.column_stack([default, together])
    return {
        "default": DEFAULT_POOLING,
        "nobody": sum(not clip.persons for clip in clips.clips),
        "verdicts": _verdicts(clips),
        "frames": clips.frames(),
        "pooling": {way: _pooling(clips, way, default, detector) for way in POOLINGS},
        "learned_pooling": _learned_pooling(clips, default),
        "voices": _voices(clips, default, detector),
        "over_time": {name: clips.measured(values) for name, values in signals.items()},
        "combined": {
            name: clips.measured(scores) | {"gain": clips.gain(default, scores)}
            for name, scores in ((name, clips.held_out(table)) for name, table in combined.items())
        },
    }


def _learned_pooling(clips: Set, default: Floats) -> dict[str, Any]:
    """A logistic regression on order statistics of the most suspicious person's frames."""
    suspects = [clip.suspect(DEFAULT_POOLING) for clip in clips.clips]
    known = [suspect.order_statistics() for suspect in suspects if suspect is not None]
    table = np.full((len(suspects), len(known[0]) if known else 0), np.nan)
    table[[suspect is not None for suspect in suspects]] = known
    scores = clips.held_out(table)
    fits = {int((clips.groups != group).sum()) for group in clips.groups}
    return {
        "quantiles": QUANTILES,
        "fitted_on": min(fits),
        **clips.measured(scores),
        "gain": clips.gain(default, scores),
    }


def _voices(clips: Set, default: Floats, detector: Detector) -> dict[str, Any]:
    """Each voice by itself; none where the network has one logit only."""
    found = {}
    for voice, kind in enumerate(detector.bundle.card.voice_kinds):
        scores = np.array([clip.score(DEFAULT_POOLING, voice) for clip in clips.clips])
        found[kind.value] = {"frames": clips.frames(voice), **_answers(clips, scores, default, detector, chances=1)}
    return found


def _pooling(clips: Set, way: str, default: Floats, detector: Detector) -> dict[str, Any]:
    scores = np.array([clip.score(way) for clip in clips.clips])
    chances = POOLINGS[way].chances
    return {"words": POOLINGS[way].words, **_answers(clips, scores, default, detector, chances)}


def _answers(clips: Set, scores: Floats, default: Floats, detector: Detector, chances: int) -> dict[str, Any]:
    """How well scores tell the clips apart, and what they call fake at the threshold for so many chances."""
    calibration, settings = detector.bundle.card.calibration, detector.settings
    policy = Policy(
        fpr=settings.fpr,
        threshold_at=lambda fpr: threshold_logit(calibration, fpr),
        band_below=calibration.band_below,
        chances=chances,
    )
    threshold = bounds_for(1, policy).fake_from
    called = scores >= threshold
    return {
        **clips.measured(scores),
        "gain": clips.gain(default, scores),
        "threshold": threshold,
        "reals_called_fake": asdict(rate(int(called[clips.labels == 0].sum()), int((clips.labels == 0).sum()))),
        "fakes_called_fake": asdict(rate(int(called[clips.labels == 1].sum()), int((clips.labels == 1).sum()))),
    }


def _verdicts(clips: Set) -> dict[str, dict[str, int]]:
    """How often each verdict was given, to reals and to fakes."""
    found: dict[str, dict[str, int]] = {}
    for label, word in ((0, "real"), (1, "fake")):
        own = [clip.verdict for clip, known in zip(clips.clips, clips.labels, strict=True) if known == label]
        found[word] = {verdict: own.count(verdict) for verdict in sorted(set(own))}
    return found
