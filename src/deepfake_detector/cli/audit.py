"""``deepfake audit``: what a data set would teach a careless network, before anybody trains on it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import console, print_table, progress_bars, show_findings
from deepfake_detector.cli.exitcodes import ExitCode
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.data.audit import Audit, AuditOptions, Finding
from deepfake_detector.training.data.audit import audit as run_audit
from deepfake_detector.training.data.audit_report import HEADLINES, place, summary, write
from deepfake_detector.training.intervals import Resampling

if TYPE_CHECKING:
    from rich.table import Table

AUDITS = Path("outputs/audits")


def audit(
    data: Annotated[Path, typer.Argument(help="A folder with Real and Fake, a split tree, or a CSV manifest.")],
    *,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the page and the numbers.", show_default="outputs/audits/…")
    ] = None,
    sets: Annotated[list[str] | None, typer.Option(help="Only this set of the manifest; may be repeated.")] = None,
    exclude_sets: Annotated[list[str] | None, typer.Option(help="Without this set; may be repeated.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=20, help="At most so many pictures of each class of each set and split.", show_default="all"),
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=20, help="Resamples for the intervals.")] = 500,
    seed: Annotated[int, typer.Option(help="Of the resamples, the folds and the choice of --limit.")] = 0,
) -> None:
    """Look for shortcuts in labelled pictures: can the label be guessed from file format, size, colours, sharpness?

    Also: copies in several splits or in both classes, unreadable files, missing and rare classes. Writes report.html
    and audit.json. Exit code: 1 if a fact about the files tells real from fake (lower bound of its AUC 0.90 or more,
    in all pictures together or in one set); else 0.
    """
    options = AuditOptions(tuple(sets or ()), tuple(exclude_sets or ()), limit, Resampling(bootstrap, seed))
    with progress_bars() as show_progress:
        found = run_audit(data, options, partial(show_progress, "looking at pictures"))
    page = write(found, output or AUDITS / (data.stem if data.is_file() else data.resolve().name))
    show(found, page)
    if found.finding is Finding.LEAK:
        raise typer.Exit(ExitCode.LEAK)


def show(found: Audit, page: Path) -> None:
    """A table and sentences for the terminal."""
    out = console(sys.stdout)
    if any(part.guesses for part in found.parts):
        print_table(sys.stdout, _table(found))
    out.print(HEADLINES[found.finding])
    show_findings(summary(found), page)


def _table(found: Audit) -> Table:
    from rich.table import Table

    parts = [part for part in found.parts if part.guesses]
    table = Table("where", "the three best guesses of the label (AUC)", title="Shortcuts")
    for part in parts:
        best = sorted(part.guesses, key=lambda guess: -(guess.auc.value or 0.0))[:3]
        table.add_row(place(part), "; ".join(f"{guess.predictor.words} {said(guess.auc)}" for guess in best))
    return table
