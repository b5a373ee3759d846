"""Writes an evaluation as numbers: ``metrics.json``, ``metrics.csv`` (one figure a line) and ``predictions.csv``."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from deepfake_detector._version import __version__
from deepfake_detector.scoring.card import Metric
from deepfake_detector.training.data.samples import common_parent
from deepfake_detector.training.evaluation import Evaluation, Part, Verdicts
from deepfake_detector.training.intervals import Estimate, Rate
from deepfake_detector.training.metrics import FIGURES
from deepfake_detector.training.predict import Prediction

EVALUATION_SCHEMA = 1

_Row = tuple[str, float | None, float | None, float | None, str]
"""Name, value, low, high, reason."""


def skipped_reasons(predictions: Sequence[Prediction]) -> Mapping[str, int]:
    """How many pictures were skipped for which reason, the most frequent first."""
    return dict(Counter(one.skipped.split(":")[0] for one in predictions if one.answer is None).most_common())


def card_metrics(evaluation: Evaluation) -> tuple[Metric, ...]:
    """What a model card says was measured: per set the ROC-AUC, and how many of each class were called fake."""
    settings, where = evaluation.settings, evaluation.split
    wanted = f"at the threshold for {settings.point.fpr:.0%} false positives"
    found = []
    for part in evaluation.figures.sets:
        shares: list[tuple[str, Estimate | Rate]] = []
        if part.metrics is not None:
            shares.append(("ROC-AUC", part.metrics.figures.roc_auc))
        for at in part.points:
            if at.point is settings.point:
                shares += [(f"reals called fake {wanted}", at.fpr), (f"fakes called fake {wanted}", at.tpr)]
        for name, share in shares:
            if share.value is not None:
                on, marked = f"{part.set or 'all pictures'} ({where})", part.used_for_selection or where != "test"
                bounds = {"low": share.low, "high": share.high, "used_for_selection": marked}
                found.append(Metric(name=name, on=on, value=share.value, **bounds))
    return tuple(found)


def write_json(evaluation: Evaluation, file: Path) -> None:
    """All figures, and what they were measured on, as JSON; None where a figure does not exist."""
    card, settings = evaluation.card, evaluation.settings
    content: dict[str, Any] = {
        "schema_version": EVALUATION_SCHEMA,
        "deepfake_detector": __version__,
        "command": evaluation.command,
        "model": {
            "name": card.name,
            "version": card.version,
            "onnx_sha256": card.onnx_sha256,
            "calibration_fitted_on": card.calibration.fitted_on,
            "calibration_out_of_source": card.calibration.out_of_source,
        },
        "data": {
            "source": evaluation.data,
            "split": evaluation.split,
            "fingerprint": evaluation.fingerprint,
            "pictures": len(evaluation.predictions),
            "skipped": skipped_reasons(evaluation.predictions),
        },
        "settings": asdict(settings),
        "figures": asdict(evaluation.figures),
    }
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_long_csv(evaluation: Evaluation, file: Path) -> None:
    """One line for each figure of each part: easy to filter, to plot and to compare between models."""
    columns = (
        "scope",
        "set",
        "method",
        "figure",
        "value",
        "low",
        "high",
        "real",
        "fake",
        "used_for_selection",
        "reason",
    )
    figures = evaluation.figures
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(columns)
        for part in (figures.total, *figures.sets, *figures.methods):
            metrics = part.metrics
            counts = (0, 0) if metrics is None else (metrics.real, metrics.fake)
            for name, *numbers, reason in _rows(part):
                place = (part.scope, part.set, part.method, name)
                table.writerow((*place, *map(_shown, numbers), *counts, part.used_for_selection, reason))
        if figures.kind is not None:
            kind = figures.kind
            for name in ("roc_auc", "accuracy", "balanced_accuracy"):
                found = getattr(kind, name)
                shown = [_shown(number) for number in (found.value, found.low, found.high)]
                table.writerow(
                    ("kind", "", "", name, *shown, "", kind.manipulated + kind.generated, False, found.reason)
                )
        for one in figures.people:
            shown = [_shown(number) for number in (one.fpr.value, one.fpr.low, one.fpr.high)]
            marked = one.set in evaluation.settings.used_for_selection
            table.writerow(("people", one.set, f"{one.trait} {one.group}", "fpr", *shown, one.fpr.n, 0, marked, ""))
        table.writerow(("all", "", "", "mean_set_auc", _shown(figures.mean_set_auc), *[""] * 6))


def _rows(part: Part) -> Iterator[_Row]:
    if part.metrics is not None:
        for name in FIGURES:
            found: Estimate = getattr(part.metrics.figures, name)
            yield name, found.value, found.low, found.high, found.reason or ""
    if part.uncalibrated is not None:
        for name in ("brier", "ece"):
            found = getattr(part.uncalibrated, name)
            yield f"{name}_before_calibration", found.value, found.low, found.high, found.reason or ""
    if part.selective is not None:
        aurc = part.selective.aurc
        yield "aurc", aurc.value, aurc.low, aurc.high, aurc.reason or ""
        for name in ("answered", "right"):
            yield _rate_row(f"selective_{name}", getattr(part.selective, name))
    for at in part.points:
        for name, share in (("fpr", at.fpr), ("tpr", at.tpr)):
            yield _rate_row(f"{name}_at_{at.point.value}_threshold", share)
    for label, verdicts in (("real", part.real), ("fake", part.fake)):
        for field in fields(Verdicts):
            yield f"{label}_verdict_{field.name}", getattr(verdicts, field.name), None, None, ""


def _rate_row(name: str, share: Rate) -> _Row:
    return name, share.value, share.low, share.high, "" if share.n else "no picture of this class"


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:.6g}"


def write_predictions(predictions: Sequence[Prediction], file: Path) -> None:
    """One line for each picture, skipped ones too; paths are relative to the folder that all pictures lie in."""
    columns = ("path", "label", "kind", "set", "method", "group", "raw_logit", "logit", "p_fake", "p_generated")
    root = common_parent([one.sample for one in predictions])
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow((*columns, "verdict", "issues", "skipped"))
        for one in predictions:
            sample, answer = one.sample, one.answer
            path = Path(os.path.relpath(sample.path, root)).as_posix()
            kind = sample.kind.value if sample.kind else ""
            known = (path, sample.label.name.lower(), kind, sample.set, sample.method, sample.group)
            if answer is None:
                verdict = "no_face" if one.no_face else ""
                table.writerow((*known, "", "", "", "", verdict, "", one.skipped))
                continue
            numbers = (answer.raw_logit, answer.logit, answer.p_fake, answer.p_generated)
            said = (answer.verdict.value, " ".join(answer.issues), "")
            table.writerow((*known, *("" if number is None else f"{number:.9g}" for number in numbers), *said))
