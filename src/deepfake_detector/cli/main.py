"""The command ``deepfake``: a table of commands that are imported when they are called, and the last word on errors."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from deepfake_detector.cli.console import prepare_streams, say_version, show_error, silence_stdout, typed
from deepfake_detector.cli.exitcodes import ExitCode
from deepfake_detector.core.errors import DeepfakeDetectorError, MissingExtraError

DEBUG_VARIABLE = "DEEPFAKE_DEBUG"

# name → (module, function, help). Nothing here is imported before the command is called.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "detect": ("deepfake_detector.cli.detect", "detect", "Say of pictures whether a face in them is fake."),
    "explain": (
        "deepfake_detector.cli.explain",
        "explain",
        "Show why: heat maps, a case report, forensic views of one picture.",
    ),
    "calibrate": (
        "deepfake_detector.cli.calibrate",
        "calibrate",
        "Set the threshold on real photos of your own cameras.",
    ),
    "doctor": ("deepfake_detector.cli.doctor", "doctor", "Say what is installed and whether it works."),
    "serve": ("deepfake_detector.cli.serve", "serve", "Answer over HTTP, with a page for people."),
    "keys": ("deepfake_detector.cli.keys", "keys", "Make, list, replace and end the API keys of the service."),
    "schema": ("deepfake_detector.cli.schema", "schema", "Print the JSON Schema of the answers."),
    "split": ("deepfake_detector.cli.split", "split", "Split Real and Fake pictures into train, val and test."),
    "faces": ("deepfake_detector.cli.faces", "faces", "Cut the largest face out of each picture, without loss."),
    "audit": ("deepfake_detector.cli.audit", "audit", "Look for shortcuts, copies and gaps in labelled pictures."),
    "preview-data": (
        "deepfake_detector.cli.preview_data",
        "preview_data",
        "Draw contact sheets of what a network would be shown.",
    ),
    "probe": (
        "deepfake_detector.cli.probe",
        "probe",
        "Look for shortcuts in the crops that a training shows its network.",
    ),
    "twins": ("deepfake_detector.cli.twins", "twins", "Make generated faces out of real ones, to train on."),
    "train": ("deepfake_detector.cli.train", "train", "Train a model on Real and Fake pictures."),
    "train-video": (
        "deepfake_detector.cli.train_video",
        "train_video",
        "Train a model over the frames of Real and Fake clips.",
    ),
    "evaluate": ("deepfake_detector.cli.evaluate", "evaluate", "Measure a model on labelled pictures."),
    "bench robustness": (
        "deepfake_detector.cli.bench_robustness",
        "robustness",
        "Measure a model on pictures that were compressed, scaled, cropped, forwarded.",
    ),
    "bench compare": (
        "deepfake_detector.cli.bench_compare",
        "compare",
        "Compare detectors, ours or others', on the same pictures.",
    ),
    "bench sources": (
        "deepfake_detector.cli.bench_sources",
        "sources",
        "Train without each family of sources, and test on every set.",
    ),
    "bench backbones": (
        "deepfake_detector.cli.bench_backbones",
        "backbones",
        "Train several backbones with one budget, and compare them.",
    ),
    "bench ablation": (
        "deepfake_detector.cli.bench_ablation",
        "ablation",
        "Train without each part of a recipe, and say what it is worth.",
    ),
    "bench uncertainty": (
        "deepfake_detector.cli.bench_uncertainty",
        "uncertainty",
        "Measure what each reason to leave a face uncertain is worth.",
    ),
    "quantise": (
        "deepfake_detector.cli.quantise",
        "quantise",
        "Write a bundle that counts in 8-bit integers, if it loses next to nothing.",
    ),
    "familiarise": (
        "deepfake_detector.cli.familiarise",
        "familiarise",
        "Write a bundle that can tell faces unlike those that its model knows.",
    ),
    "search": ("deepfake_detector.cli.search", "search", "Look for better settings of a training, by trying."),
    "runs list": ("deepfake_detector.cli.runs", "list_runs", "List trainings, the best first if you like."),
    "runs compare": ("deepfake_detector.cli.runs", "compare", "Show in what trainings differ, and what came out."),
    "runs plot": ("deepfake_detector.cli.runs", "plot", "Draw the curves of several trainings in one plot."),
    "export": ("deepfake_detector.cli.export", "export", "Write the bundle of a finished run somewhere else."),
}

# A name of two words is a command of a group.
GROUPS = {
    "bench": "Put models to the test, and against each other.",
    "runs": "Look at trainings side by side.",
}


class LazyGroup(TyperGroup):
    """Lists the commands of the table without importing them, and imports the one that is called."""

    group = ""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {}
        for whole, (_, _, words) in COMMANDS.items():
            group, _, name = whole.rpartition(" ")
            if group == self.group:
                self.commands[name] = TyperCommand(name=name, help=words)
            elif not self.group:
                self.commands.setdefault(group, _group(group))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command in place of its entry in the list."""
        name, command, rest = super().resolve_command(ctx, args)
        whole = f"{self.group} {name}".strip()
        return name, load_command(whole) if command is not None and whole in COMMANDS else command, rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a reader that went away (``| head``) ends it without a word."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            silence_stdout()
            raise typer.Exit(ExitCode.BROKEN_PIPE) from None


def _group(name: str) -> Any:
    """A group of the table, whose own commands are not imported either."""
    kind = type(f"Lazy{name.capitalize()}", (LazyGroup,), {"group": name})
    app = typer.Typer(cls=kind, add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=GROUPS[name])
    app.callback()(lambda: None)
    group = typer.main.get_command(app)
    group.name = name
    return group


def load_command(name: str) -> Any:
    """Import a command of the table: a function with typer's annotations."""
    module, function, _ = COMMANDS[name]
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name.rpartition(" ")[2])(getattr(importlib.import_module(module), function))
    return typer.main.get_command(app)


app = typer.Typer(cls=LazyGroup, add_completion=False, no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def deepfake(
    version: Annotated[
        bool, typer.Option("--version", callback=say_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Say whether a face in a picture is manipulated or generated; train and measure the models that say it."""


def main(arguments: Sequence[str]) -> int:
    """Run one command line (without the program's name) and return its exit code; nothing is raised."""
    try:
        with typed(arguments):
            typer.main.get_command(app).main(args=list(arguments), prog_name="deepfake")
        sys.stdout.flush()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else ExitCode.OK
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        silence_stdout()
        return ExitCode.BROKEN_PIPE
    except Exception as error:
        return _explain(error)
    return ExitCode.OK


def _explain(error: Exception) -> int:
    """Say in words what went wrong; with DEEPFAKE_DEBUG=1 also where."""
    from deepfake_detector.cli.checkup import EXTRAS

    if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] in EXTRAS["train"].values():
        error = MissingExtraError(f"this command ({error.name})", "train")
    if isinstance(error, DeepfakeDetectorError | OSError):  # an OSError: the disk is full, a drive has gone
        show_error(str(error))
        return ExitCode.USAGE
    show_error(
        f"something went wrong that should not have ({type(error).__name__}: {error}).\n"
        f"This is a fault of the program. Please report it with what you typed, the output of `deepfake doctor`, and "
        f"the traceback that {DEBUG_VARIABLE}=1 shows."
    )
    return ExitCode.INTERNAL


def run() -> NoReturn:
    """The entry point of the console script."""
    prepare_streams()
    sys.exit(main(sys.argv[1:]))
