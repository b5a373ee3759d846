"""Plots of counts and of sets, and the curves of a training; the plots over thresholds are in ``curve_plots``."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.intervals import Estimate, Rate
from deepfake_detector.training.metrics import Confusion
from deepfake_detector.training.plot_style import FAKE, GREY, MARKERS, PALE, REAL, SERIES, look, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def confusion_matrix(confusion: Confusion, title: str) -> Figure:
    """Counts, and shares of each row, at one threshold; darker is a larger share of the row."""
    from seaborn import heatmap

    counts = np.array([[confusion.true_real, confusion.false_fake], [confusion.false_real, confusion.true_fake]])
    rows = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, rows, out=np.zeros((2, 2)), where=rows > 0)
    texts = [[f"{n}\n{share:.1%}" for n, share in zip(*row, strict=True)] for row in zip(counts, shares, strict=True)]
    figure, axes = new_figure(5.6, 5.0)
    heatmap(
        shares, annot=texts, fmt="", cmap="Blues", vmin=0.0, vmax=1.0, cbar=False, square=True, linewidths=2,
        annot_kws={"size": 18, "weight": "bold"}, ax=axes,
    )  # fmt: skip
    axes.set_xticklabels(["called real", "called fake"], fontsize=13)
    axes.set_yticklabels([f"real\n({rows[0, 0]})", f"fake\n({rows[1, 0]})"], fontsize=13, rotation=0)
    axes.tick_params(length=0)
    axes.set_title(title)
    return figure


@dataclass(frozen=True, slots=True)
class SetRow:
    """One line of a plot over sets; ``note`` is e.g. ``50 real, 32 fake``, ``marked`` sets are drawn hollow."""

    name: str
    note: str
    estimate: Estimate
    marked: bool = False


def set_aucs(rows: Sequence[SetRow]) -> Figure | None:
    """ROC-AUC of each set with both classes and its interval; None if there is no such set."""
    known = [row for row in rows if row.estimate.value is not None]
    if not known:
        return None
    figure, axes = new_figure(7.4, 1.4 + 0.5 * len(known))
    forest(axes, known, REAL)
    axes.axvline(0.5, color=GREY, linestyle=":", linewidth=1.2)
    lowest = min(value for row in known for value in (row.estimate.value, row.estimate.low) if value is not None)
    axes.set_xlim(min(0.48, math.floor(lowest * 20) / 20), 1.01)
    axes.set(xlabel="ROC-AUC with its interval (dotted: chance)", title="How well each set is told apart")
    explain_marks(axes, known)
    return figure


@dataclass(frozen=True, slots=True)
class RateRow:
    """How many pictures of one class of a set were called fake."""

    name: str
    fake: bool
    called_fake: Rate
    marked: bool = False


def set_rates(rows: Sequence[RateRow], title: str) -> Figure | None:
    """For each set the share called fake, reals (should be low) and fakes (should be high) in two colours."""
    if not rows:
        return None
    figure, axes = new_figure(7.4, 1.6 + 0.42 * len(rows))
    ordered = sorted(rows, key=lambda row: (row.fake, row.name))
    lines = []
    for row in ordered:
        found = row.called_fake
        note = f"{found.n} {'fake' if row.fake else 'real'}"
        lines.append(SetRow(row.name, note, Estimate(found.value, found.low, found.high), row.marked))
    reals = sum(not row.fake for row in ordered)
    forest(axes, lines[:reals], REAL)
    forest(axes, lines[reals:], FAKE, "s", start=reals)
    axes.set_yticks(range(len(lines)), [f"{line.name}  ({line.note})" for line in lines])
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set(xlim=(-0.02, 1.02), xlabel="share called fake (round: real pictures, square: fakes)", title=title)
    explain_marks(axes, lines)
    return figure


def people_rates(rows: Sequence[SetRow], title: str) -> Figure | None:
    """The share of real pictures called fake in each group of people, with its interval."""
    if not rows:
        return None
    figure, axes = new_figure(7.4, 1.6 + 0.36 * len(rows))
    forest(axes, rows, FAKE)
    highest = max((row.estimate.high or 0.0 for row in rows), default=0.0)
    axes.set(
        xlim=(-0.005, min(1.02, 1.05 * highest + 0.01)), xlabel="share called fake, with its interval", title=title
    )
    explain_marks(axes, rows)
    return figure


def forest(axes: Axes, rows: Sequence[SetRow], colour: str, marker: str = "o", start: int = 0) -> None:
    """Dots with whiskers, one line a row, from the top down."""
    for position, row in enumerate(rows, start):
        estimate = row.estimate
        if estimate.value is None:
            continue
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [position, position], color=colour, linewidth=2.4, alpha=0.7)
        face = "white" if row.marked else colour
        axes.plot([estimate.value], [position], marker, color=colour, markerfacecolor=face, markersize=9)
    axes.set_yticks(range(len(rows)), [f"{row.name}  ({row.note})" for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def explain_marks(axes: Axes, rows: Sequence[SetRow]) -> None:
    """Say below the axis what hollow marks are, if there are any."""
    if any(row.marked for row in rows):
        axes.set_xlabel(f"{axes.get_xlabel()}\nhollow: used for selection or calibration")


def training_curves(csv_path: Path, folder: Path) -> tuple[Path, ...]:
    """Draw a training's CSV log: each figure beside its ``val_`` twin, over all validations, phases marked.

    Columns ``phase``, ``epoch`` and ``step`` place a row, ``best`` marks it, every other numeric column is drawn; of
    a repeated place the last row counts. Returns the files written. Raises DataError if there is nothing to draw.
    """
    log = _read_log(csv_path)
    panels = [name for name in log.columns if not (name.startswith("val_") and name[4:] in log.columns)]
    panels.sort(key=lambda name: (name in _RATES, not name.endswith("loss")))
    with look():
        from matplotlib.figure import Figure

        wide = min(2, len(panels))
        tall = math.ceil(len(panels) / wide)
        figure = Figure(figsize=(4.6 * wide, 3.2 * tall), layout="constrained")
        for number, name in enumerate(panels):
            axes = figure.add_subplot(tall, wide, number + 1)
            _training_panel(axes, name, log)
            _mark_phases(axes, log)
        return save(figure, folder, "training_curves")


_PLACES = ("phase", "epoch", "step")
_NOT_DRAWN = (*_PLACES, "best", "seconds", "images_per_second")
_RATES = ("lr", "learning_rate")
_OF_VALIDATION = ("auc", "set_auc")


@dataclass(frozen=True, slots=True)
class _Log:
    """The log by column; ``best`` is the row of the best check, if the log says so."""

    phases: list[str]
    columns: dict[str, list[float]]
    best: int | None
    unit: str


def _read_log(csv_path: Path) -> _Log:
    try:
        with csv_path.open(newline="", encoding="utf-8") as file:
            read = [row for row in csv.DictReader(file) if None not in row and None not in row.values()]
    except OSError as error:
        raise DataError(f"cannot read the training log {csv_path}: {error.strerror or error}") from error
    places = [tuple(row.get(name, "") for name in _PLACES if name in row) or (str(n),) for n, row in enumerate(read)]
    rows = list(dict(zip(places, read, strict=True)).values())
    names = [name for name in (rows[0] if rows else {}) if name not in _NOT_DRAWN]
    columns = {name: [_number(row[name]) for row in rows] for name in names}
    columns = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    if not columns:
        raise DataError(f"the training log {csv_path} has no finished epoch with a number in it")
    best = [number for number, row in enumerate(rows) if row.get("best", "").lower() in ("true", "1")]
    epochs = [(row.get("phase"), row.get("epoch")) for row in rows]
    unit = "epoch" if len(set(epochs)) == len(epochs) else "validation"
    return _Log([row.get("phase", "") for row in rows], columns, best[-1] if best else None, unit)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _training_panel(axes: Axes, name: str, log: _Log) -> None:
    plain = name.removeprefix("val_")
    validated = name.startswith("val_") or name in _OF_VALIDATION
    lines = {name: "validation" if validated else "training", f"val_{plain}": "validation"}
    for column, label in lines.items():
        if column in log.columns:
            values = log.columns[column]
            kind = int(label == "validation")
            axes.plot(
                range(1, len(values) + 1), values, color=SERIES[kind], marker=MARKERS[kind], markersize=4, label=label
            )
            if kind and log.best is not None:
                place = ([log.best + 1], [values[log.best]])
                axes.plot(*place, "*", color=SERIES[kind], markersize=15, markeredgecolor="white", label="best")
    if name in _RATES:
        # A run of one step ends at the rate 0, which has no place on such a scale.
        axes.set_yscale("log" if max(log.columns[name], default=0.0) > 0.0 else "linear")
        plain = "learning rate"
    axes.set_title(plain.replace("_", " ").replace("auc", "AUC"), pad=20)
    if name not in _RATES:
        axes.legend()


def _mark_phases(axes: Axes, log: _Log) -> None:
    from matplotlib.ticker import MaxNLocator

    phases = log.phases
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(log.unit)
    starts = [number for number, phase in enumerate(phases) if number == 0 or phase != phases[number - 1]]
    for order, start in enumerate(starts):
        end = starts[order + 1] if order + 1 < len(starts) else len(phases)
        if order % 2:
            axes.axvspan(start + 0.5, end + 0.5, color=PALE, alpha=0.6, zorder=0, linewidth=0)
        axes.annotate(
            phases[start], ((start + end + 1) / 2, 1.01), xycoords=("data", "axes fraction"), ha="center", va="bottom",
            fontsize=9, color=GREY,
        )  # fmt: skip
    axes.set_xlim(0.5, len(phases) + 0.5)
