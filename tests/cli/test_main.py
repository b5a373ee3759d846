import os
import subprocess
import sys

import pytest

from deepfake_detector import __version__
from deepfake_detector.cli import main as program
from deepfake_detector.cli.main import COMMANDS, GROUPS, load_command
from deepfake_detector.core.errors import DataError


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_resolves_and_explains_itself(name, deepfake):
    command = load_command(name)
    assert command.name == name.split()[-1]
    assert command.callback.__doc__
    assert all(getattr(parameter, "help", None) for parameter in command.params if parameter.name != "help")
    assert COMMANDS[name][2].endswith(".")
    ran = deepfake(*name.split(), "--help")
    assert ran.code == 0
    assert "Usage: deepfake" in ran.out


def test_help_lists_the_commands_with_their_help(deepfake):
    ran = deepfake("--help")
    assert ran.code == 0
    for name, (_, _, words) in COMMANDS.items():
        group, _, last = name.rpartition(" ")
        listed = deepfake(group, "--help").out if group else ran.out
        assert f"  {last} " in listed
        assert words.split()[0] in listed
    for name, words in GROUPS.items():
        assert f"  {name} " in ran.out
        assert words.split()[0] in ran.out


def test_unknown_command_of_a_group_is_a_usage_error(deepfake):
    ran = deepfake("bench", "robustnes")
    assert ran.code == 2
    assert "robustnes" in ran.err


def test_version(deepfake):
    expected = f"deepfake-detector {__version__}\n"
    assert deepfake("--version") == (0, expected, "")
    assert deepfake("detect", "--version") == (0, expected, "")


def test_unknown_command_is_a_usage_error(deepfake):
    ran = deepfake("detekt", "a.jpg")
    assert ran.code == 2
    assert "detekt" in ran.err


def test_nothing_typed_shows_the_help_and_is_a_usage_error(deepfake):
    ran = deepfake()
    assert ran.code == 2
    assert "Commands:" in ran.out + ran.err


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | environment
    )


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from deepfake_detector.cli.main import main; main(['--help']); "
        "print('HEAVY', sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'numpy', 'cv2', 'PIL', 'pydantic', 'onnx', 'onnxruntime', 'jinja2', 'tensorflow', 'keras', 'sklearn'}))"
    )
    assert "HEAVY []" in _python(code).stdout


@pytest.fixture
def broken(monkeypatch, deepfake):
    """``broken(error)`` runs a command that raises it."""

    def run(error: BaseException):
        def command() -> None:
            """Fail."""
            raise error

        monkeypatch.setitem(COMMANDS, "fail", ("deepfake_detector.cli.main", "fail", "Fail."))
        monkeypatch.setattr(program, "fail", command, raising=False)
        return deepfake("fail")

    return run


def test_our_errors_are_a_message_and_code_2(broken):
    ran = broken(DataError("no pictures in [set]; give a folder"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "error: no pictures in [set]; give a folder\n"


def test_errors_of_the_system_are_a_message_and_code_2(broken):
    ran = broken(OSError(28, "No space left on device", "x.csv"))
    assert ran.code == 2
    assert "No space left on device" in ran.err
    assert "Traceback" not in ran.err


def test_a_missing_module_of_an_extra_says_how_to_get_it(broken):
    ran = broken(ModuleNotFoundError("No module named 'sklearn'", name="sklearn.metrics"))
    assert ran.code == 2
    assert 'pip install "deepfake-detector[train]"' in ran.err


def test_our_own_faults_say_how_to_report_them(broken, monkeypatch):
    ran = broken(ZeroDivisionError("division by zero"))
    assert ran.code == 70
    assert "ZeroDivisionError: division by zero" in ran.err
    assert "deepfake doctor" in ran.err
    assert "Traceback" not in ran.err
    monkeypatch.setenv("DEEPFAKE_DEBUG", "1")
    assert "Traceback" in broken(ZeroDivisionError("division by zero")).err


def test_interrupt_is_130_without_a_traceback(broken):
    ran = broken(KeyboardInterrupt())
    assert ran.code == 130
    assert "Traceback" not in ran.err


def test_a_reader_that_goes_away_ends_it_quietly():
    code = (
        "import sys; from deepfake_detector.cli import main as program; "
        "program.COMMANDS['talk'] = ('deepfake_detector.cli.main', 'talk', 'Talk.'); "
        "program.talk = lambda: [print('x' * 1000, flush=True) for _ in range(10_000)]; "
        "sys.argv = ['deepfake', 'talk']; program.run()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().startswith("xxx")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


def test_output_is_utf8_whatever_the_console_speaks():
    code = (
        "import sys; from deepfake_detector.cli.main import run; "
        "sys.argv = ['deepfake', 'doctor', '--model', 'Zoë 写真']; run()"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
    )
    assert "Zoë 写真" in shown.stdout.decode("utf-8")
