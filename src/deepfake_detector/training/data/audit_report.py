"""Says what an audit found: in sentences, as JSON, and on one self-contained page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from deepfake_detector._version import __version__
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.data.audit import LEAK, WARNING, Audit, Finding, Guess, Part
from deepfake_detector.training.data.audit_predictors import JOINT, PREDICTORS, Level
from deepfake_detector.training.data.samples import Sample, common_parent

AUDIT_SCHEMA = 1
REPORT_NAME, JSON_NAME = "report.html", "audit.json"

HEADLINES = {
    Finding.LEAK: "Leak: the files give the label away",
    Finding.WARNING: "Not clean: read the warnings before training",
    Finding.OK: "No shortcut found",
}
_SHOWN = 20


def place(part: Part) -> str:
    """What a part is called in a sentence."""
    return "all pictures together" if part.set is None else f"the set {part.set or '(no name)'}"


def summary(audit: Audit) -> list[str]:
    """The verdict in sentences, the worst first."""
    sentences = [*_leaks(audit), *_warnings(audit), *audit.copies.troubles()]
    if audit.unreadable:
        sentences.append(f"{len(audit.unreadable)} of {audit.looked_at} pictures cannot be read.")
    sentences += audit.gaps
    judged = [part for part in audit.parts if part.guesses]
    if not judged:
        sentences.append(f"There are too few pictures to look for shortcuts: {audit.parts[0].reason}.")
    elif not any(part.finding is not Finding.OK for part in judged):
        best = max((guess for part in judged for guess in part.guesses), key=lambda guess: guess.auc.value or 0.0)
        sentences.insert(
            0, f"No trivial fact tells real from fake; the best, {best.predictor.words}, has AUC {said(best.auc)}."
        )
    return sentences


def _leaks(audit: Audit) -> list[str]:
    sentences = []
    for part in audit.parts:
        found = _of(part, Finding.LEAK)
        if found:
            sentences.append(
                f"In {place(part)}, {_listed(found)} tell{'s' if len(found) == 1 else ''} real from fake without a "
                "look at the faces. A network trained on this learns that, and fails on other pictures. Save both "
                "classes by one path: the same crop, size, format and quality."
            )
    return sentences + (_only_pooled(audit) if sentences else [])


def _only_pooled(audit: Audit) -> list[str]:
    pooled, *sets = audit.parts
    if not sets or pooled.finding is not Finding.LEAK or any(part.finding is Finding.LEAK for part in sets):
        return []
    return [
        "No set leaks by itself: the facts tell which set a picture is from, and the sets differ in their share of "
        "fakes. Balance the classes within each set (see `balance` in docs/data.md), pair sets of one kind, or keep "
        "sets with one class for validation."
    ]


def _warnings(audit: Audit) -> list[str]:
    sentences = []
    for part in audit.parts:
        found = _of(part, Finding.WARNING)
        if found:
            sentences.append(f"In {place(part)}, {_listed(found)} go{'es' if len(found) == 1 else ''} with the label.")
    return sentences


def _of(part: Part, finding: Finding) -> list[Guess]:
    found = [guess for guess in part.guesses if guess.finding is finding]
    single = [guess for guess in found if not guess.predictor.joint]
    best = max((guess.auc.value or 0.0 for guess in single), default=0.0)
    joint = [guess for guess in found if guess.predictor.joint and (guess.auc.value or 0.0) > best]
    return sorted([*single, *joint], key=lambda guess: -(guess.auc.value or 0.0))


def _listed(guesses: Sequence[Guess]) -> str:
    return ", ".join(f"{guess.predictor.words} (AUC {said(guess.auc)})" for guess in guesses)


def write_json(audit: Audit, file: Path) -> None:
    """All figures as JSON; null where one does not exist."""
    copies = audit.copies
    content: dict[str, Any] = {
        "schema_version": AUDIT_SCHEMA,
        "deepfake_detector": __version__,
        "data": audit.data,
        "fingerprint": audit.fingerprint,
        "settings": asdict(audit.options) | {"leak": LEAK, "warning": WARNING},
        "verdict": audit.finding,
        "summary": summary(audit),
        "counts": [asdict(row) for row in audit.counts],
        "looked_at": audit.looked_at,
        "parts": [_part_as_json(part) for part in audit.parts],
        "copies": {
            "repeated": copies.repeated,
            "held_out": copies.held_out,
            "held_out_with_a_copy_in_train": copies.tested,
            "same_file_in_several_splits": _names(copies.same_splits, audit),
            "alike_in_several_splits": _names(copies.alike_splits, audit),
            "same_file_in_both_classes": _names(copies.same_classes, audit),
            "alike_in_both_classes": _names(copies.alike_classes, audit),
        },
        "unreadable": [{"path": str(one.sample.path), "reason": one.reason} for one in audit.unreadable],
        "gaps": list(audit.gaps),
    }
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _part_as_json(part: Part) -> dict[str, Any]:
    guesses = {
        guess.predictor.name: asdict(guess.auc) | {"level": guess.predictor.level, "finding": guess.finding}
        for guess in part.guesses
    }
    counts = {"set": part.set, "real": part.real, "fake": part.fake}
    return counts | {"finding": part.finding, "reason": part.reason, "predictors": guesses}


def _names(groups: Iterable[Sequence[Sample]], audit: Audit) -> list[list[str]]:
    root = _root(audit)
    return [[_name(sample, root) for sample in group] for group in groups]


def _root(audit: Audit) -> Path:
    copies = audit.copies
    groups = (*copies.same_splits, *copies.alike_splits, *copies.same_classes, *copies.alike_classes)
    samples = [sample for group in groups for sample in group]
    return common_parent(samples) if samples else Path()


def _name(sample: Sample, root: Path) -> str:
    return sample.path.absolute().relative_to(root).as_posix()


def copy_rows(audit: Audit) -> list[tuple[str, int, list[list[str]]]]:
    """What kind of copies, how many groups, and the first of them by name."""
    copies = audit.copies
    kinds = (
        ("the same file in several splits", copies.same_splits),
        ("alike, in several splits", copies.alike_splits),
        ("the same file in both classes", copies.same_classes),
        ("alike, in both classes (often a fake and what it was made from)", copies.alike_classes),
    )
    return [(words, len(groups), _names(groups[:_SHOWN], audit)) for words, groups in kinds]


def write_page(audit: Audit, file: Path) -> None:
    """Write the page: one file, no script, no network."""
    from jinja2 import Environment, StrictUndefined

    folder = files("deepfake_detector.training").joinpath("templates")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update(said=said)
    page = environment.from_string(folder.joinpath("audit.html.j2").read_text(encoding="utf-8")).render(
        style=folder.joinpath("evaluation.css").read_text(encoding="utf-8"),
        audit=audit,
        headline=HEADLINES[audit.finding],
        summary=summary(audit),
        levels=[(level, [one for one in (*PREDICTORS, *JOINT) if one.level is level]) for level in Level],
        parts=[(part, {guess.predictor.name: guess for guess in part.guesses}) for part in audit.parts],
        copies=copy_rows(audit),
        unreadable=audit.unreadable[:_SHOWN],
        leak=LEAK,
        warning=WARNING,
        version=__version__,
    )
    file.write_text(page, encoding="utf-8")


def write(audit: Audit, folder: Path) -> Path:
    """Write the page and the numbers into a folder, which is made; gives the page."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(audit, folder / JSON_NAME)
    write_page(audit, folder / REPORT_NAME)
    return folder / REPORT_NAME
