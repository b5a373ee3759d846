"""The stages that a picture goes through, in their order.

::

    source ──decode──▶ pixels ──find──▶ faces ──crop──▶ crops ──score──▶ logits ──decide──▶ Report
            media              faces            faces          scoring          verdict

The first three see one picture (``look``); the crops of several pictures are then scored together (``answer``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.stopwatch import Stopwatch
from deepfake_detector.core.types import (
    CropMode,
    DetectedFace,
    Doubt,
    Face,
    FloatArray,
    InputInfo,
    Quality,
    Report,
    Scores,
)
from deepfake_detector.faces.align import Window, crop
from deepfake_detector.faces.find import find_faces
from deepfake_detector.faces.quality import assess
from deepfake_detector.media.image import ImageSource, load_image
from deepfake_detector.pipeline.blame import errors_of
from deepfake_detector.pipeline.crew import Crew
from deepfake_detector.pipeline.crops import whole_picture
from deepfake_detector.pipeline.decision import decision_of
from deepfake_detector.pipeline.second_look import SecondLook
from deepfake_detector.scoring.calibration import Logits, calibrated_logit, p_fake
from deepfake_detector.scoring.own_threshold import own_threshold_warning
from deepfake_detector.verdict.decide import Evidence, PictureVerdict, bounds_for, considered_faces, decide

if TYPE_CHECKING:
    from deepfake_detector.pipeline.explainer import Prepared


@dataclass(frozen=True, slots=True)
class Seen:
    """What is kept of a picture once its faces are cut: everything but its pixels."""

    info: InputInfo
    warnings: tuple[str, ...]
    faces: tuple[DetectedFace, ...]
    qualities: tuple[Quality, ...]
    crops: NDArray[np.uint8]
    windows: tuple[Window, ...]
    clock: Stopwatch
    prepared: Prepared | None = None


class Stages:
    """Looks at pictures, then answers; any number of threads may use one at once.

    Raises ConfigError for doubts that the model cannot have.
    """

    def __init__(self, crew: Crew) -> None:
        self._crew = crew
        self._rule = crew.scorer.bundle.card.input.rule()
        self._calibration = crew.scorer.bundle.card.calibration
        self._second_look = SecondLook(crew.scorer, crew.settings.doubts)

    def look(self, source: ImageSource) -> Seen:
        """Decode a picture, find its faces, and cut what the network will see."""
        clock = Stopwatch()
        with clock.stage("decode"):
            picture = load_image(source, self._crew.settings.limits)
        image, rule = picture.pixels, self._rule
        with errors_of(picture.info.path or "the picture", picture.info.width, picture.info.height):
            with clock.stage("find"):
                faces = (whole_picture(image),) if self._crew.finder is None else find_faces(self._crew.finder, image)
            with clock.stage("crop"):
                crops = np.empty((len(faces), rule.size, rule.size, 3), np.uint8)
                for place, face in zip(crops, faces, strict=True):
                    place[:] = crop(image, face.box, face.landmarks, rule)
                qualities = tuple(assess(image, face) for face in faces)
                windows = self._second_look.keep(image, faces)
            prepared = None
            if self._crew.explainer is not None:
                with clock.stage("explain"):
                    prepared = self._crew.explainer.prepare(source, picture, faces, crops)
        return Seen(picture.info, picture.warnings, faces, qualities, crops, windows, clock, prepared)

    def answer(self, pictures: Sequence[Seen]) -> list[Report]:
        """Score the crops of all pictures together, then decide on each picture by itself."""
        if not pictures:
            return []
        clock = Stopwatch()
        with clock.stage("score"):
            scores = self._crew.scorer.score(np.concatenate([seen.crops for seen in pictures]))
        reports, first = [], 0
        for seen in pictures:
            own = slice(first, first + len(seen.crops))
            part = _of(scores, own)
            share = len(seen.crops) / max(len(scores.fake_logit), 1)
            seen.clock.seconds["score"] = clock.seconds["score"] * share
            reports.append(self._explained(self._decide(seen, part), seen, part))
            first = own.stop
        return reports

    def _explained(self, report: Report, seen: Seen, scores: Scores) -> Report:
        """The report with its reasons, where they were asked for."""
        if self._crew.explainer is None or seen.prepared is None:
            return report
        with seen.clock.stage("explain"):
            faces = self._crew.explainer.explain(report.faces, seen.crops, scores, seen.prepared, self._probabilities)
        return replace(report, faces=faces, cautions=seen.prepared.cautions, provenance=seen.prepared.provenance)

    def _probabilities(self, logits: FloatArray) -> Logits:
        """Of raw fake logits, at the prior of the settings."""
        return p_fake(calibrated_logit(logits, self._calibration), self._crew.settings.prior)

    def _decide(self, seen: Seen, scores: Scores) -> Report:
        """Turn the raw scores of one picture's faces into its report."""
        with seen.clock.stage("decide"):
            calibrated = calibrated_logit(scores.fake_logit, self._calibration)
            considered = considered_faces([face.box for face in seen.faces], self._crew.policy.all_faces)
            bounds = bounds_for(sum(considered), self._crew.policy)
            doubts = self._second_look.doubts(scores, calibrated, seen.windows, bounds)
            said = decide(_evidence(seen, calibrated, scores.kind_logit, doubts), self._crew.policy)
            return Report(
                input=seen.info,
                model=self._crew.scorer.bundle.info,
                verdict=said.verdict,
                p_fake=None if said.logit is None else p_fake(said.logit, self._crew.settings.prior),
                kind=said.kind,
                decision=decision_of(said.bounds, self._crew.settings, self._second_look.looked_for),
                faces=self._faces(seen, scores, said),
                warnings=(*seen.warnings, *said.warnings, *own_threshold_warning(self._crew.settings.own_threshold)),
                timings=seen.clock.seconds,
            )

    def _faces(self, seen: Seen, scores: Scores, said: PictureVerdict) -> tuple[Face, ...]:
        probabilities = self._probabilities(scores.fake_logit)
        return tuple(
            Face(
                box=face.box,
                landmarks=None if self._rule.mode is CropMode.WHOLE else face.landmarks,
                confidence=face.confidence,
                quality=quality,
                logit=float(logit),
                p_fake=float(probability),
                verdict=verdict.verdict,
                kind=verdict.kind,
                considered=verdict.considered,
                doubts=verdict.doubts,
            )
            for face, quality, logit, probability, verdict in zip(
                seen.faces, seen.qualities, scores.fake_logit, probabilities, said.faces, strict=True
            )
        )


def _of(scores: Scores, own: slice) -> Scores:
    """The scores of some crops."""
    kinds = None if scores.kind_logit is None else scores.kind_logit[own]
    distance = None if scores.distance is None else scores.distance[own]
    return Scores(scores.fake_logit[own], kinds, None if scores.cam is None else scores.cam[own], distance=distance)


def _evidence(
    seen: Seen, calibrated: Logits, kind_logits: FloatArray | None, doubts: Sequence[tuple[Doubt, ...]]
) -> list[Evidence]:
    """What ``verdict`` wants to know of each face."""
    kinds = [None] * len(calibrated) if kind_logits is None else [float(logit) for logit in kind_logits]
    return [
        Evidence(face.box, float(logit), kind, quality.issues, doubts=open_)
        for face, logit, kind, quality, open_ in zip(seen.faces, calibrated, kinds, seen.qualities, doubts, strict=True)
    ]
