"""The parts of an answer's JSON that pictures and videos share: a face, the decision, the model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from deepfake_detector.core.types import (
    Box,
    Doubt,
    Face,
    Kind,
    Landmarks,
    OperatingPoint,
    Quality,
    QualityIssue,
    Verdict,
)
from deepfake_detector.report.explanation_schema import (
    ExplanationRecord,
    HeatmapRecord,
    Part,
    Share,
    explanation,
    heatmap,
)

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


class ModelRecord(Part):
    """Which model answered."""

    name: str
    version: str
    sha256: Sha256 = Field(description="SHA-256 of the ONNX file.")
    license: str = Field(description="Terms of the weights.")


def face_record(face: Face) -> FaceRecord:
    """The record of a face."""
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


def face(record: FaceRecord) -> Face:
    """The face that a record was made of."""
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
