"""The values that the HTML report's template of one input takes; all are ready to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepfake_detector.core.types import InputInfo
from deepfake_detector.core.video import VideoInput
from deepfake_detector.report.clip_view import ClipView


@dataclass(frozen=True, slots=True)
class Embedded:
    """A picture as a ``data:`` URI (JPEG), with its own size in pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class BoxView:
    """A face box with its number tag, in pixels of the upright picture."""

    number: int
    css: str
    aside: bool
    x: float
    y: float
    w: float
    h: float
    tag_x: float
    tag_y: float
    tag_w: float
    tag_h: float
    text_x: float
    text_y: float
    text_size: float


@dataclass(frozen=True, slots=True)
class ScaleView:
    """The probability beside its thresholds; positions are per cent of the scale's width."""

    real: float
    uncertain: float
    threshold: float
    fake: float
    needle: float
    words: str
    real_words: str
    threshold_words: str
    label: str


@dataclass(frozen=True, slots=True)
class FaceView:
    """A row of the table of faces."""

    number: int
    css: str
    verdict: str
    probability: str
    note: str


@dataclass(frozen=True, slots=True)
class ReasonView:
    """Why a face has its score: itself, its map with the end of the scale, and sentences."""

    number: int
    plain: Embedded | None
    overlay: Embedded | None
    scale: Embedded | None
    limit: str
    method: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its words."""

    name: str
    words: str
    is_hash: bool = False


@dataclass(frozen=True, slots=True)
class PictureView:
    """All that the template of one input takes."""

    number: int
    name: str
    css: str
    words: str
    probability: str
    headline: str
    sentence: str
    alt: str = ""
    picture: Embedded | None = None
    frame: InputInfo | VideoInput | None = None
    boxes: Sequence[BoxView] = ()
    scale: ScaleView | None = None
    faces: Sequence[FaceView] = ()
    reasons: Sequence[ReasonView] = ()
    warnings: Sequence[str] = ()
    provenance: Sequence[str] = ()
    threshold: str = ""
    facts: Sequence[Fact] = ()
    noun: str = "Face"
    clip: ClipView | None = None
