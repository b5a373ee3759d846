"""Writes a comparison: sentences, ``comparison.json``, ``comparison.csv``, a plot and a page."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from deepfake_detector._version import __version__
from deepfake_detector.training.bench.compare import ALPHA, Compared, ComparedPart, Match
from deepfake_detector.training.bench.page import write_report
from deepfake_detector.training.bench.scores import DetectorScores
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation_plots import Plot
from deepfake_detector.training.plot_style import FAKE, GREY, REAL, look, new_figure, save
from deepfake_detector.training.plots import SetRow, explain_marks, forest

COMPARISON_SCHEMA = 1


def write(found: Compared, folder: Path) -> None:
    """Write numbers, plots and the page into a folder, which is made. Raises OSError."""
    plots = [plot for match in found.matches if (plot := _draw(found, match, folder / "plots"))]
    write_report(folder, "comparison", _as_json(found), found=found, plots=plots, p=said_p)
    _write_csv(found, folder / "comparison.csv")


def summary(found: Compared) -> list[str]:
    """What was found in sentences."""
    sentences = [sentence for match in found.matches for sentence in _of_match(found.first, match)]
    for one in (found.first, *(match.second for match in found.matches)):
        if one.missing:
            sentences.append(
                f"{one.name} has no score for {one.missing} of {found.pictures} pictures; each counts against it, as "
                "if it had been as wrong as can be."
            )
        if one.foreign_rows:
            sentences.append(f"{one.foreign_rows} lines of {one.name} name none of these pictures.")
    return sentences + _too_few(found)


def _too_few(found: Compared) -> list[str]:
    """The smallest p that a bootstrap can give is 2 in (resamples + 1); Holm multiplies it by the number of tests."""
    tests = sum(part.comparison.p_bootstrap is not None for match in found.matches for part in match.parts)
    resamples = found.settings.resampling.resamples
    if not tests or 2.0 * tests / (resamples + 1) < ALPHA:
        return []
    return [
        f"{resamples} resamples are too few to tell anything apart in {tests} tests; give --bootstrap "
        f"{math.ceil(2.0 * tests / ALPHA / 500) * 500} or more."
    ]


def _of_match(first: DetectorScores, match: Match) -> list[str]:
    head = next((part for part in match.parts if part.scope == "mean"), match.parts[0])
    if head.comparison.gain.value is None:
        return [f"{first.name} and {match.second.name} cannot be compared: {head.comparison.reason}."]
    sentences = [
        f"{_winner(first, match, head)} ({head.name}): ROC-AUC {said(head.comparison.first)} of {first.name}, "
        f"{said(head.comparison.second)} of {match.second.name}, difference {said(head.comparison.gain)}."
    ]
    parts = [part for part in match.parts if part.scope not in ("all", "mean")]
    for number, name in ((1, first.name), (2, match.second.name)):
        where = [part.name for part in parts if part.better == number]
        if where:
            sentences.append(f"{name} is better, after correction for many tests, on: {', '.join(where)}.")
    return sentences


def _winner(first: DetectorScores, match: Match, part: ComparedPart) -> str:
    names = ("", first.name, match.second.name)
    return f"{names[part.better]} is better" if part.better else "These pictures do not tell them apart"


def said_p(p: float | None) -> str:
    """A p value in words: ``0.031``, ``< 0.001``, or a dash."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _as_json(found: Compared) -> dict[str, Any]:
    return {
        "schema_version": COMPARISON_SCHEMA,
        "deepfake_detector": __version__,
        "command": found.command,
        "data": {
            "source": found.data,
            "split": found.split,
            "fingerprint": found.fingerprint,
            "pictures": found.pictures,
        },
        "settings": asdict(found.settings),
        "summary": summary(found),
        "first": _facts(found.first),
        "matches": [
            {"second": _facts(match.second), "parts": [asdict(part) | {"better": part.better} for part in match.parts]}
            for match in found.matches
        ],
    }


def _facts(one: DetectorScores) -> dict[str, Any]:
    return {
        "name": one.name,
        "missing": one.missing,
        "foreign_rows": one.foreign_rows,
        "scored": int(np.isfinite(one.scores).sum()),
    }


def _write_csv(found: Compared, file: Path) -> None:
    columns = ("first", "second", "scope", "name", "real", "fake", "missing_first", "missing_second")
    figures = ("auc_first", "auc_second", "gain", "gain_low", "gain_high")
    tests = ("p_delong", "p_bootstrap", "p_delong_holm", "p_bootstrap_holm", "better", "used_for_selection", "reason")
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow((*columns, *figures, *tests))
        for match in found.matches:
            for part in match.parts:
                one = part.comparison
                gain = one.gain
                numbers = (one.first.value, one.second.value, gain.value, gain.low, gain.high)
                p_values = (one.p_delong, one.p_bootstrap, part.p_delong_holm, part.p_bootstrap_holm)
                place = (found.first.name, match.second.name, part.scope, part.name, part.real, part.fake)
                shown = ["" if value is None else f"{value:.6g}" for value in (*numbers, *p_values)]
                end = (part.better, part.used_for_selection, one.reason or "")
                table.writerow((*place, *part.missing, *shown, *end))


def _draw(found: Compared, match: Match, folder: Path) -> Plot | None:
    """The difference of the AUCs in each part with its interval, coloured where the two are told apart."""
    known = [part for part in match.parts if part.comparison.gain.value is not None]
    if not known:
        return None
    with look():
        figure, axes = new_figure(8.4, 1.8 + 0.42 * len(known))
        for place, part in enumerate(known):
            colour = (GREY, FAKE, REAL)[part.better]
            forest(axes, _rows([part]), colour, start=place)
        rows = _rows(known)
        axes.set_yticks(range(len(rows)), [f"{row.name}  ({row.note})" for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.axvline(0.0, color=GREY, linestyle=":", linewidth=1.2)
        axes.set_xlabel(
            "ROC-AUC of 2 less that of 1, with its interval\ngrey: not told apart; left: 1 is better; right: 2"
        )
        axes.set_title(f"1: {found.first.name}\n2: {match.second.name}", fontsize=11)
        explain_marks(axes, rows)
        number = found.matches.index(match) + 1
        return Plot(f"gain-{number}", "Difference of the AUCs", save(figure, folder, f"gain-{number}")[1])


def _rows(parts: Sequence[ComparedPart]) -> list[SetRow]:
    return [
        SetRow(part.name, f"{part.real} real, {part.fake} fake", part.comparison.gain, part.used_for_selection)
        for part in parts
    ]
