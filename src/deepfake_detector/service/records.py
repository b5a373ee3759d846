"""What the service says of an analysis, as JSON; the report inside is the one that ``deepfake schema`` describes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter

from deepfake_detector.core.types import Failure, OperatingPoint, Report, Verdict
from deepfake_detector.core.video import VideoReport
from deepfake_detector.report.schema import AnalysedRecord, from_record
from deepfake_detector.report.text import VERDICT_WORDS, encodable, face_reasons, percent
from deepfake_detector.report.video_schema import VideoRecord
from deepfake_detector.report.video_text import (
    answer_sentence,
    answer_threshold,
    explained_frame,
    person_reasons,
    person_sentence,
)
from deepfake_detector.report.words import MAP_WORDS, caution_sentences, face_words, provenance_sentences
from deepfake_detector.service.db.tables import SECOND, Analysis, State

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class FileOut(BaseModel):
    """The file that was sent."""

    name: str = Field(description="As its owner called it; for display.")
    bytes: int
    sha256: str
    kept: bool = Field(description="False once the file was deleted; the answer stays.")


class OptionsOut(BaseModel):
    """How it is analysed."""

    operating_point: OperatingPoint
    prior: Share
    all_faces: bool
    explain: bool


class ErrorOut(BaseModel):
    """Why there is no report."""

    code: str
    message: str


class FaceText(BaseModel):
    """A face in plain words."""

    verdict: str
    probability: str
    notes: tuple[str, ...]
    reasons: tuple[str, ...] = Field(description="Where its score comes from; empty unless it was asked for.")


class TextOut(BaseModel):
    """The answer in plain words."""

    verdict: str
    probability: str | None
    sentence: str
    threshold: str
    faces: tuple[FaceText, ...]
    map: str | None = Field(description="What the heat maps are; null where there is none.")
    cautions: tuple[str, ...] = Field(description="Reasons to trust the score less.")
    provenance: tuple[str, ...] = Field(description="What the file says of itself; never part of the score.")


class LinksOut(BaseModel):
    """Where more is to be had; null where there is nothing."""

    self: str
    events: str
    batch: str
    report: str | None
    case: str | None
    forensic: str | None
    preview: str | None
    frames: str | None = Field(description="Of a video: put a time in the place of `{milliseconds}`.")
    heatmaps: tuple[str | None, ...] = Field(default=(), description="One for each face of the report, or null.")


class AnalysisSummary(BaseModel):
    """An analysis as lists show it."""

    id: str
    batch: str = Field(description="What came in one request has the same one.")
    state: State
    progress: Share
    seconds_left: float | None = Field(description="About how long a video that runs will still take.")
    video: bool
    created: datetime
    started: datetime | None
    finished: datetime | None
    file: FileOut
    options: OptionsOut
    verdict: Verdict | None
    p_fake: Share | None
    error: ErrorOut | None
    links: LinksOut


class AnalysisOut(AnalysisSummary):
    """An analysis with its report."""

    report: VideoRecord | AnalysedRecord | None
    text: TextOut | None = Field(description="The report in plain words.")


class BatchOut(BaseModel):
    """What came in one request."""

    batch: str
    analyses: tuple[AnalysisSummary, ...]


class ListOut(BaseModel):
    """A page of a list, the newest first."""

    analyses: tuple[AnalysisSummary, ...]
    next: str | None = Field(description="The cursor of the next page; null on the last one.")


def summary(row: Analysis) -> AnalysisSummary:
    """A row of the table without its report."""
    return AnalysisSummary(**_common(row), links=_links(row, ()))


def whole(row: Analysis) -> AnalysisOut:
    """A row of the table with its report."""
    report = None if row.report is None else _reports(row.video).validate_json(row.report)
    outcome = None if report is None else from_record(report)
    text = None if outcome is None or isinstance(outcome, Failure) else _text(outcome)
    return AnalysisOut(**_common(row), links=_links(row, heatmaps(row)), report=report, text=text)


def heatmaps(row: Analysis) -> tuple[bool, ...]:
    """For each face of a picture's report, whether it has a heat map; those of a video are inside its report."""
    if row.video:
        return ()
    faces = [] if row.report is None else json.loads(row.report)["faces"]
    return tuple(face.get("heatmap") is not None for face in faces)


@cache
def _reports(video: bool) -> TypeAdapter[AnalysedRecord | VideoRecord]:
    return TypeAdapter(VideoRecord if video else AnalysedRecord)


def _common(row: Analysis) -> dict[str, Any]:
    error = None if row.error_code is None else ErrorOut(code=row.error_code, message=row.error_message or "")
    return {
        "id": row.id,
        "batch": row.batch,
        "state": State(row.state),
        "progress": row.progress,
        "seconds_left": row.seconds_left,
        "video": row.video,
        "created": _time(row.created),
        "started": _time(row.started),
        "finished": _time(row.finished),
        "file": FileOut(name=row.name, bytes=row.bytes, sha256=row.sha256, kept=row.stored > 0),
        "options": OptionsOut(
            operating_point=OperatingPoint(row.operating_point),
            prior=row.prior,
            all_faces=row.all_faces,
            explain=row.explain,
        ),
        "verdict": None if row.verdict is None else Verdict(row.verdict),
        "p_fake": row.p_fake,
        "error": error,
    }


def _time(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else datetime.fromtimestamp(microseconds / SECOND, UTC)


def _links(row: Analysis, maps: tuple[bool, ...]) -> LinksOut:
    place = f"/v1/analyses/{row.id}"
    shown = row.state == State.DONE and row.stored > 0
    return LinksOut(
        self=place,
        events=f"{place}/events",
        batch=f"/v1/batches/{row.batch}",
        report=f"{place}/report.html" if shown else None,
        case=f"{place}/case.json" if row.state == State.DONE and not row.video else None,
        forensic=f"{place}/forensic.html" if shown and not row.video else None,
        preview=f"{place}/preview.jpg" if shown else None,
        frames=f"{place}/frames/{{milliseconds}}.jpg" if shown and row.video else None,
        heatmaps=tuple(f"{place}/heatmaps/{n}.png" if there else None for n, there in enumerate(maps, 1)),
    )


def _text(report: Report | VideoReport) -> TextOut:
    maps = [face.heatmap for face in report.faces if face.heatmap is not None]
    picture = report if isinstance(report, Report) else None
    return TextOut(
        verdict=VERDICT_WORDS[report.verdict],
        probability=percent(report.p_fake) if report.p_fake is not None else None,
        sentence=answer_sentence(report),
        threshold=answer_threshold(report) if report.p_fake is not None else "",
        faces=_faces(report),
        map=MAP_WORDS[maps[0].method] if maps else None,
        cautions=() if picture is None else caution_sentences(picture),
        provenance=() if picture is None else tuple(map(encodable, provenance_sentences(picture.provenance))),
    )


def _faces(report: Report | VideoReport) -> tuple[FaceText, ...]:
    """The faces of a picture, or the persons of a video."""
    notes = (
        [face_reasons(face) for face in report.faces]
        if isinstance(report, Report)
        else [(*person_reasons(person), person_sentence(person)) for person in report.persons]
    )
    return tuple(
        FaceText(
            verdict=VERDICT_WORDS[face.verdict],
            probability=percent(face.p_fake),
            notes=(*(() if face.kind is None else (face.kind.value,)), *said),
            reasons=face_words(face, report.decision, explained_frame(report, at)),
        )
        for at, (face, said) in enumerate(zip(report.faces, notes, strict=True))
    )
