import io
import sys

from rich.table import Table

from deepfake_detector.cli.console import console, prepare_streams, print_table, progress, show_error, show_note


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _terminal(monkeypatch) -> _Terminal:
    """Let standard error be a terminal; called in the test, since pytest changes the stream between its phases."""
    stream = _Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    return stream


def _work(total: int, *, quiet: bool = False) -> None:
    with progress(total, quiet=quiet) as step:
        for _ in range(total):
            step()


def test_bar_on_a_terminal_for_more_than_a_few(monkeypatch):
    terminal = _terminal(monkeypatch)
    _work(5)
    assert "5/5" in terminal.getvalue()


def test_no_bar_for_a_few_or_when_lines_stream_to_the_same_screen(monkeypatch):
    terminal = _terminal(monkeypatch)
    _work(3)
    _work(5, quiet=True)
    assert terminal.getvalue() == ""


def test_silent_where_there_is_no_terminal(capsys):
    _work(50)
    assert capsys.readouterr() == ("", "")


def test_bar_leaves_standard_output_alone(monkeypatch, capsys):
    terminal = _terminal(monkeypatch)
    with progress(5, quiet=False) as step:
        sys.stdout.write("a line\n")
        step()
    assert capsys.readouterr().out == "a line\n"
    assert "0/5" in terminal.getvalue()
    assert "a line" not in terminal.getvalue()


def test_messages_are_taken_as_they_are(capsys):
    show_error("no [bold]markup[/bold] " + "x" * 300)
    show_note("[red]x")
    assert capsys.readouterr().err == "error: no [bold]markup[/bold] " + "x" * 300 + "\n[red]x\n"


def test_table_in_a_file_has_no_spaces_at_line_ends():
    table = Table("a", "b")
    table.add_row("1", "")
    stream = io.StringIO()
    print_table(stream, table)
    assert all(line == line.rstrip() for line in stream.getvalue().splitlines())
    assert "\x1b" not in stream.getvalue()


def test_what_looks_like_markup_is_shown_as_it_is(capsys):
    console(sys.stdout).print("wrote [set]/:smile: [/x]")
    assert capsys.readouterr().out == "wrote [set]/:smile: [/x]\n"


def test_streams_that_the_caller_closed_lead_nowhere(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    prepare_streams()
    with sys.stdout as stream:
        assert not stream.isatty()
        stream.write("to nobody")
