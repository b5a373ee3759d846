"""The parts of an answer's JSON that explain it: heat maps, shares, re-encodings, cautions, provenance."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from deepfake_detector.core.explanation import (
    Caution,
    CautionName,
    Explanation,
    FacePart,
    Heatmap,
    MapMethod,
    Nearness,
    PartShare,
    Reencoding,
)
from deepfake_detector.core.provenance import Manifest, ManifestState, Provenance, Trace, TraceKind
from deepfake_detector.report.text import encodable

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Part(BaseModel):
    """Unknown keys are ignored when read, so that a file of a later 1.x version still opens."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class HeatmapRecord(Part):
    """Where in a face the evidence lies."""

    method: MapMethod = Field(description="How it was made; `layer-cam`, `cam` and `occlusion` are in raw logits.")
    values: tuple[tuple[float, ...], ...] = Field(
        description="Rows from top to bottom; positive speaks for fake. A `layer-cam` or `cam` averages to the logit "
        "(of a single network: without its bias)."
    )
    corners: tuple[tuple[float, float], ...] = Field(
        min_length=4,
        max_length=4,
        description="Of the square that the map covers, [x, y] in pixels of the upright picture, clockwise from the "
        "top left one.",
    )

    @classmethod
    def of(cls, value: Heatmap | None) -> Self | None:
        """The record of a map."""
        return None if value is None else cls.model_validate(value, from_attributes=True)


class PartShareRecord(Part):
    """What a part of the face carries."""

    part: FacePart
    evidence: Share = Field(description="Share of what speaks for fake in the map.")
    area: Share = Field(description="Share of the square that the part takes.")


class ReencodingRecord(Part):
    """The score after saving the face again in a light way."""

    name: str
    p_fake: Share


class NearnessRecord(Part):
    """How far a face is from those that the model knows."""

    distance: float = Field(ge=0.0, description="About 1 for a known face.")
    limit: float = Field(gt=0.0)
    beyond: Share = Field(description="The share of known faces that lie farther away than `limit`.")


class ExplanationRecord(Part):
    """What can be said of a face beside its score."""

    parts: tuple[PartShareRecord, ...] = Field(
        description="Empty where no face mesh fits, or nothing in the map speaks for fake."
    )
    reencodings: tuple[ReencodingRecord, ...]
    nearness: NearnessRecord | None = Field(default=None, description="Null where the model cannot tell it.")

    @classmethod
    def of(cls, value: Explanation | None) -> Self | None:
        """The record of an explanation."""
        return None if value is None else cls.model_validate(value, from_attributes=True)


class CautionRecord(Part):
    """A named reason to trust the score less."""

    name: CautionName
    detail: str = Field(description="What was measured or found.")
    face: int | None = Field(ge=0, description="Index into `faces`; null for the whole picture.")


class ManifestRecord(Part):
    """A C2PA manifest, in the words of whoever signed it."""

    state: ManifestState = Field(
        description="`invalid`, `valid` and `trusted` as the C2PA library says. Valid is not true, invalid is not fake."
    )
    signer: str | None
    signed_at: str | None
    generator: str | None = Field(description="The program that it claims.")
    actions: tuple[str, ...]
    problems: tuple[str, ...] = Field(description="Codes of the checks that failed.")


class TraceRecord(Part):
    """A mark that a program leaves in metadata."""

    program: str
    kind: TraceKind
    where: str
    text: str = Field(description="The beginning of what stands there.")


class ProvenanceRecord(Part):
    """What a file claims of its own origin."""

    manifest: ManifestRecord
    source_types: tuple[str, ...] = Field(description="IPTC digital source types, the last word of their URI.")
    traces: tuple[TraceRecord, ...]
    camera: str | None
    jpeg_quality: int | None = Field(description="About the quality of its JPEG compression, 1 to 100.")
    stripped: bool = Field(description="True if the file says nothing of its origin.")

    @classmethod
    def of(cls, value: Provenance | None) -> Self | None:
        """The record of a provenance; bytes that are not UTF-8 are escaped."""
        if value is None:
            return None
        traces = tuple(
            TraceRecord(program=encodable(t.program), kind=t.kind, where=encodable(t.where), text=encodable(t.text))
            for t in value.traces
        )
        return cls(
            manifest=ManifestRecord.model_validate(value.manifest, from_attributes=True),
            source_types=value.source_types,
            traces=traces,
            camera=None if value.camera is None else encodable(value.camera),
            jpeg_quality=value.jpeg_quality,
            stripped=value.stripped,
        )


def heatmap(record: HeatmapRecord | None) -> Heatmap | None:
    """The map that a record was made of."""
    return None if record is None else Heatmap(**dict(record))


def explanation(record: ExplanationRecord | None) -> Explanation | None:
    """The explanation that a record was made of."""
    if record is None:
        return None
    parts = tuple(PartShare(**dict(part)) for part in record.parts)
    nearness = None if record.nearness is None else Nearness(**dict(record.nearness))
    return Explanation(parts, tuple(Reencoding(**dict(way)) for way in record.reencodings), nearness)


def caution(record: CautionRecord) -> Caution:
    """The caution that a record was made of."""
    return Caution(**dict(record))


def provenance(record: ProvenanceRecord | None) -> Provenance | None:
    """The provenance that a record was made of."""
    if record is None:
        return None
    values = dict(record) | {
        "manifest": Manifest(**dict(record.manifest)),
        "traces": tuple(Trace(**dict(trace)) for trace in record.traces),
    }
    return Provenance(**values)
