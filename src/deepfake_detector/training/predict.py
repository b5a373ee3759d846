"""What a bundle, as it ships, says of labelled pictures: each one's main face, cut and judged as ``detect`` does it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from deepfake_detector.core.types import (
    Box,
    CropRule,
    DetectedFace,
    ImageArray,
    Landmarks,
    OperatingPoint,
    Quality,
    QualityIssue,
    Scores,
    Verdict,
)
from deepfake_detector.faces.align import crop
from deepfake_detector.faces.quality import assess
from deepfake_detector.scoring.bundle import Bundle
from deepfake_detector.scoring.calibration import calibrated_logit, p_fake, threshold_logit
from deepfake_detector.scoring.card import Calibration
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.data.crops import CachedCrop, build_crops, read_cached
from deepfake_detector.training.data.samples import Sample
from deepfake_detector.verdict.decide import Bounds, Policy, bounds_for, face_verdict

CROPS_AT_ONCE = 32

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""


def _silent(what: str, done: int, total: int) -> None:
    """No progress is shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says of one face.

    ``logit`` is the calibrated one and ``p_fake`` its probability, both at prior 0.5; ``kind_logit`` is calibrated too,
    positive means generated, None where the model has no such head.
    """

    raw_logit: float
    logit: float
    p_fake: float
    kind_logit: float | None
    verdict: Verdict
    issues: tuple[QualityIssue, ...]

    @property
    def p_generated(self) -> float | None:
        """The probability that the picture, if it is fake, was generated as a whole."""
        return None if self.kind_logit is None else p_fake(self.kind_logit, 0.5)


@dataclass(frozen=True, slots=True)
class Prediction:
    """A labelled picture and the answer for it; ``skipped`` says why there is none."""

    sample: Sample
    answer: Answer | None
    skipped: str = ""

    @property
    def no_face(self) -> bool:
        """True if the picture could be read, but no face was found in it."""
        return self.skipped.startswith("no face")


@dataclass(frozen=True, slots=True)
class View:
    """A picture, uint8 RGB, and where the face is in it, which may lie partly outside; ``landmarks`` as for a crop."""

    pixels: ImageArray
    box: Box
    landmarks: Landmarks | None


@dataclass(frozen=True, slots=True)
class CutFace:
    """The network input for a face (size, size, 3), uint8 RGB, and what speaks against judging it."""

    crop: ImageArray
    issues: tuple[QualityIssue, ...]


def bounds(calibration: Calibration, point: OperatingPoint) -> Bounds:
    """From which calibrated logit on a single face is fake, and under which it is real."""
    policy = Policy(point.fpr, lambda fpr: threshold_logit(calibration, fpr), calibration.band_below)
    return bounds_for(1, policy)


def predict(
    bundle: Bundle,
    samples: Sequence[Sample],
    cache: Path,
    point: OperatingPoint = OperatingPoint.FPR5,
    threads: int = 0,
    progress: Progress = _silent,
) -> tuple[Prediction, ...]:
    """One prediction for each sample, in their order; crops are cached in the folder ``cache``.

    Raises DataError if no picture can be used, ModelError if the model does not answer.
    """
    rule = bundle.card.input.rule()
    index = build_crops(samples, rule, cache, progress=lambda done, total: progress("finding faces", done, total))
    scorer = Scorer(bundle, threads)
    limits = bounds(bundle.card.calibration, point)
    answers: dict[Path, Answer] = {}
    for begin in range(0, len(index.crops), CROPS_AT_ONCE):
        chunk = index.crops[begin : begin + CROPS_AT_ONCE]
        answers.update(zip((item.sample.path for item in chunk), _answers(chunk, scorer, limits), strict=True))
        progress("scoring", begin + len(chunk), len(index.crops))
    reasons = {skip.path: skip.reason for skip in index.skipped}
    return tuple(Prediction(one, answers.get(one.path), reasons.get(one.path, "")) for one in samples)


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """All that a network says of the N pictures whose face could be cut, and where their pixels are."""

    crops: tuple[CachedCrop, ...]
    issues: tuple[tuple[QualityIssue, ...], ...]
    scores: Scores

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The pictures, in the order of the scores."""
        return tuple(crop.sample for crop in self.crops)


def score_crops(
    bundle: Bundle, samples: Sequence[Sample], cache: Path, threads: int = 0, progress: Progress = _silent
) -> Scored:
    """As ``predict``, with the raw scores in place of answers, and without the pictures that cannot be used."""
    rule = bundle.card.input.rule()
    index = build_crops(samples, rule, cache, progress=lambda done, total: progress("finding faces", done, total))
    scorer = Scorer(bundle, threads)
    issues: list[tuple[QualityIssue, ...]] = []
    found: list[Scores] = []
    for begin in range(0, len(index.crops), CROPS_AT_ONCE):
        chunk = index.crops[begin : begin + CROPS_AT_ONCE]
        faces = [cut(View(read_cached(item), item.box, item.landmarks), rule) for item in chunk]
        found.append(scorer.score(np.stack([face.crop for face in faces])))
        issues += [face.issues for face in faces]
        progress("scoring", begin + len(chunk), len(index.crops))
    return Scored(index.crops, tuple(issues), _together(found))


def _together(found: Sequence[Scores]) -> Scores:
    """The scores of all chunks as one."""
    values = {part.name: [getattr(scores, part.name) for scores in found] for part in fields(Scores)}
    known = {name: np.concatenate(parts) for name, parts in values.items() if parts[0] is not None}
    return Scores(**known)


def _answers(chunk: Sequence[CachedCrop], scorer: Scorer, limits: Bounds) -> list[Answer]:
    rule = scorer.bundle.card.input.rule()
    return judge([cut(View(read_cached(item), item.box, item.landmarks), rule) for item in chunk], scorer, limits)


def cut(view: View, rule: CropRule) -> CutFace:
    """Cut a face as the rule of a card says, and look whether it can be judged."""
    return CutFace(crop(view.pixels, view.box, view.landmarks, rule), quality(view).issues)


def quality(view: View) -> Quality:
    """How well the face can be judged."""
    # A whole picture has no landmarks, and is judged upright.
    landmarks = view.landmarks or Landmarks(*[(0.0, 0.0)] * 5)
    return assess(view.pixels, DetectedFace(view.box, landmarks, confidence=1.0))


def judge(faces: Sequence[CutFace], scorer: Scorer, limits: Bounds) -> list[Answer]:
    """One answer for each face, in their order. Raises ModelError if the model does not answer."""
    if not faces:
        return []
    calibration = scorer.bundle.card.calibration
    scores = scorer.score(np.stack([face.crop for face in faces]))
    logits = calibrated_logit(scores.fake_logit, calibration)
    answers = []
    for place, face in enumerate(faces):
        logit = float(logits[place])
        kind = None if scores.kind_logit is None else float(scores.kind_logit[place]) / calibration.kind_temperature
        answers.append(
            Answer(
                raw_logit=float(scores.fake_logit[place]),
                logit=logit,
                p_fake=p_fake(logit, 0.5),
                kind_logit=kind,
                verdict=face_verdict(logit, not face.issues, limits),
                issues=face.issues,
            )
        )
    return answers
