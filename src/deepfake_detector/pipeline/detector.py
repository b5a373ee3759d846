"""The ``Detector``: what it is made of, and how it takes one input or a stream of them.

What happens to a picture is in ``pipeline/stages.py``, to a video in ``pipeline/video.py``. Where there are many, a
small thread pool decodes pictures and looks for faces, while the caller's thread scores.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake_detector.core.concurrency import map_ahead
from deepfake_detector.core.errors import ConfigError, InputError, MissingExtraError
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import CropMode, Failure, Outcome, Report
from deepfake_detector.core.video import AnyOutcome, Finding, VideoReport
from deepfake_detector.faces.find import Finder
from deepfake_detector.faces.mtcnn import MtcnnFinder
from deepfake_detector.media.image import ImageSource, read_file
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.source import VideoSource
from deepfake_detector.pipeline.clips import Clip, Clips, as_clip, report_of
from deepfake_detector.pipeline.crew import Crew
from deepfake_detector.pipeline.stages import Seen, Stages
from deepfake_detector.scoring.bundle import Bundle, load_bundle
from deepfake_detector.scoring.calibration import calibrated_logit, p_fake
from deepfake_detector.scoring.own_threshold import threshold_curve, uncertain_band
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.verdict.decide import Policy, bounds_for
from deepfake_detector.verdict.pool import check_pooling

if TYPE_CHECKING:
    from deepfake_detector.explain.maps import MapMaker
    from deepfake_detector.pipeline.explainer import Explainer
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
        scorer = Scorer(self.bundle, self.settings.threads)
        policy = Policy(
            fpr=self.settings.fpr,
            threshold_at=threshold_curve(self.bundle, self.settings.own_threshold),
            band_below=uncertain_band(self.bundle, self.settings.own_threshold),
            all_faces=self.settings.all_faces,
        )
        # A network that looks at whole pictures needs no faces.
        looks_at_faces = self.bundle.card.input.rule().mode is not CropMode.WHOLE
        self._crew = Crew(
            scorer,
            self.settings,
            policy,
            finder=(finder or MtcnnFinder(self.settings.threads)) if looks_at_faces else None,
            explainer=_explainer(scorer, self.settings, map_maker),
            sequence=_sequence(self.bundle, self.settings),
        )
        self._stages = Stages(self._crew)

    def analyze(self, source: ImageSource) -> Report:
        """The report for one picture: a path, a file's bytes, a PIL image, or an RGB array (height, width, 3), uint8.

        Raises InputError where the picture cannot be read, MissingExtraError where its format needs an extra,
        ModelError where the model does not answer.
        """
        return self._stages.answer([self._stages.look(source)])[0]

    def analyze_video(self, source: VideoSource, sampling: Sampling | None = None) -> Generator[Finding, None, None]:
        """Findings while one video, a path or a file's bytes, is analysed; the last one is its VideoReport.

        ``sampling`` says which frames are looked at; 32, evenly, by default. Close the generator to cancel: it frees
        all that it holds. Raises InputError where the video cannot be read, MissingExtraError without the extra
        [video], ModelError where the model does not answer; the first of them when the first finding is asked for.
        """
        from deepfake_detector.pipeline.video import analyze_video

        return analyze_video(self._crew, source, sampling or Sampling())

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
        return p_fake(bounds_for(faces, self._crew.policy).fake_from, self.settings.prior)

    def margin(self, report: Report) -> float | None:
        """How far a picture's most suspicious face lies above the threshold, in calibrated logits; below it, under 0.

        ``report`` is one of this detector. From 0 on its verdict is fake, whatever the number of faces. None where no
        face that counts can be judged, since such a picture is never called fake.
        """
        logits = [face.logit for face in report.faces if face.considered and not face.quality.issues]
        if not logits:
            return None
        highest = calibrated_logit(max(logits), self.bundle.card.calibration)
        return highest - bounds_for(report.decision.faces, self._crew.policy).fake_from

    def _stream(
        self, sources: Iterable[ImageSource], batch_size: int, workers: int, clips: Clips
    ) -> Iterator[AnyOutcome]:
        waiting: list[Seen | Failure] = []
        crops = 0
        with closing(map_ahead(partial(self._look_or_fail, clips=clips), sources, workers)) as looked_at:
            for seen in looked_at:
                if isinstance(seen, Clip):
                    yield from self._outcomes(waiting)
                    waiting, crops = [], 0
                    yield self._watch_or_fail(seen, clips)
                    continue
                waiting.append(seen)
                crops += len(seen.crops) if isinstance(seen, Seen) else 0
                if max(crops, len(waiting)) >= batch_size:
                    yield from self._outcomes(waiting)
                    waiting, crops = [], 0
        yield from self._outcomes(waiting)

    def _outcomes(self, waiting: Sequence[Seen | Failure]) -> Iterator[Outcome]:
        reports = iter(self._stages.answer([seen for seen in waiting if isinstance(seen, Seen)]))
        for seen in waiting:
            yield seen if isinstance(seen, Failure) else next(reports)

    def _look_or_fail(self, source: ImageSource, clips: Clips) -> Seen | Clip | Failure:
        try:
            return as_clip(source, clips) or self._stages.look(source)
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


def _explainer(scorer: Scorer, settings: AnalysisSettings, map_maker: MapMaker | None) -> Explainer | None:
    if not settings.explain:
        return None
    from deepfake_detector.pipeline.explainer import Explainer  # most callers want an answer and no reasons

    return Explainer(scorer, settings, map_maker)


def _sequence(bundle: Bundle, settings: AnalysisSettings) -> SequenceScorer | None:
    if settings.temporal_model is None:
        return None
    from deepfake_detector.scoring.sequence import SequenceScorer, load_sequence_bundle

    return SequenceScorer(load_sequence_bundle(settings.temporal_model, bundle), settings.threads)
