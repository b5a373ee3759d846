"""The pages say what the program does; an option, a code or a column that is not on them fails here."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepfake_detector.cli.exitcodes import ExitCode
from deepfake_detector.cli.main import COMMANDS, load_command
from deepfake_detector.core.errors import InputError, MissingExtraError
from deepfake_detector.core.types import QualityIssue, Verdict
from deepfake_detector.report.schema import AnalysedRecord
from deepfake_detector.report.table import CSV_COLUMNS

DOCS = Path(__file__).parents[2] / "docs"
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
REPORT = (DOCS / "report.md").read_text(encoding="utf-8")


def _section(name: str) -> str:
    return CLI.partition(f"\n### `deepfake {name}`\n")[2].partition("\n### ")[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_documented(name):
    section = _section(name)
    assert section, f"docs/cli.md has no section on {name}; run `make docs`"
    options = {option for parameter in load_command(name).params for option in parameter.opts if option.startswith("-")}
    documented = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section))
    assert options <= documented, f"not in docs/cli.md; run `make docs`: {options - documented}"


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_documented_that_does_not_exist(name):
    listed = re.findall(r"^  (?:-\w, )?(--[a-z][a-z-]*)", _section(name), re.MULTILINE)
    known = {
        option for parameter in load_command(name).params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    assert set(listed) <= known | {"--help"}, "docs/cli.md is old; run `make docs`"


def test_no_section_is_on_a_command_that_does_not_exist():
    assert re.findall(r"^### `deepfake ([\w -]+)`", CLI, re.MULTILINE) == list(COMMANDS)


def test_every_exit_code_is_documented():
    table = CLI.partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == {*ExitCode}


def _codes(root: type[InputError]) -> Iterator[str]:
    yield root.code
    for kind in root.__subclasses__():
        if kind.__module__ == InputError.__module__:  # other tests may have made their own
            yield from _codes(kind)


def test_every_error_code_of_an_input_is_documented():
    table = CLI.partition("## Errors of single inputs")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == {*_codes(InputError), MissingExtraError.code}


def test_every_field_is_documented():
    table = REPORT.partition("| field | meaning |")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(AnalysedRecord.model_fields)
    for word in (*Verdict, *QualityIssue):
        assert f"`{word.value}`" in table


def test_every_column_is_documented():
    rows = REPORT.partition("| column | meaning |")[2].partition("\n\n")[0]
    cells = [row.split("|")[1] for row in rows.splitlines() if row.startswith("| `")]
    assert tuple(re.findall(r"`(\w+)`", " ".join(cells))) == CSV_COLUMNS


def test_the_example_is_an_answer():
    example = REPORT.partition("```json\n")[2].partition("```")[0]
    whole = re.sub(r'"sha256": "[0-9a-f]+…"', f'"sha256": "{"0" * 64}"', example)
    assert AnalysedRecord.model_validate_json(whole).verdict is Verdict.FAKE
