"""The conductor for videos: frames are decoded, searched and scored at the same time, and people are kept apart.

::

    source ──decode──▶ frames ──find, track, crop──▶ persons ──score──▶ logits ──pool, decide──▶ report
            media              faces                         scoring          verdict

Decoding has a thread, finding and cutting has one, scoring happens in the thread of the caller. Between them wait a few
frames at most, and of these only what is still needed, so that memory does not grow with the length of a video.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.concurrency import ahead
from deepfake_detector.core.explanation import Heatmap, MapMethod
from deepfake_detector.core.stopwatch import Stopwatch
from deepfake_detector.core.types import CropMode, FloatArray, Scores, Verdict
from deepfake_detector.core.video import (
    Finding,
    FrameFinding,
    Observation,
    Person,
    Progress,
    SampledFrames,
    Track,
    VideoReport,
)
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.source import VideoSource
from deepfake_detector.media.video import VideoFrame, VideoReader, open_video
from deepfake_detector.pipeline.crew import Crew
from deepfake_detector.pipeline.crops import crop_corners
from deepfake_detector.pipeline.decision import decision_of
from deepfake_detector.pipeline.gallery import Gallery
from deepfake_detector.pipeline.looking import Looked, Looker
from deepfake_detector.pipeline.persons import ClipVerdict, Court, judge
from deepfake_detector.pipeline.video_facts import expected_frames, in_words, video_input
from deepfake_detector.scoring.calibration import calibrated_logit, p_fake
from deepfake_detector.scoring.own_threshold import own_threshold_warning
from deepfake_detector.scoring.voices import heard_in_clips

if TYPE_CHECKING:
    pass

BATCH = 8
"""Crops that are scored together, and frames whose findings come together."""

ROOM, ROOM_PIXELS = 6, 24_000_000
"""Frames, and pixels of frames, that may wait between two stages."""

FEATURES_KEPT = 4096
"""Observations whose features are kept for what is measured from frame to frame; 40 MB of the shipped model's."""


@dataclass(slots=True)
class _Clip:
    """What is known so far."""

    seen: dict[int, list[Observation]] = field(default_factory=dict)
    gallery: Gallery = field(default_factory=Gallery)
    cuts: list[float] = field(default_factory=list)
    scene: int = 0
    frames: int = 0
    features: int = 0

    @property
    def tracks(self) -> tuple[Track, ...]:
        return tuple(Track(number, tuple(self.seen[number])) for number in sorted(self.seen))


def analyze_video(crew: Crew, source: VideoSource, sampling: Sampling) -> Generator[Finding, None, None]:
    """Findings while a video is analysed; the last one is the report. Close the generator to cancel.

    Raises a subclass of InputError where the video cannot be read, MissingExtraError without the extra [video], and
    ModelError where the model does not answer.
    """
    begun, clock = time.perf_counter(), Stopwatch()
    with ExitStack() as stack:
        with clock.stage("open"):
            reader = stack.enter_context(open_video(source, crew.settings.video_limits))
        yield from _Run(crew, reader, sampling, clock, begun).findings()


