"""The terminal: streams that speak UTF-8, messages for errors, a progress bar."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import typer

from deepfake_detector._version import __version__
from deepfake_detector.cli.exitcodes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console
    from rich.table import Table

WIDE = 240
"""Columns for output that goes to a file or a pipe, where nothing needs to be folded."""

MORE_THAN_A_FEW = 3


def prepare_streams() -> None:
    """Let standard output and error take any text as UTF-8, with plain line ends, on every system."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def silence_stdout() -> None:
    """Nobody reads standard output any more: send the rest nowhere, so that closing it raises nothing."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        # Standard output is not a file; nothing is left to flush into it.
        return


def say_version(asked: bool) -> None:
    """The callback of ``--version``: print it and leave."""
    if asked:
        print(f"deepfake-detector {__version__}")
        raise typer.Exit(ExitCode.OK)


def console(stream: TextIO) -> Console:
    """A rich console; wide where the stream is no terminal."""
    from rich.console import Console

    return Console(file=stream, width=None if stream.isatty() else WIDE, highlight=False, soft_wrap=False)


def print_table(stream: TextIO, table: Table) -> None:
    """Print a table; without colours and spaces at line ends where the stream is no terminal."""
    screen = console(stream)
    if stream.isatty():
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    stream.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def show_error(message: str) -> None:
    """Say on standard error that the command failed, and why."""
    from rich.text import Text

    console(sys.stderr).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def show_note(message: str) -> None:
    """Say something on standard error that is no error."""
    from rich.text import Text

    console(sys.stderr).print(Text(message, style="dim"), soft_wrap=True)


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[], Any]]:
    """Yields a function to call after each step; a bar on standard error if it is a terminal and steps are many."""
    if quiet or total <= MORE_THAN_A_FEW or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("analysing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console(sys.stderr), transient=True, redirect_stdout=False)
    with bar:
        task = bar.add_task("analysing", total=total)
        yield lambda: bar.advance(task)
