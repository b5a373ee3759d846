"""The plots of a robustness bench: each family of changes over its levels, and the AUC lost in each set."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.training.bench.changes import UNITS
from deepfake_detector.training.bench.reactions import Reaction, StressedPart
from deepfake_detector.training.evaluation_plots import Plot
from deepfake_detector.training.intervals import Estimate, Rate
from deepfake_detector.training.plot_style import FAKE, GREY, LIGHT, MAIN, REAL, look, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3

_Value = Callable[[Reaction], Estimate | Rate]


def draw(parts: Sequence[StressedPart], point: str, folder: Path) -> tuple[Plot, ...]:
    """Draw what these parts allow, each as PNG and SVG; ``point`` names the threshold, as ``5 % FPR``."""
    total = parts[0]
    figures: list[tuple[str, str, Figure]] = []
    with look():
        if total.clean.roc_auc.value is not None:
            title = "ROC-AUC" + (f", mean over {total.sets_in_mean} sets" if total.sets_in_mean > 1 else "")
            figures.append(("auc", f"{title}, over the level of each change", _panels(total, _auc, title, REAL)))
        if total.clean.fpr.n:
            title = f"Real pictures called fake at the {point} threshold"
            figures.append(("false_alarms", title, _panels(total, _fpr, title, FAKE)))
        title = "Verdicts that became another one"
        figures.append(("flips", title, _panels(total, _flips, title, MAIN)))
        rows = [part for part in parts[1:] if part.clean.roc_auc.value is not None]
        if rows:
            figures.append(("sets", "ROC-AUC of each set under each change", _sets(rows)))
        return tuple(Plot(name, words, save(figure, folder, name)[1]) for name, words, figure in figures)


def _auc(reaction: Reaction) -> Estimate:
    return reaction.roc_auc


def _fpr(reaction: Reaction) -> Rate:
    return reaction.fpr


def _flips(reaction: Reaction) -> Rate:
    return reaction.flips


def _panels(part: StressedPart, value: _Value, title: str, colour: str) -> Figure:
    """One panel for each family, all with the same vertical axis; the line of the unchanged pictures in each."""
    from matplotlib.figure import Figure

    families = [list(members) for _, members in groupby(part.changed, key=lambda one: one.family)]
    rows = math.ceil(len(families) / COLUMNS)
    figure = Figure(figsize=(3.6 * COLUMNS, 2.7 * rows + 0.4), layout="constrained")
    found = [value(one) for one in (part.clean, *part.changed)]
    ends = [end for one in found for end in (one.value, one.low, one.high) if end is not None]
    margin = 0.05 * (max(ends) - min(ends)) + 0.005
    for number, members in enumerate(families):
        axes = figure.add_subplot(rows, COLUMNS, number + 1)
        _panel(axes, members, value, colour)
        if (clean := value(part.clean).value) is not None:
            axes.axhline(clean, color=GREY, linestyle=":", linewidth=1.4, label="unchanged")
        axes.set_ylim(min(ends) - margin, max(ends) + margin)
        axes.set_title(members[0].family)
        if number == 0:
            axes.legend(loc="best")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
    return figure


def _panel(axes: Axes, members: Sequence[Reaction], value: _Value, colour: str) -> None:
    for place, one in enumerate(map(value, members)):
        if one.low is not None and one.high is not None:
            axes.plot([place, place], [one.low, one.high], color=LIGHT, linewidth=2.4)
    known = [(place, found) for place, one in enumerate(members) if (found := value(one).value) is not None]
    chain = members[0].family == "chain"
    line = "none" if chain else "-"
    axes.plot([place for place, _ in known], [found for _, found in known], "o", linestyle=line, color=colour)
    labels = [one.name if chain else f"{one.level:g}" for one in members]
    axes.set_xticks(range(len(members)), labels)
    axes.set_xlim(-0.4, len(members) - 0.6)
    axes.set_xlabel(UNITS.get(members[0].family, ""), fontsize=10)
    axes.grid(axis="x", visible=False)


def _sets(rows: Sequence[StressedPart]) -> Figure:
    """A heat map: sets over changes; in each cell the AUC, darker where more of it is lost."""
    from seaborn import heatmap

    everything = [(part.clean, *part.changed) for part in rows]
    aucs = np.array([[_number(one.roc_auc) for one in line] for line in everything])
    lost = np.array([[0.0, *(_number(one.loss) for one in line[1:])] for line in everything])
    figure, axes = new_figure(0.36 * aucs.shape[1] + 2.6, 0.75 * len(rows) + 2.2)
    heatmap(
        lost, annot=aucs, fmt=".2f", cmap="Oranges", vmin=0.0, vmax=max(0.1, float(np.nanmax(lost))), ax=axes,
        annot_kws={"size": 8, "rotation": 90}, linewidths=1, cbar_kws={"label": "AUC lost", "shrink": 0.8, "pad": 0.01},
    )  # fmt: skip
    names = [f"{part.name}{' *' if part.used_for_selection else ''}" for part in rows]
    axes.set_yticklabels(names, rotation=0)
    axes.set_xticks(np.arange(aucs.shape[1]) + 0.5, [one.name for one in everything[0]], rotation=90, fontsize=9)
    axes.tick_params(length=0)
    axes.set_title("ROC-AUC of each set under each change")
    if any(part.used_for_selection for part in rows):
        axes.set_xlabel("* used for selection or calibration")
    return figure


def _number(estimate: Estimate) -> float:
    return float("nan") if estimate.value is None else estimate.value
