"""Writes the table of an ablation: sentences, JSON, CSV, a plot, a page."""

from __future__ import annotations

import csv
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake_detector._version import __version__
from deepfake_detector.training.bench.ablation import FIGURES, FOREIGN, TRIED, Ablation, Row
from deepfake_detector.training.bench.page import write_report
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation_plots import Plot
from deepfake_detector.training.intervals import Estimate
from deepfake_detector.training.plot_style import GREY, MARKERS, SERIES, look, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABLATION_SCHEMA = 1
TITLES = {"known": "known sources", "foreign": "foreign sources", "changed": "changed foreign sources"}


def write(found: Ablation, folder: Path) -> None:
    """Write numbers, the plot and the page into a folder, which is made. Raises OSError."""
    plots = draw(found, folder / "plots")
    write_report(folder, "ablation", _as_json(found), found=found, titles=TITLES, changes=TRIED, plots=plots)
    _write_csv(found, folder / "ablation.csv")


def summary(found: Ablation) -> list[str]:
    """What was found in sentences, the negative results like the others."""
    without = [row for row in found.rows if row.worth]
    sentences = []
    if found.rows:
        sentences.append(f"On foreign sources the full recipe reaches {said(found.rows[0].figures[FOREIGN])}.")
    for figure in FIGURES:
        helps = [row for row in without if _sign(row.worth[figure]) > 0]
        hurts = [row for row in without if _sign(row.worth[figure]) < 0]
        if helps:
            sentences.append(f"Worth having on {TITLES[figure]}: {_listed(helps, figure)}.")
        if hurts:
            sentences.append(f"Better left out for {TITLES[figure]}: {_listed(hurts, figure)}.")
        if without and not helps and not hurts:
            sentences.append(f"On {TITLES[figure]} no ingredient is told apart from nothing.")
    shown = "all training pictures" if found.shown is None else f"{found.shown} pictures"
    sentences.append(
        f"The budget of one training: {found.size} px, {found.epochs[0]} epochs of the head and {found.epochs[1]} of "
        f"fine-tuning on {shown}. The intervals know the chance of the pictures, and not that of the training."
    )
    return sentences + found.unfinished


def _listed(rows: list[Row], figure: str) -> str:
    rows = sorted(rows, key=lambda row: -abs(row.worth[figure].value or 0.0))
    return ", ".join(f"{row.name} {said(row.worth[figure])}" for row in rows)


def _sign(worth: Estimate) -> int:
    """1 if it is more than nothing, -1 if it is less, 0 if it is not told apart from nothing."""
    if worth.low is None or worth.high is None:
        return 0
    return 1 if worth.low > 0.0 else -1 if worth.high < 0.0 else 0


def draw(found: Ablation, folder: Path) -> tuple[Plot, ...]:
    """One plot, of what each ingredient is worth; none before the first is measured."""
    rows = [row for row in found.rows if row.worth]
    if not rows:
        return ()
    with look():
        return (Plot("worth", "What each ingredient is worth in ROC-AUC", save(_plot(rows), folder, "worth")[1]),)


def _plot(rows: list[Row]) -> Figure:
    drawing, axes = new_figure(8.6, 1.6 + 0.62 * len(rows))
    for place, figure in enumerate(FIGURES):
        colour, off = SERIES[place], (place - 1) * 0.22
        for row_place, row in enumerate(rows):
            worth = row.worth[figure]
            if worth.value is None:
                continue
            label = TITLES[figure] if row_place == 0 else None
            axes.plot(worth.value, row_place + off, MARKERS[place], color=colour, markersize=7, label=label)
            if worth.low is not None and worth.high is not None:
                axes.plot([worth.low, worth.high], [row_place + off] * 2, color=colour, linewidth=1.6)
    axes.axvline(0.0, color=GREY, linewidth=1.2)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set(title="What each ingredient is worth", xlabel="ROC-AUC with it, less ROC-AUC without it")
    drawing.legend(loc="outside lower center", ncols=3)
    return drawing


def _as_json(found: Ablation) -> dict[str, Any]:
    return {
        "schema_version": ABLATION_SCHEMA,
        "deepfake_detector": __version__,
        "command": found.command,
        "name": found.name,
        "data": {"source": found.data, "split": "train and val", "fingerprint": found.fingerprint},
        "settings": asdict(found.settings),
        "folds": {family: list(sets) for family, sets in found.folds.items()},
        "budget": {
            "size": found.size,
            "pictures an epoch": found.shown,
            "head epochs": found.epochs[0],
            "fine-tuning epochs": found.epochs[1],
        },
        "tested_on": dict(found.tested),
        "changes": TRIED,
        "machine": found.machine,
        "summary": summary(found),
        "waiting": found.waiting,
        "rows": [asdict(row) for row in found.rows],
    }


def _write_csv(found: Ablation, file: Path) -> None:
    parts = ("", "_low", "_high")
    columns = [f"{figure}{what}{part}" for figure in FIGURES for what in ("_auc", "_worth") for part in parts]
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("without", "changes", "minutes", *columns))
        for row in found.rows:
            estimates = [one.get(figure) for figure in FIGURES for one in (row.figures, row.worth)]
            numbers = [
                number for one in estimates for number in ((one.value, one.low, one.high) if one else (None,) * 3)
            ]
            cells = ["" if number is None else f"{number:.6g}" for number in numbers]
            table.writerow((row.name, " ".join(row.changes), f"{row.minutes:.2f}", *cells))
