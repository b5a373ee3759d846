"""The JSON of an answer: one record per input, read and written without loss, with a published JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import (
    REPORT_SCHEMA_VERSION,
    Decision,
    Failure,
    InputInfo,
    Kind,
    ModelInfo,
    Report,
    Verdict,
)
from deepfake_detector.core.video import AnyOutcome, VideoReport
from deepfake_detector.report.explanation_schema import (
    CautionRecord,
    Part,
    ProvenanceRecord,
    Share,
    caution,
    provenance,
)
from deepfake_detector.report.face_schema import DecisionRecord, FaceRecord, ModelRecord, Sha256, face_record
from deepfake_detector.report.face_schema import face as face_of
from deepfake_detector.report.text import encodable
from deepfake_detector.report.video_schema import VideoRecord, video_record, video_report

SCHEMA_ID = f"urn:deepfake-detector:schema:answer:{REPORT_SCHEMA_VERSION}"


class InputRecord(Part):
    """What was analysed; sizes are of the upright picture, in pixels."""

    sha256: Sha256
    bytes: int = Field(ge=0)
    format: str
    width: int = Field(ge=0)
    height: int = Field(ge=0)


class AnalysedRecord(Part):
    """The answer for a picture that was analysed."""

    path: str | None = Field(description="As given; `-` for standard input; null for pictures that have no path.")
    verdict: Verdict
    p_fake: Share | None = Field(description="Calibrated probability of the picture; null only where no face is found.")
    kind: Kind | None = Field(description="Kind of fake; only with the verdict `fake`.")
    faces: tuple[FaceRecord, ...]
    decision: DecisionRecord
    input: InputRecord
    model: ModelRecord
    warnings: tuple[str, ...]
    cautions: tuple[CautionRecord, ...] = Field(
        default=(), description="Named reasons to trust the score less; only looked for with an explanation."
    )
    provenance: ProvenanceRecord | None = Field(
        default=None,
        description="What the file claims of its own origin, never part of the score; null unless it was asked for.",
    )
    timings: dict[str, float] = Field(description="Seconds per stage.")
    error: None = None
    schema_version: str = Field(pattern=r"^1\.\d+$")

    @model_validator(mode="before")
    @classmethod
    def _is_no_video(cls, data: Any) -> Any:
        """A broken answer for a video must not be read as one for a picture, whose keys it has."""
        if isinstance(data, Mapping) and "persons" in data:
            raise ValueError("this is the answer for a video")
        return data


class ErrorRecord(Part):
    """Why an input has no answer."""

    code: str = Field(description="Stable word, such as `damaged` or `unsupported_format`.")
    message: str = Field(description="What was got and what to do.")


class FailedInputRecord(Part):
    """What is known of an input that could not be analysed."""

    sha256: Sha256 | None


class FailedRecord(Part):
    """The answer for an input that could not be analysed."""

    path: str | None = Field(description="As given; `-` for standard input; null for pictures that have no path.")
    verdict: None = None
    p_fake: None = None
    kind: None = None
    faces: tuple[FaceRecord, ...] = Field(default=(), max_length=0)
    decision: None = None
    input: FailedInputRecord
    model: None = None
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = Field(default_factory=dict)
    error: ErrorRecord
    schema_version: str = Field(pattern=r"^1\.\d+$")


# A video's record has all that a picture's has, and must be tried first.
Record = Annotated[VideoRecord | AnalysedRecord | FailedRecord, Field(union_mode="left_to_right")]


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one record: a line of ``--jsonl``, or an element of ``--json``."""
    body = _adapter().json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Answer of the deepfake detector for one input",
        "description": "A line of --jsonl, or an element of the array of --json.",
        **body,
    }


def to_record(outcome: AnyOutcome) -> Record:
    """The record of a report or a failure. Raises ValueError if a number in it is not finite or out of range."""
    if isinstance(outcome, Failure):
        return FailedRecord(
            path=_text(outcome.path),
            input=FailedInputRecord(sha256=outcome.sha256),
            error=ErrorRecord(code=outcome.code, message=encodable(outcome.message)),
            schema_version=REPORT_SCHEMA_VERSION,
        )
    if isinstance(outcome, VideoReport):
        return video_record(outcome)
    info = outcome.input
    return AnalysedRecord(
        path=_text(info.path),
        verdict=outcome.verdict,
        p_fake=outcome.p_fake,
        kind=outcome.kind,
        faces=tuple(face_record(face) for face in outcome.faces),
        decision=DecisionRecord.model_validate(outcome.decision, from_attributes=True),
        input=InputRecord.model_validate(info, from_attributes=True),
        model=ModelRecord.model_validate(outcome.model, from_attributes=True),
        warnings=tuple(encodable(warning) for warning in outcome.warnings),
        cautions=tuple(CautionRecord.model_validate(entry, from_attributes=True) for entry in outcome.cautions),
        provenance=ProvenanceRecord.of(outcome.provenance),
        timings=dict(outcome.timings),
        schema_version=outcome.schema_version,
    )


def from_record(record: Record) -> AnyOutcome:
    """The report or failure that a record was made of."""
    if isinstance(record, FailedRecord):
        return Failure(record.path, record.error.code, record.error.message, record.input.sha256)
    if isinstance(record, VideoRecord):
        return video_report(record)
    return Report(
        input=InputInfo(path=record.path, **dict(record.input)),
        model=ModelInfo(**dict(record.model)),
        verdict=record.verdict,
        p_fake=record.p_fake,
        kind=record.kind,
        decision=Decision(**dict(record.decision)),
        faces=tuple(face_of(face) for face in record.faces),
        warnings=record.warnings,
        cautions=tuple(caution(entry) for entry in record.cautions),
        provenance=provenance(record.provenance),
        timings=dict(record.timings),
        schema_version=record.schema_version,
    )


def to_json(outcome: AnyOutcome) -> str:
    """One line of JSON without a line break; never NaN. Raises ValueError as ``to_record`` does."""
    return to_record(outcome).model_dump_json()


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def from_json(line: str | bytes) -> AnyOutcome:
    """Read what ``to_json`` wrote. Raises ConfigError if it is not a record of a version that this one can read."""
    try:
        return from_record(_adapter().validate_json(line))
    except ValidationError as error:
        raise ConfigError(
            f"not an answer that this version (schema {REPORT_SCHEMA_VERSION}) can read: {line[:80]!r}"
        ) from error


def _text(path: str | None) -> str | None:
    return None if path is None else encodable(path)
