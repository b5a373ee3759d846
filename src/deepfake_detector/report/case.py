"""The JSON of a case: one answer, with everything that somebody needs to check it and to repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import Field

from deepfake_detector._version import __version__
from deepfake_detector.core.types import Report
from deepfake_detector.report.explanation_schema import Part
from deepfake_detector.report.html import ModelSummary
from deepfake_detector.report.schema import AnalysedRecord, to_record
from deepfake_detector.report.text import LIMITS, encodable, sentence, threshold_sentence
from deepfake_detector.report.words import caution_sentences, face_words, provenance_sentences


class CaseWords(Part):
    """The sentences of the case report."""

    verdict: str
    operating_point: str = Field(description="What the threshold stands for.")
    faces: tuple[tuple[str, ...], ...] = Field(description="For each face, where its score comes from.")
    cautions: tuple[str, ...]
    provenance: tuple[str, ...]


class CaseModel(Part):
    """The model that answered: its terms, its limits, its data."""

    name: str
    version: str
    sha256: str
    license: str = Field(description="Terms of the weights.")
    limits: tuple[str, ...]
    trained_on: tuple[str, ...]


class Case(Part):
    """One picture's answer with its reasons and circumstances."""

    created: str = Field(description="Date and time in UTC, ISO 8601.")
    tool_version: str
    command: str | None = Field(description="What to type to get the same again.")
    answer: AnalysedRecord
    words: CaseWords
    model: CaseModel
    limits: tuple[str, ...] = Field(description="What such an answer can and cannot say.")
    files: tuple[str, ...] = Field(description="What was written beside this file.")


def case_json(
    report: Report, model: ModelSummary, command: str | None, created: datetime, files: Sequence[str] = ()
) -> str:
    """The case as indented JSON. Raises ValueError if a number in the report is not finite."""
    answer = to_record(report)
    assert isinstance(answer, AnalysedRecord)
    words = CaseWords(
        verdict=sentence(report),
        operating_point=threshold_sentence(report.decision),
        faces=tuple(face_words(face, report.decision) for face in report.faces),
        cautions=caution_sentences(report),
        provenance=tuple(encodable(said) for said in provenance_sentences(report.provenance)),
    )
    facts = CaseModel(
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        license=model.license,
        limits=model.limits,
        trained_on=tuple(f"{item.name}: {item.real} real, {item.fake} fake; {item.terms}" for item in model.data),
    )
    case = Case(
        created=created.astimezone(UTC).isoformat(timespec="seconds"),
        tool_version=__version__,
        command=None if command is None else encodable(command),
        answer=answer,
        words=words,
        model=facts,
        limits=LIMITS,
        files=tuple(files),
    )
    return case.model_dump_json(indent=2)
