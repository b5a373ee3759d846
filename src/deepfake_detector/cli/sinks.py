"""Where answers go: lines, a JSON array, CSV, a table, an HTML report. Each takes them one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TextIO

from deepfake_detector.cli.answers import Answer
from deepfake_detector.cli.console import print_table
from deepfake_detector.cli.detect_options import FOLDER_FILES, Format
from deepfake_detector.core.errors import ConfigError, DeepfakeDetectorError
from deepfake_detector.core.explanation import CloseUp
from deepfake_detector.core.settings import Limits
from deepfake_detector.core.types import ImageArray, Report
from deepfake_detector.media.image import load_image
from deepfake_detector.report.html import THUMBNAILS_ABOVE, HtmlReport, ModelSummary
from deepfake_detector.report.picture_view import CLOSE_UP_SIDE
from deepfake_detector.report.table import csv_header, csv_row, result_table, table_row


class Sink(Protocol):
    """Takes answers in the order of the inputs."""

    def add(self, answer: Answer) -> None:
        """Take one answer."""
        ...


@dataclass(frozen=True, slots=True)
class JsonLines:
    """A line of JSON per answer, flushed at once."""

    stream: TextIO

    def add(self, answer: Answer) -> None:
        """Write one line."""
        self.stream.write(answer.line + "\n")
        self.stream.flush()


class JsonArray:
    """One JSON document: an array with an element per line of the file. ``close`` ends it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._opened = False

    def add(self, answer: Answer) -> None:
        """Write one element."""
        mark, self._opened = (",\n" if self._opened else "[\n"), True  # first, since Ctrl-C may end the writing
        self._stream.write(mark + answer.line)

    def close(self) -> None:
        """End the array."""
        self._stream.write("\n]\n" if self._opened else "[]\n")
        self._stream.flush()


class CsvRows:
    """A header and a row per answer, flushed at once."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stream.write(csv_header() + "\n")

    def add(self, answer: Answer) -> None:
        """Write one row."""
        self._stream.write(csv_row(answer.outcome) + "\n")
        self._stream.flush()


class TableRows:
    """A rich table, printed whole by ``close``, since only then the widths are known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._table = result_table()

    def add(self, answer: Answer) -> None:
        """Add one row."""
        self._table.add_row(*table_row(answer.outcome))

    def close(self) -> None:
        """Print the table."""
        print_table(self._stream, self._table)


@dataclass(frozen=True, slots=True)
class HtmlPictures:
    """Opens each picture again, to show it in the report, with a close-up of the faces that have a heat map."""

    report: HtmlReport
    limits: Limits
    side: int = CLOSE_UP_SIDE

    def add(self, answer: Answer) -> None:
        """Add one input; a picture that has gone since it was analysed is left out, its answer is not.

        What is shown of a video is in its answer.
        """
        image, shown = None, []
        if isinstance(answer.outcome, Report):
            try:
                image = load_image(answer.item.source, self.limits).pixels
                shown = _close_ups(answer.outcome, image, self.side)
            except DeepfakeDetectorError:
                image = None
        self.report.add(answer.outcome, image, shown)


def _close_ups(report: Report, image: ImageArray, side: int) -> list[CloseUp]:
    if all(face.heatmap is None for face in report.faces):
        return []
    from deepfake_detector.explain.overlay import close_ups

    return close_ups(report.faces, image, side)


@dataclass(frozen=True, slots=True)
class HtmlOptions:
    """What an HTML report needs to know beforehand.

    The model, the number of inputs, the limits for pictures, and the command that makes the same report again.
    """

    model: ModelSummary
    expected: int
    limits: Limits
    command: str | None = None


@contextmanager
def stdout_sink(form: Format, stream: TextIO) -> Iterator[Sink]:
    """What writes to standard output in this format; a JSON document is ended even if the block is left early."""
    if form is Format.JSONL:
        yield JsonLines(stream)
    elif form is Format.CSV:
        yield CsvRows(stream)
    elif form is Format.JSON:
        array = JsonArray(stream)
        try:
            yield array
        finally:
            array.close()
    else:
        table = TableRows(stream)
        yield table
        table.close()


@contextmanager
def html_file(path: Path, options: HtmlOptions) -> Iterator[Sink]:
    """A report at ``path``, written when the block ends well. Raises ConfigError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        report = HtmlReport(path, options.model, options.expected, datetime.now(UTC), options.command)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        side = CLOSE_UP_SIDE if options.expected <= THUMBNAILS_ABOVE else CLOSE_UP_SIDE // 2
        yield HtmlPictures(report, options.limits, side)
    except BaseException:
        report.discard()
        raise
    try:
        report.close()
    except OSError as error:
        raise _unwritable(path, error) from error


@contextmanager
def output_folder(folder: Path, options: HtmlOptions) -> Iterator[tuple[Sink, ...]]:
    """FOLDER_FILES in a folder, which is made if needed. Raises ConfigError if they cannot be written."""
    *texts, page = FOLDER_FILES
    with ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lines, array, rows = (
                stack.enter_context((folder / name).open("w", encoding="utf-8", newline="\n")) for name in texts
            )
        except OSError as error:
            raise _unwritable(folder, error) from error
        html = stack.enter_context(html_file(folder / page, options))
        json_array = JsonArray(array)
        stack.callback(json_array.close)
        yield JsonLines(lines), json_array, CsvRows(rows), html


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write to {path}: {error.strerror or error}; give another place")
