"""The value types of a video's answer: a person as seen in each frame, what is said of them, and of the clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deepfake_detector.core.explanation import Heatmap
from deepfake_detector.core.types import (
    REPORT_SCHEMA_VERSION,
    Box,
    Decision,
    Face,
    FloatArray,
    Kind,
    Landmarks,
    ModelInfo,
    Outcome,
    Quality,
    Verdict,
)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What of a face is kept to see how it changes over time; see ``scoring.temporal``.

    ``look`` (256,) is its coarse look, of length 1. ``unrest`` and ``wander`` are about the very next frame of the
    video; None where there is none, or nothing changes.
    """

    look: FloatArray
    unrest: float | None = None
    wander: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """A person in one analysed frame.

    ``index`` counts the analysed frames from 0, ``time`` is the frame's own time stamp in seconds, ``scene`` counts the
    cuts before it. ``logit`` is the network's raw fake logit, ``p_fake`` the calibrated probability of this frame
    alone, 0–1, at the report's prior; ``voices`` are the parts of the fake logit (see ``core.types.Scores``), none
    where the network has one voice; ``kind_logit`` is None where the network has no such head, ``features`` (d,)
    where it gives none, ``trace`` where there are no landmarks. These two are None where the answer was read from a
    file.
    """

    index: int
    time: float
    scene: int
    box: Box
    landmarks: Landmarks | None = field(compare=False)
    confidence: float
    quality: Quality
    logit: float
    p_fake: float
    kind_logit: float | None = None
    voices: tuple[float, ...] = ()
    features: FloatArray | None = field(default=None, repr=False, compare=False)
    trace: Trace | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Track:
    """One person from where they appear to where they leave, or to the next cut; the earliest observation first."""

    id: int
    observations: tuple[Observation, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time that looks fake: from ``start`` to ``end`` in seconds, ``score`` is its mean p_fake, 0–1."""

    start: float
    end: float
    score: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Something measured along a track: ``values`` at ``times`` (seconds), ``unit`` in words, "" for none.

    ``usual`` is the range of real clips (low, high), where it is known.
    """

    name: str
    times: tuple[float, ...]
    values: tuple[float, ...]
    unit: str = ""
    usual: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A person from near, in one of the frames that look most like a fake.

    ``picture`` and ``overlay`` (the same with its heat map) are JPEG files; ``overlay`` and ``heatmap`` are None where
    the network gives no map. ``heatmap`` is in pixels of the upright frame.
    """

    index: int
    time: float
    p_fake: float
    picture: bytes = field(repr=False)
    overlay: bytes | None = field(default=None, repr=False)
    heatmap: Heatmap | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Person:
    """What is said of one person.

    ``face`` speaks for the whole track: its ``logit`` and ``p_fake`` are pooled over the frames; box, landmarks,
    confidence and quality are those of the frame at ``time``, the one that looks most like a fake among those that can
    be judged. ``pooling`` names how the frames were joined. ``exhibits`` are the frames that look most like a fake, the
    worst first; ``curves`` what was measured from frame to frame.
    """

    id: int
    face: Face
    time: float
    pooling: str
    observations: tuple[Observation, ...]
    segments: tuple[Segment, ...] = ()
    exhibits: tuple[Exhibit, ...] = ()
    curves: tuple[Curve, ...] = ()

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last time at which the person was seen, in seconds."""
        return self.observations[0].time, self.observations[-1].time


@dataclass(frozen=True, slots=True)
class VideoInput:
    """What was analysed. ``path`` is as given, or None for bytes; sizes are of the upright frame, in pixels.

    ``duration`` is in seconds, ``fps`` the mean rate; both None where the file does not say and it was not read whole.
    """

    path: str | None
    sha256: str
    bytes: int
    format: str
    codec: str
    width: int
    height: int
    duration: float | None
    fps: float | None
    audio: bool


@dataclass(frozen=True, slots=True)
class SampledFrames:
    """Which frames were looked at: how they were chosen, in words, how many, and the times of the cuts, in seconds."""

    rule: str
    analysed: int
    cuts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Still:
    """A whole frame as a JPEG file, at most as large as the report shows it; ``width`` × ``height`` are of the file."""

    index: int
    time: float
    picture: bytes = field(repr=False)
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class VideoReport:
    """The answer for one video; the verdict is that of its most suspicious person.

    ``timings`` are seconds of work per stage; stages overlap, ``elapsed`` is what the clock on the wall says.
    ``still`` is the frame in which that person looks most like a fake.
    """

    input: VideoInput
    model: ModelInfo
    verdict: Verdict
    p_fake: float | None
    kind: Kind | None
    decision: Decision
    sampling: SampledFrames
    persons: tuple[Person, ...] = ()
    warnings: tuple[str, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    elapsed: float = 0.0
    still: Still | None = None
    schema_version: str = REPORT_SCHEMA_VERSION

    @property
    def faces(self) -> tuple[Face, ...]:
        """One face for each person, as in the answer for a picture."""
        return tuple(person.face for person in self.persons)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an analysis is: frames done, of how many (None if unknown), and about how many seconds are left."""

    done: int
    total: int | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class FrameFinding:
    """One analysed frame; ``persons`` are the ids of the tracks, in the order of ``observations``."""

    index: int
    time: float
    persons: tuple[int, ...]
    observations: tuple[Observation, ...]


Finding = Progress | FrameFinding | Person | VideoReport
"""What an analysis of a video gives while it runs; the report is the last one."""


AnyOutcome = Outcome | VideoReport
"""What comes back for each input of a batch that may hold videos."""
