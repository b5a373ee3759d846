"""The marks that generators, beauty filters and other programs leave in metadata."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from deepfake_detector.core.provenance import Trace, TraceKind
from deepfake_detector.media.metadata import Field

SHOWN = 160
"""Characters of a field that a trace repeats."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A program, and the pattern of the texts that it writes; ``where`` must match the name of the field."""

    program: str
    kind: TraceKind
    text: re.Pattern[str]
    where: re.Pattern[str]


def _mark(program: str, kind: TraceKind, text: str, where: str = "") -> _Mark:
    return _Mark(program, kind, re.compile(text, re.IGNORECASE), re.compile(where, re.IGNORECASE))


# Fields in which a program names itself; a caption may name any program.
_ITSELF = r"Software|CreatorTool|softwareAgent|Credit|Make$|Model$"
_GENERATOR, _BEAUTY = TraceKind.GENERATOR, TraceKind.BEAUTY

MARKS: tuple[_Mark, ...] = (
    _mark("Stable Diffusion web UI", _GENERATOR, r"\bSteps: \d+, Sampler: ", r"parameters|UserComment|comment"),
    _mark("ComfyUI", _GENERATOR, r'"class_type"\s*:', r"text prompt|Make$|Model$|UserComment|ImageDescription"),
    _mark("ComfyUI", _GENERATOR, r'"(?:last_node_id|nodes)"\s*:', r"text workflow|Make$|Model$|ImageDescription"),
    _mark("InvokeAI", _GENERATOR, r".", r"text (?:invokeai_metadata|invokeai_graph|sd-metadata|dream)$"),
    _mark("NovelAI", _GENERATOR, r"\bNovelAI\b", r"Software|Source|Title"),
    _mark("Midjourney", _GENERATOR, r"\bJob ID: [0-9a-f-]{36}|\bmidjourney\b", r"Description|Software|Author|Creator"),
    _mark("Adobe Firefly", _GENERATOR, r"\bFirefly\b", _ITSELF),
    _mark("OpenAI", _GENERATOR, r"\b(?:DALL[·-]?E|OpenAI|ChatGPT|gpt-image|gpt-4o)\b", _ITSELF),
    _mark("Google AI", _GENERATOR, r"\b(?:made|edited|created) with google ai\b|\bImagen\b|\bGemini\b", _ITSELF),
    _mark("Bing Image Creator", _GENERATOR, r"\bBing Image Creator\b|\bMicrosoft Designer\b", _ITSELF),
    _mark("Stable Diffusion", _GENERATOR, r"\bStable ?Diffusion\b|\bAUTOMATIC1111\b|\bFooocus\b", _ITSELF),
    _mark("FLUX", _GENERATOR, r"\bBlack Forest Labs\b|\bFLUX\.?[12]\b", _ITSELF + "|Artist"),
    _mark("Leonardo.Ai", _GENERATOR, r"\bLeonardo\.?ai\b", _ITSELF),
    _mark("Ideogram", _GENERATOR, r"\bIdeogram\b", _ITSELF),
    *(
        _mark(name, _BEAUTY, rf"\b{name.replace(' ', ' ?')}\b", _ITSELF + "|UserComment|ImageDescription")
        for name in (
            "FaceApp", "Facetune", "BeautyPlus", "Meitu", "MeituPic", "Snapchat", "B612", "SNOW", "YouCam", "Ulike",
            "AirBrush", "Lensa", "BeautyCam", "Faceu", "Remini",
        )
    ),
    _mark("a screenshot", TraceKind.SCREENSHOT, r"\bscreen ?shot\b", r"UserComment|Software|Description|text"),
)  # fmt: skip
"""Most telling first; a field gives the first mark that fits."""


def find_traces(fields: Sequence[Field]) -> tuple[Trace, ...]:
    """The traces in some fields; a program that names itself and is on no list is kept as "other"."""
    found: dict[tuple[str, str], Trace] = {}
    for field in fields:
        trace = _trace(field)
        if trace is not None:
            found.setdefault((trace.program, trace.where), trace)
    return tuple(found.values())


def _trace(field: Field) -> Trace | None:
    shown = " ".join(field.text.split())[:SHOWN]
    for mark in MARKS:
        if mark.where.search(field.where) and mark.text.search(field.text):
            return Trace(mark.program, mark.kind, field.where, shown)
    if re.search(r"Software|CreatorTool", field.where):
        return Trace(shown[:60], TraceKind.OTHER, field.where, shown)
    return None
