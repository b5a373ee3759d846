"""The JSON of a video's answer: the keys of a picture's, and beside them persons, timelines, segments and stills."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from deepfake_detector.core.types import Box, Decision, Kind, ModelInfo, Quality, Verdict
from deepfake_detector.core.video import (
    Curve,
    Exhibit,
    Observation,
    Person,
    SampledFrames,
    Segment,
    Still,
    VideoInput,
    VideoReport,
)
from deepfake_detector.report.explanation_schema import HeatmapRecord, Part, Share, heatmap
from deepfake_detector.report.face_schema import (
    DecisionRecord,
    FaceRecord,
    ModelRecord,
    QualityRecord,
    Sha256,
    face_record,
)
from deepfake_detector.report.face_schema import face as face_of
from deepfake_detector.report.text import encodable

URI = "data:image/jpeg;base64,"


def data_uri(jpeg: bytes) -> str:
    """A JPEG file as a ``data:`` URI."""
    return URI + base64.b64encode(jpeg).decode("ascii")


def _jpeg(value: object) -> object:
    """The file in a ``data:`` URI; bytes stay as they are. Raises ValueError for any other text."""
    if not isinstance(value, str):
        return value
    if not value.startswith(URI):
        raise ValueError(f"a picture must be a URI that begins with {URI}")
    try:
        return base64.b64decode(value.removeprefix(URI), validate=True)
    except binascii.Error as error:
        raise ValueError("a picture is not in base64") from error


Jpeg = Annotated[
    bytes,
    BeforeValidator(_jpeg),
    PlainSerializer(data_uri, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^" + URI, "description": "A JPEG file as a data: URI."}),
]


class FrameRecord(Part):
    """A person in one analysed frame."""

    index: int = Field(ge=0, description="Number of the analysed frame, from 0.")
    time: float = Field(ge=0.0, description="The frame's time stamp in seconds.")
    scene: int = Field(ge=0, description="How many cuts came before.")
    p_fake: Share = Field(description="Calibrated probability of this frame alone.")
    box: tuple[float, float, float, float] = Field(description="[x, y, width, height] in pixels of the upright frame.")
    confidence: Share = Field(description="The face finder's own score.")
    quality: QualityRecord
    logit: float = Field(description="The network's raw fake logit.")
    kind_logit: float | None = Field(description="Positive leans to generated; null where the network has none.")
    voices: tuple[float, ...] = Field(
        (),
        description="Logits of the network's parts, whose odds add up to its own; none if it has one part.",
    )


class SegmentRecord(Part):
    """A stretch of time that looks fake."""

    start: float = Field(ge=0.0, description="Seconds.")
    end: float = Field(ge=0.0, description="Seconds.")
    score: Share = Field(description="Mean p_fake of its frames.")


class ExhibitRecord(Part):
    """One of the frames in which a person looks most like a fake."""

    index: int = Field(ge=0, description="Number of the analysed frame.")
    time: float = Field(ge=0.0, description="Seconds.")
    p_fake: Share
    picture: Jpeg = Field(description="The face from near.")
    overlay: Jpeg | None = Field(description="The same with its heat map; null where the network gives none.")
    heatmap: HeatmapRecord | None


class CurveRecord(Part):
    """Something measured from frame to frame."""

    name: str
    times: tuple[float, ...] = Field(description="Seconds.")
    values: tuple[float, ...]
    unit: str
    usual: tuple[float, float] | None = Field(description="The range of real clips, where it is known.")


class PersonRecord(Part):
    """A person of a video; the face at the same place in `faces` has their verdict."""

    id: int = Field(ge=1)
    time: float = Field(ge=0.0, description="Of the frame that `faces` shows, in seconds: the one most like a fake.")
    pooling: str = Field(description="How the frames were joined into one score.")
    timeline: tuple[FrameRecord, ...] = Field(min_length=1)
    segments: tuple[SegmentRecord, ...] = Field(description="Stretches that look fake, in the order of time.")
    exhibits: tuple[ExhibitRecord, ...] = Field(description="The frames most like a fake, the worst first.")
    curves: tuple[CurveRecord, ...] = Field(default=(), description="What was measured from frame to frame.")


class VideoInputRecord(Part):
    """What was analysed; sizes are of the upright frame, in pixels."""

    sha256: Sha256
    bytes: int = Field(ge=0)
    format: str
    codec: str
    width: int = Field(ge=0)
    height: int = Field(ge=0)
    duration: float | None = Field(description="Seconds; null where the file does not say.")
    fps: float | None = Field(description="Mean frames a second; null where the file does not say.")
    audio: bool


class SamplingRecord(Part):
    """Which frames were looked at."""

    rule: str = Field(description="How they were chosen, in words.")
    analysed: int = Field(ge=0)
    cuts: tuple[float, ...] = Field(description="Times at which a new scene begins, in seconds.")


class StillRecord(Part):
    """A whole frame, made small."""

    index: int = Field(ge=0)
    time: float = Field(ge=0.0)
    picture: Jpeg
    width: int = Field(ge=1, description="Of the picture, in pixels.")
    height: int = Field(ge=1)


class VideoRecord(Part):
    """The answer for a video that was analysed."""

    path: str | None = Field(description="As given; `-` for standard input; null for videos that have no path.")
    verdict: Verdict = Field(description="That of the most suspicious person.")
    p_fake: Share | None = Field(description="Calibrated probability of that person; null only where nobody is found.")
    kind: Kind | None = Field(description="Kind of fake; only with the verdict `fake`.")
    faces: tuple[FaceRecord, ...] = Field(description="One for each person, pooled over the frames.")
    persons: tuple[PersonRecord, ...] = Field(description="In the order of `faces`.")
    decision: DecisionRecord
    input: VideoInputRecord
    sampling: SamplingRecord
    model: ModelRecord
    warnings: tuple[str, ...]
    timings: dict[str, float] = Field(description="Seconds of work per stage; stages overlap.")
    elapsed: float = Field(ge=0.0, description="Seconds from beginning to end.")
    still: StillRecord | None = Field(description="The frame most like a fake of the most suspicious person.")
    error: None = None
    schema_version: str = Field(pattern=r"^1\.\d+$")


def video_record(report: VideoReport) -> VideoRecord:
    """The record of a video's report. Raises ValueError if a number in it is not finite or out of range."""
    info = report.input
    return VideoRecord(
        path=None if info.path is None else encodable(info.path),
        verdict=report.verdict,
        p_fake=report.p_fake,
        kind=report.kind,
        faces=tuple(face_record(face) for face in report.faces),
        persons=tuple(_person_record(person) for person in report.persons),
        decision=DecisionRecord.model_validate(report.decision, from_attributes=True),
        input=VideoInputRecord.model_validate(info, from_attributes=True),
        sampling=SamplingRecord.model_validate(report.sampling, from_attributes=True),
        model=ModelRecord.model_validate(report.model, from_attributes=True),
        warnings=tuple(encodable(warning) for warning in report.warnings),
        timings=dict(report.timings),
        elapsed=report.elapsed,
        still=None if report.still is None else StillRecord.model_validate(report.still, from_attributes=True),
        schema_version=report.schema_version,
    )


