"""Writes a matrix of sources: sentences, JSON, CSV, the predictions of each fold, heat maps, a page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfake_detector._version import __version__
from deepfake_detector.training.bench.page import write_report
from deepfake_detector.training.bench.sources import Cell, Sources
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation_files import write_predictions
from deepfake_detector.training.evaluation_plots import POINT_NAMES, Plot
from deepfake_detector.training.evaluation_report import said_rate
from deepfake_detector.training.plot_style import INK, look, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCES_SCHEMA = 1


def write(found: Sources, folder: Path) -> None:
    """Write numbers, plots and the page into a folder, which is made. Raises OSError."""
    point, plots = POINT_NAMES[found.settings.point], draw(found, folder / "plots")
    write_report(folder, "sources", _as_json(found), found=found, point=point, plots=plots)
    _write_csv(found.cells, folder / "sources.csv")
    for family, predictions in found.predictions.items():
        write_predictions(predictions, folder / f"predictions-without-{family}.csv")


def mean_auc(cells: Sequence[Cell]) -> float | None:
    """The mean over the cells that have an AUC."""
    known = [cell.roc_auc.value for cell in cells if cell.roc_auc.value is not None]
    return float(np.mean(known)) if known else None


def left_out_cells(found: Sources) -> list[Cell]:
    """The folds on the sets that they were trained without, the worst first."""
    cells = [cell for cell in found.cells if cell.left_out and cell.roc_auc.value is not None]
    return sorted(cells, key=lambda cell: cell.roc_auc.value or 0.0)


def summary(found: Sources) -> list[str]:
    """What was found in sentences."""
    foreign = left_out_cells(found)
    mean = mean_auc(foreign)
    if mean is None:
        return ["No left-out set has fakes, so that nothing can be said of unseen sources."]
    names = {cell.set for cell in foreign}
    seen = mean_auc([cell for cell in found.cells if not cell.left_out and cell.set in names])
    known = "" if seen is None else f"; where other folds were trained on the same sets, {seen:.3f}"
    sentences = [f"On {len(foreign)} sets of sources that a fold has not seen, the mean ROC-AUC is {mean:.3f}{known}."]
    weakest = foreign[0]
    sentences.append(
        f"The weakest is {weakest.set} (without {weakest.fold}): {said(weakest.roc_auc)}, against {weakest.against}."
    )
    for family in found.families:
        of_family = mean_auc([cell for cell in foreign if cell.fold == family])
        if of_family is not None:
            sentences.append(f"Family {family}: {of_family:.3f} without it in training.")
    tested = {cell.set for cell in found.cells}
    if tested & set(found.untrained):
        sentences.append(f"No fold trains on {', '.join(name for name in found.untrained if name in tested)}.")
    alarms = [cell for cell in found.cells if found.unseen(cell) and cell.fpr.n]
    if alarms:
        worst = max(alarms, key=lambda cell: cell.fpr.value or 0.0)
        sentences.append(
            f"At the {POINT_NAMES[found.settings.point]} threshold the most false alarms on unseen real pictures are "
            f"those on {worst.set}: {said_rate(worst.fpr)}."
        )
    if any(cell.used_for_selection for cell in foreign):
        sentences.append("The left-out families chose the best epoch of their folds (used for selection).")
    return sentences


def draw(found: Sources, folder: Path) -> tuple[Plot, ...]:
    """Heat maps of the AUCs and of the false alarms, as PNG and SVG."""
    title = f"Real pictures called fake at the {POINT_NAMES[found.settings.point]} threshold"
    maps: tuple[tuple[str, str, Callable[[Cell], float | None]], ...] = (
        ("auc", "ROC-AUC of each fold on each set", lambda cell: cell.roc_auc.value),
        ("false_alarms", title, lambda cell: cell.fpr.value),
    )
    plots = []
    with look():
        for name, words, value in maps:
            figure = _heat_map(found, words, value, alarms=name == "false_alarms")
            if figure is not None:
                plots.append(Plot(name, words, save(figure, folder, name)[1]))
    return tuple(plots)


def _heat_map(found: Sources, title: str, value: Callable[[Cell], float | None], alarms: bool) -> Figure | None:
    """Folds over sets; what a fold was trained without has a frame."""
    from matplotlib.patches import Rectangle
    from seaborn import heatmap

    by_place = {(cell.fold, cell.set): cell for cell in found.cells}
    folds = list(found.families)
    sets = [name for name in found.sets if any(value(c) is not None for c in found.cells if c.set == name)]
    if not sets:
        return None
    numbers = np.full((len(folds), len(sets)), np.nan)
    for row, fold in enumerate(folds):
        for column, name in enumerate(sets):
            cell = by_place.get((fold, name))
            number = None if cell is None else value(cell)
            numbers[row, column] = np.nan if number is None else number
    figure, axes = new_figure(1.05 * len(sets) + 3.2, 0.8 * len(folds) + 2.4)
    colours = {"cmap": "Oranges", "vmin": 0.0, "vmax": max(0.2, float(np.nanmax(numbers)))} if alarms else {
        "cmap": "RdYlBu", "vmin": 0.4, "vmax": 1.0,
    }  # fmt: skip
    heatmap(numbers, annot=True, fmt=".2f", ax=axes, linewidths=1, cbar_kws={"shrink": 0.8}, **colours)
    for row, fold in enumerate(folds):
        for column, name in enumerate(sets):
            cell = by_place.get((fold, name))
            if cell is not None and found.unseen(cell):
                axes.add_patch(
                    Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, fill=False, edgecolor=INK, linewidth=3)
                )
    axes.set_yticklabels([f"without {fold}" for fold in folds], rotation=0)
    axes.set_xticklabels(sets, rotation=30, ha="right")
    axes.tick_params(length=0)
    axes.set_title(title)
    marked = any(cell.used_for_selection for cell in found.cells)
    axes.set_xlabel("framed: not in the training" + (", used for selection" if marked else ""))
    return figure


def _as_json(found: Sources) -> dict[str, Any]:
    foreign = left_out_cells(found)
    return {
        "schema_version": SOURCES_SCHEMA,
        "deepfake_detector": __version__,
        "command": found.command,
        "name": found.name,
        "data": {"source": found.data, "split": found.split, "fingerprint": found.fingerprint},
        "settings": asdict(found.settings),
        "families": {family: list(sets) for family, sets in found.families.items()},
        "untrained": list(found.untrained),
        "runs": dict(found.runs),
        "summary": summary(found),
        "mean_left_out_auc": mean_auc(foreign),
        "weakest": foreign[0].set if foreign else None,
        "cells": [asdict(cell) for cell in found.cells],
    }


def _write_csv(cells: Sequence[Cell], file: Path) -> None:
    columns = ("without", "set", "left_out", "used_for_selection", "real", "fake", "against")
    figures = ("roc_auc", "auc_low", "auc_high", "fpr", "fpr_low", "fpr_high", "tpr", "tpr_low", "tpr_high")
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow((*columns, *figures))
        for cell in cells:
            place = (cell.fold, cell.set, cell.left_out, cell.used_for_selection, cell.real, cell.fake, cell.against)
            numbers = [
                number
                for found in (cell.roc_auc, cell.fpr, cell.tpr)
                for number in (found.value, found.low, found.high)
            ]
            table.writerow((*place, *("" if number is None else f"{number:.6g}" for number in numbers)))
