"""From the tracks of a video to what is said of each person, and of the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import Face, Kind, QualityIssue, Verdict
from deepfake_detector.core.video import Observation, Person, Segment, Track
from deepfake_detector.pipeline.gallery import Gallery, Piece
from deepfake_detector.scoring.calibration import calibrated_logit, p_fake, threshold_logit
from deepfake_detector.scoring.card import Calibration
from deepfake_detector.scoring.sequence import SequenceScorer
from deepfake_detector.scoring.temporal import curves
from deepfake_detector.verdict.decide import Bounds, Evidence, FaceVerdict, Policy, bounds_for, decide
from deepfake_detector.verdict.pool import POOLINGS, frame_weight, pooled
from deepfake_detector.verdict.segments import suspicious

STAYS = 3
"""Where somebody is seen in so many frames, who is seen in one only may be a false hit, and does not count."""

NOUN = ("person", "persons")


@dataclass(frozen=True, slots=True)
class Court:
    """How to judge: the model's calibration, the policy for one picture, the prior, and the way to pool.

    A ``sequence`` model speaks in the place of pooling, with thresholds of its own; single frames keep theirs.
    """

    calibration: Calibration
    policy: Policy
    prior: float
    pooling: str
    sequence: SequenceScorer | None = None

    @property
    def whole(self) -> Calibration:
        """The calibration that goes with the logit of a person."""
        return self.calibration if self.sequence is None else self.sequence.bundle.card.calibration

    @property
    def how(self) -> str:
        """Names what gave the logit of a person."""
        return self.pooling if self.sequence is None else f"temporal model {self.sequence.bundle.card.name}"

    def person_policy(self) -> Policy:
        """The policy for persons."""
        if self.sequence is None:
            return replace(self.policy, chances=POOLINGS[self.pooling].chances, noun=NOUN)
        card = self.whole
        return replace(
            self.policy,
            threshold_at=lambda fpr: threshold_logit(card, fpr),
            band_below=card.band_below,
            noun=NOUN,
        )


@dataclass(frozen=True, slots=True)
class ClipVerdict:
    """What is said of a clip; ``logit`` is calibrated, None where nobody was seen. ``worst`` is an index, or None."""

    verdict: Verdict
    kind: Kind | None
    logit: float | None
    bounds: Bounds
    persons: tuple[Person, ...] = ()
    worst: int | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Case:
    """A track with its numbers: calibrated logits (n,), NaN where a frame cannot be judged, and the pooled one."""

    track: Track
    logits: NDArray[np.float64]
    pooled: float
    evidence: Evidence


def judge(tracks: Sequence[Track], gallery: Gallery, court: Court) -> ClipVerdict:
    """The verdict for each person and for the clip: that of its most suspicious person who counts.

    The threshold is that of a single picture, corrected for the number of persons and for the way to pool. Who is real
    as a whole, but looks fake for a while, is uncertain.
    """
    longest = max((len(track.observations) for track in tracks), default=0)
    cases = [_case(track, longest, court) for track in tracks]
    said = decide([case.evidence for case in cases], court.person_policy())
    # Single frames are held against the threshold that pooled ones have, also where a model speaks for the whole.
    frames = said.bounds if court.sequence is None else bounds_for(said.bounds.faces, court.policy)
    persons = tuple(
        _person(case, face, frames, gallery.pieces(case.track.id), court)
        for case, face in zip(cases, said.faces, strict=True)
    )
    counted = [index for index, person in enumerate(persons) if person.face.considered]
    partly = [
        index for index in counted if persons[index].face.verdict is Verdict.UNCERTAIN and persons[index].segments
    ]
    verdict = Verdict.UNCERTAIN if said.verdict is Verdict.REAL and partly else said.verdict
    # Who cannot be judged makes no clip fake: the others come first.
    worst = max(counted, key=lambda index: (not cases[index].evidence.issues, cases[index].pooled), default=None)
    return ClipVerdict(
        verdict=verdict,
        kind=said.kind,
        logit=said.logit,
        bounds=said.bounds,
        persons=persons,
        worst=worst,
        warnings=said.warnings,
    )


def _case(track: Track, longest: int, court: Court) -> _Case:
    seen = track.observations
    logits = np.asarray(calibrated_logit(np.array([one.logit for one in seen]), court.calibration))
    weights = np.array([frame_weight(one.quality) for one in seen])
    voices = np.array([one.voices for one in seen]) if all(one.voices for one in seen) else None
    if court.sequence is None:
        value = pooled(court.pooling, logits, weights, voices)
    else:
        value = court.sequence.calibrated(seen)
    kinds = np.array([one.kind_logit if one.kind_logit is not None else np.nan for one in seen])
    kind = None if np.isnan(kinds).any() else pooled("mean", kinds, weights)
    issues = () if weights.any() else _common_issues(seen)
    box = sorted((one.box for one in seen), key=lambda box: box.long_side)[len(seen) // 2]
    brief = len(seen) == 1 and longest >= STAYS
    judged = np.where(weights > 0.0, logits, np.nan)
    return _Case(track, judged, value, Evidence(box, value, kind, issues, brief))


def _common_issues(seen: Sequence[Observation]) -> tuple[QualityIssue, ...]:
    """What most often speaks against judging the frames of somebody who cannot be judged in any."""
    found = [one.quality.issues for one in seen]
    return max(found, key=found.count)


def _person(case: _Case, said: FaceVerdict, bounds: Bounds, pieces: Sequence[Piece], court: Court) -> Person:
    seen = case.track.observations
    times = np.array([one.time for one in seen])
    segments = tuple(
        Segment(
            round(start, 3), round(end, 3), round(float(np.mean([seen[at].p_fake for at in np.flatnonzero(inside)])), 6)
        )
        for start, end, inside in suspicious(times, case.logits, bounds.fake_from)
    )
    verdict = Verdict.UNCERTAIN if said.verdict is Verdict.REAL and segments else said.verdict
    shown = pieces[0].observation
    calibration = court.whole
    face = Face(
        box=shown.box,
        landmarks=shown.landmarks,
        confidence=shown.confidence,
        quality=shown.quality,
        logit=(case.pooled - calibration.bias) * calibration.temperature,
        p_fake=p_fake(case.pooled, court.prior),
        verdict=verdict,
        kind=said.kind,
        considered=said.considered,
        doubts=said.doubts,
        heatmap=pieces[0].exhibit.heatmap,
    )
    return Person(
        id=case.track.id,
        face=face,
        time=shown.time,
        pooling=court.how,
        observations=seen,
        segments=segments,
        exhibits=tuple(piece.exhibit for piece in pieces),
        curves=curves(seen, calibrated_logit(np.array([one.logit for one in seen]), court.calibration)),
    )
