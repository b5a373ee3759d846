"""The JSON of an answer: one record per input, read and written without loss, with a published JSON Schema."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import (
    REPORT_SCHEMA_VERSION,
    Box,
    Decision,
    Doubt,
    Face,
    Failure,
    InputInfo,
    Kind,
    Landmarks,
    ModelInfo,
    OperatingPoint,
    Outcome,
    Quality,
    QualityIssue,
    Report,
    Verdict,
)
from deepfake_detector.report.explanation_schema import (
    CautionRecord,
    ExplanationRecord,
    HeatmapRecord,
    Part,
    ProvenanceRecord,
    Share,
    caution,
    explanation,
    heatmap,
    provenance,
)
from deepfake_detector.report.text import encodable

SCHEMA_ID = f"urn:deepfake-detector:schema:answer:{REPORT_SCHEMA_VERSION}"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
XY = tuple[float, float]


class LandmarksRecord(Part):
    """Five points [x, y] in pixels of the upright picture; left and right as the viewer sees them."""

    left_eye: XY
    right_eye: XY
    nose: XY
    left_mouth: XY
    right_mouth: XY


class QualityRecord(Part):
    """How well a face can be judged."""

    size: float = Field(description="Shorter side of the face box in pixels.")
    sharpness: float = Field(description="Variance of the Laplacian of the grey face at a fixed size.")
    brightness: float = Field(description="Mean grey value, 0 to 255.")
    issues: tuple[QualityIssue, ...] = Field(description="Named reasons against judging the face; empty if none.")


class FaceRecord(Part):
    """One face of a picture."""

    box: tuple[float, float, float, float] = Field(
        description="[x, y, width, height] in pixels of the upright picture; x, y is the top left corner."
    )
    landmarks: LandmarksRecord | None
    confidence: Share = Field(description="The face finder's own score.")
    quality: QualityRecord
    logit: float = Field(description="The network's raw fake logit; positive leans to fake.")
    p_fake: Share = Field(description="Calibrated probability of being fake, at the prior in `decision`.")
    verdict: Verdict
    kind: Kind | None = Field(description="Kind of fake; only with the verdict `fake`.")
    considered: bool = Field(description="False for background faces, which the picture's verdict leaves out.")
    doubts: tuple[Doubt, ...] = Field(
        default=(), description="Why a face that can be judged is uncertain; empty where it is not."
    )
    heatmap: HeatmapRecord | None = Field(default=None, description="Null unless an explanation was asked for.")
    explanation: ExplanationRecord | None = Field(default=None, description="Null unless it was asked for.")


class DecisionRecord(Part):
    """How the picture's verdict came about."""

    operating_point: OperatingPoint = Field(description="Share of real pictures that may be called fake.")
    fpr: Share = Field(description="Share of real pictures that this threshold calls fake, on its own data.")
    threshold: Share = Field(description="From this p_fake on a face is called fake.")
    real_below: Share = Field(description="Under this p_fake a face is called real.")
    prior: Share = Field(description="The share of fakes that the probabilities assume.")
    faces: int = Field(ge=0, description="The number of faces that the threshold was corrected for.")
    all_faces: bool = Field(description="True if background faces count for the picture's verdict.")
    doubts: tuple[Doubt, ...] = Field(default=(), description="What was looked for that makes a face uncertain.")


class InputRecord(Part):
    """What was analysed; sizes are of the upright picture, in pixels."""

    sha256: Sha256
    bytes: int = Field(ge=0)
    format: str
    width: int = Field(ge=0)
    height: int = Field(ge=0)


class ModelRecord(Part):
    """Which model answered."""

    name: str
    version: str
    sha256: Sha256 = Field(description="SHA-256 of the ONNX file.")
    license: str = Field(description="Terms of the weights.")


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


Record = AnalysedRecord | FailedRecord


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


def to_record(outcome: Outcome) -> Record:
    """The record of a report or a failure. Raises ValueError if a number in it is not finite or out of range."""
    if isinstance(outcome, Failure):
        return FailedRecord(
            path=_text(outcome.path),
            input=FailedInputRecord(sha256=outcome.sha256),
            error=ErrorRecord(code=outcome.code, message=encodable(outcome.message)),
            schema_version=REPORT_SCHEMA_VERSION,
        )
    info = outcome.input
    return AnalysedRecord(
        path=_text(info.path),
        verdict=outcome.verdict,
        p_fake=outcome.p_fake,
        kind=outcome.kind,
        faces=tuple(_face_record(face) for face in outcome.faces),
        decision=DecisionRecord.model_validate(outcome.decision, from_attributes=True),
        input=InputRecord.model_validate(info, from_attributes=True),
        model=ModelRecord.model_validate(outcome.model, from_attributes=True),
        warnings=tuple(encodable(warning) for warning in outcome.warnings),
        cautions=tuple(CautionRecord.model_validate(entry, from_attributes=True) for entry in outcome.cautions),
        provenance=ProvenanceRecord.of(outcome.provenance),
        timings=dict(outcome.timings),
        schema_version=outcome.schema_version,
    )


def from_record(record: Record) -> Outcome:
    """The report or failure that a record was made of."""
    if isinstance(record, FailedRecord):
        return Failure(record.path, record.error.code, record.error.message, record.input.sha256)
    return Report(
        input=InputInfo(path=record.path, **dict(record.input)),
        model=ModelInfo(**dict(record.model)),
        verdict=record.verdict,
        p_fake=record.p_fake,
        kind=record.kind,
        decision=Decision(**dict(record.decision)),
        faces=tuple(_face(face) for face in record.faces),
        warnings=record.warnings,
        cautions=tuple(caution(entry) for entry in record.cautions),
        provenance=provenance(record.provenance),
        timings=dict(record.timings),
        schema_version=record.schema_version,
    )


def to_json(outcome: Outcome) -> str:
    """One line of JSON without a line break; never NaN. Raises ValueError as ``to_record`` does."""
    return to_record(outcome).model_dump_json()


@cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def from_json(line: str | bytes) -> Outcome:
    """Read what ``to_json`` wrote. Raises ConfigError if it is not a record of a version that this one can read."""
    try:
        return from_record(_adapter().validate_json(line))
    except ValidationError as error:
        raise ConfigError(
            f"not an answer that this version (schema {REPORT_SCHEMA_VERSION}) can read: {line[:80]!r}"
        ) from error


def _text(path: str | None) -> str | None:
    return None if path is None else encodable(path)


def _face_record(face: Face) -> FaceRecord:
    landmarks = face.landmarks
    return FaceRecord(
        box=(face.box.x, face.box.y, face.box.w, face.box.h),
        landmarks=None if landmarks is None else LandmarksRecord.model_validate(landmarks, from_attributes=True),
        confidence=face.confidence,
        quality=QualityRecord.model_validate(face.quality, from_attributes=True),
        logit=face.logit,
        p_fake=face.p_fake,
        verdict=face.verdict,
        kind=face.kind,
        considered=face.considered,
        doubts=face.doubts,
        heatmap=HeatmapRecord.of(face.heatmap),
        explanation=ExplanationRecord.of(face.explanation),
    )


def _face(record: FaceRecord) -> Face:
    return Face(
        box=Box(*record.box),
        landmarks=None if record.landmarks is None else Landmarks(**dict(record.landmarks)),
        confidence=record.confidence,
        quality=Quality(**dict(record.quality)),
        logit=record.logit,
        p_fake=record.p_fake,
        verdict=record.verdict,
        kind=record.kind,
        considered=record.considered,
        doubts=record.doubts,
        heatmap=heatmap(record.heatmap),
        explanation=explanation(record.explanation),
    )
