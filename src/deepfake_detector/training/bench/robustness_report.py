"""Writes a robustness bench: sentences, ``robustness.json``, ``robustness.csv``, ``answers.csv``, plots and a page."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepfake_detector._version import __version__
from deepfake_detector.training.bench.page import bare, write_report
from deepfake_detector.training.bench.reactions import CLEAN, Reaction, StressedPart, worst
from deepfake_detector.training.bench.robustness import Robustness
from deepfake_detector.training.bench.robustness_plots import draw
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.data.samples import relative_names
from deepfake_detector.training.evaluation_files import skipped_reasons
from deepfake_detector.training.evaluation_plots import POINT_NAMES
from deepfake_detector.training.evaluation_report import percent, said_rate
from deepfake_detector.training.intervals import Estimate

ROBUSTNESS_SCHEMA = 1


def write(found: Robustness, folder: Path) -> None:
    """Write numbers, plots and the page into a folder, which is made. Raises OSError."""
    point = POINT_NAMES[found.settings.point]
    write_report(
        folder,
        "robustness",
        _as_json(found),
        found=found,
        point=point,
        total=found.parts[0],
        sets=found.parts[1:],
        worst={part.name: worst(part) for part in found.parts},
        skipped=skipped_reasons(found.stressed.skipped),
        plots=draw(found.parts, point, folder / "plots"),
    )
    _write_csv(found.parts, folder / "robustness.csv")
    _write_answers(found, folder / "answers.csv")


def summary(found: Robustness) -> list[str]:
    """What was found in sentences, the worst case first."""
    total, *sets = found.parts
    sentences = [_worst_case(total)]
    sentences += _alarms(total)
    flips = max(total.changed, key=lambda one: one.flips.value or 0.0)
    sentences.append(
        f"Most verdicts change with {flips.words}: {said_rate(flips.flips)}, and {percent(flips.reversals.value)} even "
        "from real to fake or back."
    )
    losses = [(worst(part), part) for part in sets if part.clean.roc_auc.value is not None]
    if len(losses) > 1:
        case, part = max(losses, key=lambda pair: pair[0].loss.value or 0.0)
        sentences.append(
            f"The set that suffers most is {part.name}: {case.words} takes its AUC from "
            f"{bare(part.clean.roc_auc)} to {bare(case.roc_auc)}."
        )
    lost = max(total.changed, key=lambda one: one.lost)
    if lost.lost:
        sentences.append(
            f"With {lost.words}, {lost.lost} of {lost.flips.n} faces are not found any more; they have no score and "
            "are in no AUC."
        )
    if found.stressed.skipped:
        sentences.append(f"{len(found.stressed.skipped)} pictures were left out: no face, or they cannot be read.")
    return sentences


def _worst_case(total: StressedPart) -> str:
    case = worst(total)
    if total.clean.roc_auc.value is None:
        return f"Worst case: {case.words}. {percent(case.flips.value)} of the verdicts become another one."
    mean = f"The mean ROC-AUC over {total.sets_in_mean} sets" if total.sets_in_mean > 1 else "The ROC-AUC"
    if (case.loss.value or 0.0) <= 0.0:
        return f"No change costs any AUC. {mean} of the unchanged pictures is {said(total.clean.roc_auc)}."
    sure = (
        "" if case.loss.low is None or case.loss.low > 0.0 else " That is within what chance does with so few pictures."
    )
    return (
        f"Worst case: {case.words}. {mean} falls from {said(total.clean.roc_auc)} to {said(case.roc_auc)}, by "
        f"{said(case.loss)}.{sure}"
    )


def _alarms(total: StressedPart) -> list[str]:
    if not total.clean.fpr.n:
        return []
    case = max(total.changed, key=lambda one: one.fpr.value or 0.0)
    clean = total.clean.fpr
    if (case.fpr.value or 0.0) <= (clean.value or 0.0):
        return [f"No change raises the false alarms above the {said_rate(clean)} of the unchanged pictures."]
    return [
        f"False alarms rise most with {case.words}: {said_rate(case.fpr)} of the reals are called fake, of the "
        f"unchanged ones {said_rate(clean)}."
    ]


def _as_json(found: Robustness) -> dict[str, Any]:
    card = found.card
    return {
        "schema_version": ROBUSTNESS_SCHEMA,
        "deepfake_detector": __version__,
        "command": found.command,
        "model": {"name": card.name, "version": card.version, "onnx_sha256": card.onnx_sha256},
        "data": {
            "source": found.data,
            "split": found.split,
            "fingerprint": found.fingerprint,
            "pictures": len(found.stressed.clean) + len(found.stressed.skipped),
            "skipped": skipped_reasons(found.stressed.skipped),
        },
        "settings": asdict(found.settings) | {"find_again": found.find_again},
        "summary": summary(found),
        "worst": worst(found.parts[0]).name,
        "parts": [asdict(part) for part in found.parts],
    }


def _write_csv(parts: Sequence[StressedPart], file: Path) -> None:
    """One figure a line."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(
            ("set", "change", "family", "level", "figure", "value", "low", "high", "n", "used_for_selection")
        )
        for part in parts:
            for one in (part.clean, *part.changed):
                place = (part.name, one.name, one.family, f"{one.level:g}")
                for name, numbers in _figures(one):
                    table.writerow((*place, name, *numbers, part.used_for_selection))


def _figures(one: Reaction) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name in ("roc_auc", "loss"):
        estimate: Estimate = getattr(one, name)
        yield name, (*(_shown(value) for value in (estimate.value, estimate.low, estimate.high)), "")
    for name in ("fpr", "tpr", "flips", "reversals"):
        share = getattr(one, name)
        yield name, (*(_shown(value) for value in (share.value, share.low, share.high)), str(share.n))


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"


def _write_answers(found: Robustness, file: Path) -> None:
    """One line for each picture and change: the calibrated logit and the verdict."""
    stressed = found.stressed
    samples = [one.sample for one in stressed.clean]
    rows = [(CLEAN, [one.answer for one in stressed.clean])]
    rows += [(change.name, list(row)) for change, row in zip(stressed.changes, stressed.answers, strict=True)]
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("path", "label", "set", "change", "logit", "verdict"))
        for place, (path, sample) in enumerate(zip(relative_names(samples), samples, strict=True)):
            for name, answers in rows:
                answer = answers[place]
                said_ = ("", "no_face") if answer is None else (f"{answer.logit:.6g}", answer.verdict.value)
                table.writerow((path, sample.label.name.lower(), sample.set, name, *said_))
