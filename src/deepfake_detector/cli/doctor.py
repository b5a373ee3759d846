"""``deepfake doctor``: what is installed, what ships, and whether it answers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import print_table
from deepfake_detector.cli.exitcodes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from deepfake_detector.cli.checkup import Check

MARKS = {"ok": ("ok", "green"), "missing": ("–", "yellow"), "failed": ("failed", "bold red")}


def doctor(
    *,
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME|DIR", help="Test with this model.", show_default="the shipped one"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Say what is installed and whether it works, by analysing a small picture that comes with the program.

    Exit code: 0 if everything that is needed works, else 2.
    """
    from deepfake_detector.cli.checkup import all_checks

    checks = all_checks(model)
    works = all(check.status != "failed" for check in checks)
    if json:
        _print_json(checks, works)
    else:
        _print_table(checks, works)
    raise typer.Exit(ExitCode.OK if works else ExitCode.USAGE)


def _print_json(checks: Sequence[Check], works: bool) -> None:
    import json
    from dataclasses import asdict

    from deepfake_detector._version import __version__

    document = {"works": works, "version": __version__, "checks": [asdict(check) for check in checks]}
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def _print_table(checks: Sequence[Check], works: bool) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("part", "", "what was found"):
        table.add_column(name, overflow="fold", no_wrap=name != "what was found")
    for check in checks:
        word, style = MARKS[check.status]
        found = check.found if check.fix is None else f"{check.found}\n→ {check.fix}"
        table.add_row(Text(check.part), Text(word, style=style), Text(found))
    print_table(sys.stdout, table)
    print("Everything that is needed works." if works else "Something that is needed does not work; see above.")
