"""The terminal: streams that speak UTF-8, messages for errors, a progress bar."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

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
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller, as with ``>&-``
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it lives as long as the program
        reconfigure: Callable[..., None] | None = getattr(getattr(sys, name), "reconfigure", None)
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


_typed: ContextVar[tuple[str, ...] | None] = ContextVar("typed", default=None)


@contextmanager
def typed(arguments: Sequence[str]) -> Iterator[None]:
    """Within this block, ``typed_command`` knows the command line (without the program's name)."""
    token = _typed.set(tuple(arguments))
    try:
        yield
    finally:
        _typed.reset(token)


def typed_command() -> str | None:
    """The command line that runs, quoted so that it can be typed again in a shell; None outside of one."""
    arguments = _typed.get()
    return None if arguments is None else shlex.join(("deepfake", *arguments))


def console(stream: TextIO) -> Console:
    """A rich console that shows text as it is; wide where the stream is no terminal."""
    from rich.console import Console

    width = None if stream.isatty() else WIDE
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=False)


def print_table(stream: TextIO, table: Table) -> None:
    """Print a table; without colours and spaces at line ends where the stream is no terminal."""
    screen = console(stream)
    if stream.isatty():
        screen.print(table)
        return
    with screen.capture() as captured:
        screen.print(table)
    stream.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def show_findings(sentences: Iterable[str], page: Path, *tables: Table) -> None:
    """Tables, what was found as a list, and where the page with all the rest is, on standard output."""
    for table in tables:
        print_table(sys.stdout, table)
    out = console(sys.stdout)
    for sentence in sentences:
        out.print(f"• {sentence}", soft_wrap=True)
    out.print(f"written to {page.parent}; open {page}", soft_wrap=True)


def show_error(message: str) -> None:
    """Say on standard error that the command failed, and why."""
    from rich.text import Text

    console(sys.stderr).print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def show_note(message: str) -> None:
    """Say something on standard error that is no error."""
    from rich.text import Text

    console(sys.stderr).print(Text(message, style="dim"), soft_wrap=True)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yields what takes (what is done, how much, of how much) and draws it on standard error, if it is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True, redirect_stdout=False) as bar:
        tasks: dict[str, TaskID] = {}

        def show(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield show


@contextmanager
def progress(total: int, *, quiet: bool) -> Iterator[Callable[[], None]]:
    """Yields a function to call after each picture that was analysed; no bar for a few, or if it is to be quiet."""
    if quiet or total <= MORE_THAN_A_FEW:
        yield lambda: None
        return
    with progress_bars() as show:
        done = count(1)
        show("analysing", 0, total)
        yield lambda: show("analysing", next(done), total)


@contextmanager
def input_progress(
    total: int, *, quiet: bool
) -> Iterator[tuple[Callable[[], None], Callable[[str, int, int | None], None]]]:
    """Yields a function to call after each input, and one that shows how far the work on a single one is.

    Nothing is drawn if it is to be quiet; no bar counts the inputs if they are few.
    """
    if quiet:
        yield (lambda: None), (lambda what, done, of: None)
        return
    with progress_bars() as show:
        done = count(1)
        yield (lambda: show("analysing", next(done), total) if total > MORE_THAN_A_FEW else None), show
