"""Writes the table of backbones: sentences, JSON, CSV, Pareto plots, a page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake_detector._version import __version__
from deepfake_detector.training.bench.backbones import ROBUST_CHANGES, Backbones, Row
from deepfake_detector.training.bench.page import write_report
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation_plots import Plot
from deepfake_detector.training.intervals import Estimate
from deepfake_detector.training.plot_style import FAKE, GREY, INK, REAL, look, new_figure, save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BACKBONES_SCHEMA = 1
FIGURES = ("own", "foreign", "robust")


def write(found: Backbones, folder: Path) -> None:
    """Write numbers, plots and the page into a folder, which is made. Raises OSError."""
    plots = draw(found, folder / "plots")
    write_report(folder, "backbones", _as_json(found), found=found, changes=ROBUST_CHANGES, plots=plots)
    _write_csv(found.rows, folder / "backbones.csv")


def summary(found: Backbones) -> list[str]:
    """What was found in sentences."""
    sentences = []
    known = [row for row in found.rows if row.foreign.value is not None]
    if known:
        best = max(known, key=lambda row: row.foreign.value or 0.0)
        sentences.append(f"The best on sources that no network was shown is {best.name}: {said(best.foreign)}.")
        close = [row.name for row in known if row is not best and _overlap(row.foreign, best.foreign)]
        if close:
            sentences.append(f"Not told apart from it (intervals overlap): {', '.join(close)}.")
    front = pareto(found.rows, lambda row: row.foreign.value)
    if front:
        sentences.append(f"None is both faster and better there than: {', '.join(row.name for row in front)}.")
    random = [row.name for row in found.rows if row.random]
    if random:
        sentences.append(
            f"Trained from random weights, which takes far more pictures than these: {', '.join(random)}. Their rank "
            "says nothing of what the same networks do from ImageNet weights."
        )
    sentences.append(
        f"The budget: {sum(found.trained_on)} training pictures, {found.epochs[0]} epochs of the head and "
        f"{found.epochs[1]} of fine-tuning, one run each. Another seed may change places that lie close together."
    )
    return sentences + found.unfinished


def _overlap(a: Estimate, b: Estimate) -> bool:
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return False
    return a.low <= b.high and b.low <= a.high


def pareto(rows: Sequence[Row], good: Callable[[Row], float | None]) -> list[Row]:
    """Those than which no other is both at least as fast and better, the fastest first."""
    front: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.milliseconds, -(good(row) or 0.0))):
        value = good(row)
        if value is not None and (not front or value > (good(front[-1]) or 0.0)):
            front.append(row)
    return front


def draw(found: Backbones, folder: Path) -> tuple[Plot, ...]:
    """One Pareto plot for each figure that any network has."""
    titles = {
        "foreign": "Sources that were not trained on",
        "own": "Test pictures of the sets that were trained on",
        "robust": "Changed pictures of the sets that were trained on",
    }
    plots = []
    with look():
        for figure, title in titles.items():
            rows = [row for row in found.rows if getattr(row, figure).value is not None]
            if rows:
                words = f"{title}: ROC-AUC over the time for one face"
                plots.append(Plot(figure, words, save(_pareto_plot(rows, figure, title), folder, figure)[1]))
    return tuple(plots)


def _pareto_plot(rows: Sequence[Row], figure: str, title: str) -> Figure:
    from matplotlib.ticker import FuncFormatter

    drawing, axes = new_figure(8.6, 5.4)
    axes.set_xscale("log")
    for row in rows:
        found, colour = getattr(row, figure), GREY if row.random else REAL
        if found.low is not None:
            axes.plot([row.milliseconds] * 2, [found.low, found.high], color=colour, linewidth=1.2, alpha=0.6)
        face = "white" if row.random else colour
        axes.plot(row.milliseconds, found.value, "o", markersize=8, markerfacecolor=face, markeredgecolor=colour)
        side, offset = ("right", -6) if _crowded(row, rows, figure) else ("left", 6)
        axes.annotate(
            row.name, (row.milliseconds, found.value), (offset, 5), textcoords="offset points", ha=side, color=INK
        )
    front = pareto(rows, lambda row: getattr(row, figure).value)
    axes.step(
        [row.milliseconds for row in front],
        [getattr(row, figure).value for row in front],
        where="post",
        color=FAKE,
        linewidth=1.6,
        label="none is both faster and better",
    )
    axes.plot([], [], "o", markerfacecolor="white", markeredgecolor=GREY, label="from random weights")
    axes.axhline(0.5, color=GREY, linewidth=1, linestyle=":")
    axes.margins(x=0.18)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(title=title, xlabel="milliseconds for one face on one core", ylabel="ROC-AUC")
    axes.legend(loc="lower right")
    return drawing


def _crowded(row: Row, rows: Sequence[Row], figure: str) -> bool:
    """True if a name to the right of its point would run into the point of another."""
    value = getattr(row, figure).value
    return any(
        1.0 < other.milliseconds / row.milliseconds < 1.25 and abs(getattr(other, figure).value - value) < 0.02
        for other in rows
    )


def _as_json(found: Backbones) -> dict[str, Any]:
    return {
        "schema_version": BACKBONES_SCHEMA,
        "deepfake_detector": __version__,
        "command": found.command,
        "name": found.name,
        "data": {"source": found.data, "split": "test", "fingerprint": found.fingerprint},
        "settings": asdict(found.settings),
        "budget": {
            "training pictures": found.trained_on,
            "head epochs": found.epochs[0],
            "fine-tuning epochs": found.epochs[1],
        },
        "tested_on": found.tested_on,
        "foreign": found.foreign,
        "changed": {"pictures": found.changed, "changes": ROBUST_CHANGES},
        "machine": found.machine,
        "summary": summary(found),
        "waiting": found.waiting,
        "rows": [asdict(row) for row in found.rows],
    }


def _write_csv(rows: Sequence[Row], file: Path) -> None:
    facts = ("name", "backbone", "weights", "size", "parameters", "megabytes", "milliseconds")
    speeds = ("training_images_per_second", "training_images_per_cpu_second")
    columns = [f"{figure}{part}" for figure in FIGURES for part in ("_auc", "_low", "_high")]
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow((*facts, *speeds, *columns))
        for row in rows:
            estimates = [getattr(row, figure) for figure in FIGURES]
            numbers = [number for one in estimates for number in (one.value, one.low, one.high)]
            speed = (row.training.per_second, row.training.per_cpu_second) if row.training else (None, None)
            cells = [*(getattr(row, fact) for fact in facts), *speed, *numbers]
            table.writerow(
                ["" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else cell for cell in cells]
            )