class _Run:
    """One analysis of one video."""

    def __init__(self, crew: Crew, reader: VideoReader, sampling: Sampling, clock: Stopwatch, begun: float) -> None:
        self._crew, self._reader, self._sampling, self._begun = crew, reader, sampling, begun
        self._rule = crew.scorer.bundle.card.input.rule()
        # Each thread has a clock of its own.
        self._clock, self._decoding = clock, Stopwatch()
        self._clip = _Clip(gallery=Gallery(keep_cutouts=crew.explainer is not None))
        info = reader.info
        self._looker = Looker(crew.finder, self._rule, info.path or "the video")
        self._room = max(1, min(ROOM, ROOM_PIXELS // max(info.width * info.height, 1)))

    def findings(self) -> Generator[Finding, None, None]:
        """Frames, progress, persons, and the report."""
        frames = ahead(self._decoded(), self._room)
        batch: list[Looked] = []
        with closing(ahead(self._looker.look(frames), self._room)) as looked:
            for frame in looked:
                batch.append(frame)
                if max(len(batch), sum(len(one.crops) for one in batch)) >= BATCH:
                    yield from self._scored(batch)
                    batch = []
            yield from self._scored(batch)
        report = self._report()
        yield from report.persons
        yield report

    def _decoded(self) -> Iterator[VideoFrame]:
        frames = self._reader.frames(self._sampling)
        while True:
            with self._decoding.stage("decode"):
                frame = next(frames, None)
            if frame is None:
                return
            yield frame

    def _scored(self, batch: Sequence[Looked]) -> Iterator[Finding]:
        """Score the crops of some frames together, and say what was seen in each."""
        if not batch:
            return
        with self._clock.stage("score"):
            scorer = self._crew.scorer
            scores = scorer.score(np.concatenate([looked.crops for looked in batch]))
            scores = heard_in_clips(scores, scorer.bundle.card.voice_kinds)
        first = 0
        for looked in batch:
            yield self._seen(looked, scores, first)
            first += len(looked.crops)
        yield self._progress()

    def _seen(self, looked: Looked, scores: Scores, first: int) -> FrameFinding:
        clip = self._clip
        if looked.scene != clip.scene and clip.frames:
            clip.cuts.append(round(looked.time, 3))
        clip.scene, clip.frames = looked.scene, clip.frames + 1
        observations = []
        with self._clock.stage("keep"):
            for at, person in enumerate(looked.ids):
                seen = self._observation(looked, at, scores, first + at)
                clip.seen.setdefault(person, []).append(seen)
                clip.gallery.offer(person, seen, looked.shown[at], self._heatmap(looked, at, scores, first + at))
                observations.append(seen)
        return FrameFinding(looked.index, looked.time, looked.ids, tuple(observations))

    def _observation(self, looked: Looked, at: int, scores: Scores, row: int) -> Observation:
        face, whole = looked.faces[at], self._rule.mode is CropMode.WHOLE
        logit = float(scores.fake_logit[row])
        calibrated = calibrated_logit(logit, self._crew.scorer.bundle.card.calibration)
        self._clip.features += 1
        keep = scores.features is not None and self._clip.features <= FEATURES_KEPT
        return Observation(
            index=looked.index,
            time=round(looked.time, 6),
            scene=looked.scene,
            box=face.box,
            landmarks=None if whole else face.landmarks,
            confidence=face.confidence,
            quality=looked.qualities[at],
            logit=logit,
            p_fake=p_fake(calibrated, self._crew.settings.prior),
            kind_logit=None if scores.kind_logit is None else float(scores.kind_logit[row]),
            voices=() if scores.voices is None else tuple(float(voice) for voice in scores.voices[row]),
            features=scores.features[row].copy() if keep and scores.features is not None else None,
            trace=looked.traces[at],
        )

    def _heatmap(self, looked: Looked, at: int, scores: Scores, row: int) -> Heatmap | None:
        if scores.cam is None:
            return None
        rows = tuple(tuple(float(value) for value in line) for line in scores.cam[row])
        return Heatmap(MapMethod.CAM, rows, crop_corners(looked.matrices[at], self._rule.size))

    def _progress(self) -> Progress:
        done, total = self._clip.frames, expected_frames(self._sampling, self._reader.info)
        if total is None:
            return Progress(done, None, None)
        total = max(total, done)
        return Progress(done, total, (time.perf_counter() - self._begun) / done * (total - done))

    def _report(self) -> VideoReport:
        crew, clip, info = self._crew, self._clip, self._reader.info
        with self._clock.stage("decide"):
            said = judge(clip.tracks, clip.gallery, _court(crew))
        persons = self._explained(said.persons)
        worst = None if said.worst is None else persons[said.worst]
        return VideoReport(
            input=video_input(info),
            model=crew.scorer.bundle.info,
            verdict=said.verdict,
            p_fake=None if said.logit is None else p_fake(said.logit, crew.settings.prior),
            kind=said.kind,
            decision=decision_of(said.bounds, crew.settings),
            sampling=SampledFrames(in_words(self._sampling), clip.frames, tuple(clip.cuts)),
            persons=persons,
            warnings=(*self._reader.warnings, *said.warnings, *self._cautions(said)),
            timings={**self._decoding.seconds, **self._looker.clock.seconds, **self._clock.seconds},
            elapsed=time.perf_counter() - self._begun,
            still=None if worst is None else clip.gallery.pieces(worst.id)[0].still,
        )

    def _explained(self, persons: Sequence[Person]) -> tuple[Person, ...]:
        """The persons with their reasons, where they were asked for."""
        crew = self._crew
        explainer = crew.explainer
        if explainer is None:
            return tuple(persons)
        from deepfake_detector.pipeline.explained_persons import explained

        with self._clock.stage("explain"):
            return tuple(
                explained(person, self._clip.gallery.pieces(person.id)[0], explainer, crew.scorer, self._probabilities)
                for person in persons
            )

    def _probabilities(self, logits: FloatArray) -> NDArray[np.float64]:
        """Of raw fake logits, at the prior of the settings."""
        return p_fake(calibrated_logit(logits, self._crew.scorer.bundle.card.calibration), self._crew.settings.prior)

    def _cautions(self, said: ClipVerdict) -> tuple[str, ...]:
        """What a reader of the verdict should know."""
        found = []
        if self._clip.cuts and len(said.persons) > 1:
            found.append("whoever is seen again after a cut counts as another person")
        for person in said.persons:
            if person.segments and person.face.verdict is not Verdict.FAKE:
                stretches = ", ".join(f"{part.start:.1f}–{part.end:.1f} s" for part in person.segments)
                found.append(f"person {person.id} looks fake for a while ({stretches}), though not as a whole")
        return (*found, *own_threshold_warning(self._crew.settings.own_threshold))


def _court(crew: Crew) -> Court:
    """How persons are judged."""
    calibration = crew.scorer.bundle.card.calibration
    return Court(calibration, crew.policy, crew.settings.prior, crew.settings.pooling, crew.sequence)
