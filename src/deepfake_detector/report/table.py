"""Rows of answers: CSV for programs and spreadsheets, a rich table for the terminal."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from deepfake_detector.core.types import Failure, Report, Verdict
from deepfake_detector.core.video import AnyOutcome, VideoReport
from deepfake_detector.report.text import VERDICT_WORDS, encodable, percent, printable
from deepfake_detector.report.video_text import answer_reasons

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

CSV_COLUMNS = (
    "path",
    "verdict",
    "p_fake",
    "kind",
    "faces",
    "reasons",
    "operating_point",
    "threshold",
    "real_below",
    "prior",
    "width",
    "height",
    "format",
    "bytes",
    "sha256",
    "model",
    "model_version",
    "model_sha256",
    "seconds",
    "warnings",
    "error_code",
    "error_message",
)

STYLES = {
    Verdict.FAKE: "bold red",
    Verdict.REAL: "green",
    Verdict.UNCERTAIN: "yellow",
    Verdict.NO_FACE: "dim",
}

_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")


def csv_header() -> str:
    """The first line of the CSV, without its line break."""
    return _csv_line(list(CSV_COLUMNS))


def csv_row(outcome: AnyOutcome) -> str:
    """One line of CSV, without its line break; empty cells where nothing is known.

    A text that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    cells = _failure_cells(outcome) if isinstance(outcome, Failure) else _report_cells(outcome)
    return _csv_line([cells.get(column, "") for column in CSV_COLUMNS])


def _failure_cells(failure: Failure) -> dict[str, str]:
    return {
        "path": _cell(failure.path or ""),
        "sha256": failure.sha256 or "",
        "error_code": failure.code,
        "error_message": _cell(failure.message),
    }


def _report_cells(report: Report | VideoReport) -> dict[str, str]:
    info, decision, model = report.input, report.decision, report.model
    return {
        "path": _cell(info.path or ""),
        "verdict": report.verdict.value,
        "p_fake": "" if report.p_fake is None else f"{report.p_fake:.6g}",
        "kind": "" if report.kind is None else report.kind.value,
        "faces": str(len(report.faces)),
        "reasons": "; ".join(answer_reasons(report)),
        "operating_point": decision.operating_point.value,
        "threshold": f"{decision.threshold:.6g}",
        "real_below": f"{decision.real_below:.6g}",
        "prior": f"{decision.prior:.6g}",
        "width": str(info.width),
        "height": str(info.height),
        "format": info.format,
        "bytes": str(info.bytes),
        "sha256": info.sha256,
        "model": _cell(model.name),
        "model_version": _cell(model.version),
        "model_sha256": model.sha256,
        "seconds": f"{seconds(report):.3f}",
        "warnings": _cell("; ".join(report.warnings)),
    }


def seconds(report: Report | VideoReport) -> float:
    """The time that the answer took, in seconds: the sum of the stages; these overlap in a video."""
    return report.elapsed if isinstance(report, VideoReport) else sum(report.timings.values())


def _cell(text: str) -> str:
    text = encodable(text)
    return f"'{text}" if len(text) > 1 and text.startswith(_FORMULA_MARKS) else text


def _csv_line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()


def result_table() -> Table:
    """An empty table for ``table_row``."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("input", overflow="fold", ratio=None, min_width=12)
    table.add_column("verdict", no_wrap=True)
    table.add_column("p(fake)", justify="right", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    table.add_column("faces", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("note", overflow="fold")
    return table


def table_row(outcome: AnyOutcome) -> list[Text]:
    """The cells of one row, in the order of ``result_table``'s columns."""
    from rich.text import Text

    if isinstance(outcome, Failure):
        name = outcome.path or ""
        cells = [name, "error", "", "", "", "", outcome.message.removeprefix(f"{name} ")]
        style = "magenta"
    else:
        cells = _report_words(outcome)
        style = STYLES[outcome.verdict]
    row = [Text(printable(cell)) for cell in cells]
    row[1].stylize(style)
    return row


def _report_words(report: Report | VideoReport) -> list[str]:
    return [
        report.input.path or "",
        VERDICT_WORDS[report.verdict],
        "–" if report.p_fake is None else percent(report.p_fake),
        "" if report.kind is None else report.kind.value,
        str(len(report.faces)),
        f"{seconds(report):.2f} s",
        "; ".join((*answer_reasons(report), *report.warnings)),
    ]
