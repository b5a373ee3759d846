"""``deepfake faces``: the main face of each picture, and of some frames of each clip, as PNG."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli.console import console, progress_bars, show_note
from deepfake_detector.cli.exitcodes import ExitCode
from deepfake_detector.training.data.cut_faces import CutOptions, cut_faces

_SHOWN = 20


def faces(
    source: Annotated[Path, typer.Argument(help="A folder of pictures and clips, searched to the bottom; or a CSV.")],
    destination: Annotated[Path, typer.Argument(help="A new folder; it gets the same folders inside.")],
    size: Annotated[
        int | None, typer.Option(min=16, max=4096, help="Side in pixels; without it, the pixels stay as they are.")
    ] = None,
    ratio: Annotated[
        float, typer.Option(min=0.5, max=4.0, help="Side of the square over the longer side of the face box.")
    ] = 1.1,
    frames: Annotated[int, typer.Option(min=1, max=1000, help="Frames of each clip, evenly over its length.")] = 8,
    resume: Annotated[bool, typer.Option("--resume", help="Go on in a folder that holds faces already.")] = False,
) -> None:
    """Cut the largest face out of each picture, and of some frames of each clip, and write it as PNG, without loss.

    For pictures, training does this by itself. Clips must be cut before: with --ratio 2.2, so that training finds the
    face and its surroundings in what was cut. The exit code is 4 if a file was skipped.
    """
    with progress_bars() as show:
        progress = partial(show, "cutting faces")
        summary = cut_faces(source, destination, CutOptions(size, ratio, frames, resume), progress)
    kept = f"; files that were done already: {summary.kept}" if summary.kept else ""
    console(sys.stdout).print(f"faces written to {destination}: {summary.written}{kept}", soft_wrap=True)
    if summary.skipped:
        show_note(f"files that were skipped: {len(summary.skipped)}")
        for skip in summary.skipped[:_SHOWN]:
            show_note(f"  {skip.path}: {skip.reason}")
        if len(summary.skipped) > _SHOWN:
            show_note(f"  and {len(summary.skipped) - _SHOWN} more")
        raise typer.Exit(ExitCode.INPUT)
