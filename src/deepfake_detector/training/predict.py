"""What a bundle, as it ships, says of labelled pictures: each one's main face, cut and judged as ``detect`` does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.core.types import DetectedFace, ImageArray, Landmarks, OperatingPoint, QualityIssue, Verdict
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
    progress: Progress = lambda what, done, total: None,
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


def _answers(chunk: Sequence[CachedCrop], scorer: Scorer, limits: Bounds) -> Iterator[Answer]:
    card = scorer.bundle.card
    rule, calibration = card.input.rule(), card.calibration
    pictures = [read_cached(item) for item in chunk]
    crops = np.stack(
        [crop(pixels, item.box, item.landmarks, rule) for pixels, item in zip(pictures, chunk, strict=True)]
    )
    scores = scorer.score(crops)
    logits = calibrated_logit(scores.fake_logit, calibration)
    for place, (pixels, item) in enumerate(zip(pictures, chunk, strict=True)):
        issues = _issues(pixels, item)
        logit = float(logits[place])
        kind = None if scores.kind_logit is None else float(scores.kind_logit[place]) / calibration.kind_temperature
        yield Answer(
            raw_logit=float(scores.fake_logit[place]),
            logit=logit,
            p_fake=p_fake(logit, 0.5),
            kind_logit=kind,
            verdict=face_verdict(logit, not issues, limits),
            issues=issues,
        )


def _issues(pixels: ImageArray, item: CachedCrop) -> tuple[QualityIssue, ...]:
    # A whole picture has no landmarks, and is judged upright.
    landmarks = item.landmarks or Landmarks(*[(0.0, 0.0)] * 5)
    return assess(pixels, DetectedFace(item.box, landmarks, confidence=1.0)).issues
