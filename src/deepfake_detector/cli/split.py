"""``deepfake split``: train, val and test from a folder of Real and Fake pictures."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import console, progress_bars, show_note
from deepfake_detector.training.data.split_dataset import Mode, SplitOptions, SplitSummary
from deepfake_detector.training.data.split_dataset import split as split_data

if TYPE_CHECKING:
    from rich.table import Table

_SHOWN = 20


def split(
    source: Annotated[Path, typer.Argument(help="A folder with Real and Fake, or a CSV manifest without splits.")],
    destination: Annotated[Path, typer.Argument(help="A new folder; a .csv file with --mode manifest.")],
    ratios: Annotated[
        tuple[float, float, float], typer.Option(help="Shares of train, val and test; they add up to 1.")
    ] = (0.8, 0.1, 0.1),
    seed: Annotated[int, typer.Option(help="The same seed gives the same split.")] = 0,
    mode: Annotated[Mode, typer.Option(help="Copy the files, link them, or only list them.")] = Mode.COPY,
    max_distance: Annotated[
        int, typer.Option(min=0, max=16, help="Bits of 64 in which the hashes of near-duplicates may differ.")
    ] = 4,
) -> None:
    """Split pictures into train, val and test, each with Real and Fake.

    Near-duplicates (perceptual hash) and the groups of a manifest stay on one side, the classes keep their shares,
    and nothing is overwritten.
    """
    options = SplitOptions(ratios, seed, mode, max_distance)
    with progress_bars() as show:
        summary = split_data(source, destination, options, partial(show, "comparing pictures"))
    _show(summary)


def _show(summary: SplitSummary) -> None:
    done = {Mode.COPY: "copied to", Mode.HARDLINK: "linked in", Mode.MANIFEST: "listed in"}[summary.options.mode]
    total = sum(row.real + row.fake for row in summary.counts)
    out = console(sys.stdout)
    out.print(_table(summary))
    out.print(f"{total} pictures {done} {summary.destination} (seed {summary.options.seed})", soft_wrap=True)
    if summary.groups:
        out.print(f"kept together, as near-duplicates or by their group: {summary.grouped} (groups: {summary.groups})")
    if summary.unreadable:
        show_note(f"pictures that cannot be read, and were left out: {len(summary.unreadable)}")
        for path, reason in list(summary.unreadable.items())[:_SHOWN]:
            show_note(f"  {path}: {reason}")
        if len(summary.unreadable) > _SHOWN:
            show_note(f"  and {len(summary.unreadable) - _SHOWN} more")


def _table(summary: SplitSummary) -> Table:
    from rich.table import Table

    table = Table("set", "split")
    table.add_column("real", justify="right")
    table.add_column("fake", justify="right")
    for row in summary.counts:
        table.add_row(row.set, str(row.split), str(row.real), str(row.fake))
    return table
