"""The online conductor: the only place that knows the order of the stages.

::

    source ──decode──▶ pixels ──find──▶ faces ──crop──▶ crops ──score──▶ logits ──decide──▶ Report
            media              faces            faces          scoring          verdict

The first three stages see one picture and run in a small thread pool when there are many; the crops of several
pictures are then scored together. Videos have a conductor of their own, in ``pipeline/video.py``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.concurrency import map_ahead
from deepfake_detector.core.errors import ConfigError, InputError, MissingExtraError
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.stopwatch import Stopwatch
from deepfake_detector.core.types import (
    CropMode,
    DetectedFace,
    Doubt,
    Face,
    Failure,
    FloatArray,
    InputInfo,
    Outcome,
    Quality,
    Report,
    Scores,
)
from deepfake_detector.core.video import AnyOutcome, Finding, VideoReport
from deepfake_detector.faces.align import Window, crop
from deepfake_detector.faces.find import Finder, find_faces
from deepfake_detector.faces.mtcnn import MtcnnFinder
from deepfake_detector.faces.quality import assess
from deepfake_detector.media.image import ImageSource, load_image, read_file
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.source import VideoSource
from deepfake_detector.pipeline.blame import errors_of
from deepfake_detector.pipeline.clips import Clip, Clips, as_clip, report_of
from deepfake_detector.pipeline.crops import whole_picture
from deepfake_detector.pipeline.decision import decision_of
from deepfake_detector.pipeline.second_look import SecondLook
from deepfake_detector.scoring.bundle import Bundle, load_bundle
from deepfake_detector.scoring.calibration import Logits, calibrated_logit, p_fake
from deepfake_detector.scoring.own_threshold import own_threshold_warning, threshold_curve, uncertain_band
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.verdict.decide import Evidence, PictureVerdict, Policy, bounds_for, considered_faces, decide
from deepfake_detector.verdict.pool import check_pooling

if TYPE_CHECKING:
    from deepfake_detector.explain.maps import MapMaker
    from deepfake_detector.pipeline.explainer import Explainer, Prepared
    from deepfake_detector.scoring.sequence import SequenceScorer

DEFAULT_BATCH_SIZE = 16
DEFAULT_WORKERS = 2


class Detector:
    """Says of pictures and videos whether a face in them is manipulated or generated.

    ```python
    report = Detector().analyze("photo.jpg")
    for finding in Detector().analyze_video("clip.mp4"):
        ...  # frames, progress, persons; the last one is the VideoReport
    ```

    ``model`` is a shipped model's name, a bundle's folder, an open bundle, or None for the default model.
    ``finder`` replaces the face finder that comes with the package, ``map_maker`` the way in which heat maps are made
    where the settings ask for explanations. One detector may be used by many threads at once. Raises ModelError where
    the model cannot be used, ThresholdModelError where a threshold was set for another one, ConfigError for trust
    anchors that cannot be read, for doubts that the model cannot have, and for an unknown way to pool.
    """

    def __init__(
        self,
        model: str | Path | Bundle | None = None,
        settings: AnalysisSettings | None = None,
        *,
        finder: Finder | None = None,
        map_maker: MapMaker | None = None,
    ) -> None:
        self.bundle = model if isinstance(model, Bundle) else load_bundle(model)
        self.settings = settings or AnalysisSettings()
        check_pooling(self.settings.pooling)
        self._scorer = Scorer(self.bundle, self.settings.threads)
        self._crop_rule = self.bundle.card.input.rule()
        # A network that looks at whole pictures needs no faces.
        looks_at_faces = self._crop_rule.mode is not CropMode.WHOLE
        self._finder = (finder or MtcnnFinder(self.settings.threads)) if looks_at_faces else None
        self._second_look = SecondLook(self._scorer, self.settings.doubts)
        self._sequence = _sequence(self.bundle, self.settings)
        self._explainer = _explainer(self._scorer, self.settings, map_maker) if self.settings.explain else None
        self._policy = Policy(
            fpr=self.settings.fpr,
            threshold_at=threshold_curve(self.bundle, self.settings.own_threshold),
            band_below=uncertain_band(self.bundle, self.settings.own_threshold),
            all_faces=self.settings.all_faces,
        )

    def analyze(self, source: ImageSource) -> Report:
        """The report for one picture: a path, a file's bytes, a PIL image, or an RGB array (height, width, 3), uint8.

        Raises InputError where the picture cannot be read, MissingExtraError where its format needs an extra,
        ModelError where the model does not answer.
        """
        return self._score_and_decide([self._look(source)])[0]

    def analyze_video(self, source: VideoSource, sampling: Sampling | None = None) -> Generator[Finding, None, None]:
        """Findings while one video, a path or a file's bytes, is analysed; the last one is its VideoReport.

        ``sampling`` says which frames are looked at; 32, evenly, by default. Close the generator to cancel: it frees
        all that it holds. Raises InputError where the video cannot be read, MissingExtraError without the extra
        [video], ModelError where the model does not answer; the first of them when the first finding is asked for.
        """
        from deepfake_detector.pipeline.video import Crew, analyze_video

        crew = Crew(self._scorer, self.settings, self._policy, self._finder, self._explainer, self._sequence)
        return analyze_video(crew, source, sampling or Sampling())

    def analyze_many(
        self,
        sources: Iterable[ImageSource],
        batch_size: int = DEFAULT_BATCH_SIZE,
        workers: int = DEFAULT_WORKERS,
        *,
        sampling: Sampling | None = None,
        watch: Callable[[Finding], None] | None = None,
    ) -> Iterator[AnyOutcome]:
        """One outcome for each source, picture or video, in their order, while the sources are still being read.

        An input that cannot be read gives a Failure and stops nothing. About ``batch_size`` crops are scored
        together, while ``workers`` threads decode and find faces; at most ``batch_size + 2 * workers`` sources are
        read ahead of the outcomes, so memory does not grow with their number. Videos are analysed one by one:
        ``sampling`` says which frames, and ``watch`` is told each finding. A GIF is a video if ``sampling`` is given.
        Raises ConfigError for numbers under 1, ModelError where the model does not answer.
        """
        for name, value in (("batch_size", batch_size), ("workers", workers)):
            if value < 1:
                raise ConfigError(f"{name} is {value}; give 1 or more")
        return self._stream(sources, batch_size, workers, Clips(sampling, watch))

    def threshold(self, faces: int = 1) -> float:
        """The ``p_fake`` from which on a face is called fake where so many faces count for the picture's verdict."""
        return p_fake(bounds_for(faces, self._policy).fake_from, self.settings.prior)

    def margin(self, report: Report) -> float | None:
        """How far a picture's most suspicious face lies above the threshold, in calibrated logits; below it, under 0.

        ``report`` is one of this detector. From 0 on its verdict is fake, whatever the number of faces. None where no
        face that counts can be judged, since such a picture is never called fake.
        """
        logits = [face.logit for face in report.faces if face.considered and not face.quality.issues]
        if not logits:
            return None
        highest = calibrated_logit(max(logits), self.bundle.card.calibration)
        return highest - bounds_for(report.decision.faces, self._policy).fake_from

    def _stream(
        self, sources: Iterable[ImageSource], batch_size: int, workers: int, clips: Clips
    ) -> Iterator[AnyOutcome]:
        waiting: list[_Seen | Failure] = []
        crops = 0
        with closing(map_ahead(partial(self._look_or_fail, clips=clips), sources, workers)) as looked_at:
            for seen in looked_at:
                if isinstance(seen, Clip):
                    yield from self._outcomes(waiting)
                    waiting, crops = [], 0
                    yield self._watch_or_fail(seen, clips)
                    continue
                waiting.append(seen)
                crops += len(seen.crops) if isinstance(seen, _Seen) else 0
                if max(crops, len(waiting)) >= batch_size:
                    yield from self._outcomes(waiting)
                    waiting, crops = [], 0
        yield from self._outcomes(waiting)

    def _outcomes(self, waiting: Sequence[_Seen | Failure]) -> Iterator[Outcome]:
        reports = iter(self._score_and_decide([seen for seen in waiting if isinstance(seen, _Seen)]))
        for seen in waiting:
            yield seen if isinstance(seen, Failure) else next(reports)

    def _look_or_fail(self, source: ImageSource, clips: Clips) -> _Seen | Clip | Failure:
        try:
            return as_clip(source, clips) or self._look(source)
        except (InputError, MissingExtraError) as error:
            return self._failure(source, error)

    def _watch_or_fail(self, clip: Clip, clips: Clips) -> VideoReport | Failure:
        try:
            return report_of(self.analyze_video(clip.source, clips.sampling), clips.watch)
        except (InputError, MissingExtraError) as error:
            return self._failure(clip.source, error)

    def _failure(self, source: ImageSource, error: InputError | MissingExtraError) -> Failure:
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        return Failure(path, error.code, str(error), self._sha256(source))

    def _sha256(self, source: ImageSource) -> str | None:
        """The hash of a file that could not be analysed, if at least its bytes can be had."""
        if isinstance(source, str | os.PathLike):
            try:
                source = read_file(os.fspath(source), self.settings.limits)
            except InputError:
                return None
        return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else None

    def _look(self, source: ImageSource) -> _Seen:
        """Decode a picture, find its faces, and cut what the network will see."""
        clock = Stopwatch()
        with clock.stage("decode"):
            picture = load_image(source, self.settings.limits)
        image, rule = picture.pixels, self._crop_rule
        with errors_of(picture.info.path or "the picture", picture.info.width, picture.info.height):
            with clock.stage("find"):
                faces = (whole_picture(image),) if self._finder is None else find_faces(self._finder, image)
            with clock.stage("crop"):
                crops = np.empty((len(faces), rule.size, rule.size, 3), np.uint8)
                for place, face in zip(crops, faces, strict=True):
                    place[:] = crop(image, face.box, face.landmarks, rule)
                qualities = tuple(assess(image, face) for face in faces)
                windows = self._second_look.keep(image, faces)
            prepared = None
            if self._explainer is not None:
                with clock.stage("explain"):
                    prepared = self._explainer.prepare(source, picture, faces, crops)
        return _Seen(picture.info, picture.warnings, faces, qualities, crops, windows, clock, prepared)

    def _score_and_decide(self, pictures: Sequence[_Seen]) -> list[Report]:
        """Score the crops of all pictures together, then decide on each picture by itself."""
        if not pictures:
            return []
        clock = Stopwatch()
        with clock.stage("score"):
            scores = self._scorer.score(np.concatenate([seen.crops for seen in pictures]))
        reports, first = [], 0
        for seen in pictures:
            own = slice(first, first + len(seen.crops))
            part = _of(scores, own)
            share = len(seen.crops) / max(len(scores.fake_logit), 1)
            seen.clock.seconds["score"] = clock.seconds["score"] * share
            reports.append(self._explained(self._decide(seen, part), seen, part))
            first = own.stop
        return reports

    def _explained(self, report: Report, seen: _Seen, scores: Scores) -> Report:
        """The report with its reasons, where they were asked for."""
        if self._explainer is None or seen.prepared is None:
            return report
        with seen.clock.stage("explain"):
            faces = self._explainer.explain(report.faces, seen.crops, scores, seen.prepared, self._probabilities)
        return replace(report, faces=faces, cautions=seen.prepared.cautions, provenance=seen.prepared.provenance)

    def _probabilities(self, logits: FloatArray) -> Logits:
        """Of raw fake logits, at the prior of the settings."""
        return p_fake(calibrated_logit(logits, self.bundle.card.calibration), self.settings.prior)

    def _decide(self, seen: _Seen, scores: Scores) -> Report:
        """Turn the raw scores of one picture's faces into its report."""
        with seen.clock.stage("decide"):
            calibrated = calibrated_logit(scores.fake_logit, self.bundle.card.calibration)
            considered = considered_faces([face.box for face in seen.faces], self._policy.all_faces)
            bounds = bounds_for(sum(considered), self._policy)
            doubts = self._second_look.doubts(scores, calibrated, seen.windows, bounds)
            said = decide(_evidence(seen, calibrated, scores.kind_logit, doubts), self._policy)
            return Report(
                input=seen.info,
                model=self.bundle.info,
                verdict=said.verdict,
                p_fake=None if said.logit is None else p_fake(said.logit, self.settings.prior),
                kind=said.kind,
                decision=decision_of(said.bounds, self.settings, self._second_look.looked_for),
                faces=self._faces(seen, scores, said),
                warnings=(*seen.warnings, *said.warnings, *own_threshold_warning(self.settings.own_threshold)),
                timings=seen.clock.seconds,
            )

    def _faces(self, seen: _Seen, scores: Scores, said: PictureVerdict) -> tuple[Face, ...]:
        probabilities = self._probabilities(scores.fake_logit)
        return tuple(
            Face(
                box=face.box,
                landmarks=None if self._crop_rule.mode is CropMode.WHOLE else face.landmarks,
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


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a picture once its faces are cut: everything but its pixels."""

    info: InputInfo
    warnings: tuple[str, ...]
    faces: tuple[DetectedFace, ...]
    qualities: tuple[Quality, ...]
    crops: NDArray[np.uint8]
    windows: tuple[Window, ...]
    clock: Stopwatch
    prepared: Prepared | None = None


def _explainer(scorer: Scorer, settings: AnalysisSettings, map_maker: MapMaker | None) -> Explainer:
    from deepfake_detector.pipeline.explainer import Explainer  # most callers want an answer and no reasons

    return Explainer(scorer, settings, map_maker)


def _sequence(bundle: Bundle, settings: AnalysisSettings) -> SequenceScorer | None:
    if settings.temporal_model is None:
        return None
    from deepfake_detector.scoring.sequence import SequenceScorer, load_sequence_bundle

    return SequenceScorer(load_sequence_bundle(settings.temporal_model, bundle), settings.threads)


def _of(scores: Scores, own: slice) -> Scores:
    """The scores of some crops."""
    kinds = None if scores.kind_logit is None else scores.kind_logit[own]
    distance = None if scores.distance is None else scores.distance[own]
    return Scores(scores.fake_logit[own], kinds, None if scores.cam is None else scores.cam[own], distance=distance)


def _evidence(
    seen: _Seen, calibrated: Logits, kind_logits: FloatArray | None, doubts: Sequence[tuple[Doubt, ...]]
) -> list[Evidence]:
    """What ``verdict`` wants to know of each face."""
    kinds = [None] * len(calibrated) if kind_logits is None else [float(logit) for logit in kind_logits]
    return [
        Evidence(face.box, float(logit), kind, quality.issues, doubts=open_)
        for face, logit, kind, quality, open_ in zip(seen.faces, calibrated, kinds, seen.qualities, doubts, strict=True)
    ]
