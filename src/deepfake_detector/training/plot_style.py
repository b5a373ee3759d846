"""How all plots look and how they are saved: colour-blind safe, the same bytes every time, no pyplot state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REAL = "#0072B2"
FAKE = "#D55E00"
MAIN = "#009E73"
LIGHT = "#56B4E9"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe & Ito's colours, which readers with any kind of colour vision can tell apart."""

INK = "#222222"
GREY = "#767676"
PALE = "#E6E6E6"
MARKERS = ("o", "s", "^", "D")

_LOOK: Any = {
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 12,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 13,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "grid.color": PALE,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 2.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "deepfake-detector",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def look() -> Iterator[None]:
    """The settings of all plots, for as long as a figure is drawn and saved; nobody else's are touched."""
    from matplotlib import style

    settings: Any = ["default", _LOOK]
    with style.context(settings):
        yield


def new_figure(width: float = 6.0, height: float = 5.0) -> tuple[Figure, Axes]:
    """An empty figure of this size in inches, without pyplot, and its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write ``name.png`` and ``name.svg`` into the folder; the same figure gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    figure.savefig(png, dpi=160, metadata={"Software": None})
    figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return png, svg


PROBABILITY_TICKS = (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)


def probability_axis(axes: Axes, low: float, high: float) -> None:
    """Let a horizontal axis of calibrated logits from ``low`` to ``high`` be read as probabilities."""
    ticks = [(float(np.log(p / (1 - p))), f"{p:g}") for p in PROBABILITY_TICKS]
    shown = [tick for tick in ticks if low <= tick[0] <= high]
    axes.set_xlim(low, high)
    axes.set_xticks([position for position, _ in shown], [label for _, label in shown])
