import csv
import io
from dataclasses import replace

import pytest
from rich.console import Console

from deepfake_detector.core.types import Failure
from deepfake_detector.report.table import CSV_COLUMNS, csv_header, csv_row, result_table, seconds, table_row


def _read(*lines: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("\n".join([csv_header(), *lines]))))


def test_csv_row_of_a_report(make_report):
    (row,) = _read(csv_row(make_report()))
    assert tuple(row) == CSV_COLUMNS
    assert (row["path"], row["verdict"], row["p_fake"], row["kind"]) == ("photos/a.jpg", "fake", "0.9", "generated")
    assert (row["faces"], row["threshold"], row["seconds"]) == ("1", "0.8", "0.240")
    assert (row["error_code"], row["error_message"]) == ("", "")


def test_csv_row_of_a_failure():
    (row,) = _read(csv_row(Failure('a "b", c.jpg', "empty", "no bytes,\nnone", "ef" * 32)))
    assert row["path"] == 'a "b", c.jpg'
    assert (row["verdict"], row["p_fake"], row["error_code"]) == ("", "", "empty")
    assert row["error_message"] == "no bytes,\nnone"


@pytest.mark.parametrize(
    "path, written", [("=1+1.jpg", "'=1+1.jpg"), ("@x.jpg", "'@x.jpg"), ("-x.jpg", "'-x.jpg"), ("-", "-")]
)
def test_a_spreadsheet_runs_no_file_name(path, written):
    (row,) = _read(csv_row(Failure(path, "empty", "no bytes")))
    assert row["path"] == written


def test_seconds_is_the_sum_of_the_stages(make_report):
    assert seconds(make_report(timings={"decode": 0.25, "find": 0.5})) == 0.75


def _shown(*rows) -> str:
    screen = Console(file=io.StringIO(), width=200, color_system=None)
    table = result_table()
    for row in rows:
        table.add_row(*table_row(row))
    screen.print(table)
    return screen.file.getvalue()


def test_table_says_it_in_short_words(make_report, unsure_report):
    shown = _shown(make_report(), unsure_report, Failure("b.jpg", "empty", "b.jpg is empty; get it again"))
    assert "generated" in shown
    assert "score between the limits; face too blurred; face too dark" in shown
    assert "b.jpg" in shown
    assert " is empty; get it again" in shown
    assert "b.jpg is empty" not in shown


def test_file_names_are_neither_markup_nor_terminal_codes(make_report):
    report = make_report()
    shown = _shown(replace(report, input=replace(report.input, path="[red]x[/red]\x1b[2J.jpg")))
    assert "[red]x[/red]\\x1b[2J.jpg" in shown