def video_report(record: VideoRecord) -> VideoReport:
    """The report that a record was made of, but for landmarks and features of single frames."""
    return VideoReport(
        input=VideoInput(path=record.path, **dict(record.input)),
        model=ModelInfo(**dict(record.model)),
        verdict=record.verdict,
        p_fake=record.p_fake,
        kind=record.kind,
        decision=Decision(**dict(record.decision)),
        sampling=SampledFrames(**dict(record.sampling)),
        persons=tuple(_person(*pair) for pair in zip(record.persons, record.faces, strict=True)),
        warnings=record.warnings,
        timings=dict(record.timings),
        elapsed=record.elapsed,
        still=None if record.still is None else Still(**dict(record.still)),
        schema_version=record.schema_version,
    )


def _person_record(person: Person) -> PersonRecord:
    return PersonRecord(
        id=person.id,
        time=person.time,
        pooling=person.pooling,
        timeline=tuple(_frame_record(seen) for seen in person.observations),
        segments=tuple(SegmentRecord.model_validate(one, from_attributes=True) for one in person.segments),
        exhibits=tuple(ExhibitRecord.model_validate(one, from_attributes=True) for one in person.exhibits),
        curves=tuple(CurveRecord.model_validate(one, from_attributes=True) for one in person.curves),
    )


def _person(record: PersonRecord, face: FaceRecord) -> Person:
    return Person(
        id=record.id,
        face=face_of(face),
        time=record.time,
        pooling=record.pooling,
        observations=tuple(_observation(frame) for frame in record.timeline),
        segments=tuple(Segment(**dict(one)) for one in record.segments),
        exhibits=tuple(Exhibit(**{**dict(one), "heatmap": heatmap(one.heatmap)}) for one in record.exhibits),
        curves=tuple(Curve(**dict(one)) for one in record.curves),
    )


def _frame_record(seen: Observation) -> FrameRecord:
    return FrameRecord(
        index=seen.index,
        time=seen.time,
        scene=seen.scene,
        p_fake=seen.p_fake,
        box=(seen.box.x, seen.box.y, seen.box.w, seen.box.h),
        confidence=seen.confidence,
        quality=QualityRecord.model_validate(seen.quality, from_attributes=True),
        logit=seen.logit,
        kind_logit=seen.kind_logit,
        voices=seen.voices,
    )


def _observation(record: FrameRecord) -> Observation:
    return Observation(
        index=record.index,
        time=record.time,
        scene=record.scene,
        box=Box(*record.box),
        landmarks=None,
        confidence=record.confidence,
        quality=Quality(**dict(record.quality)),
        logit=record.logit,
        p_fake=record.p_fake,
        kind_logit=record.kind_logit,
        voices=record.voices,
    )
