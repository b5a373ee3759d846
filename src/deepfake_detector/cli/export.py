"""``deepfake export``: the bundle of a finished run, written where it is wanted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="The folder of a finished run, such as outputs/run.")],
    destination: Annotated[Path, typer.Argument(help="A new folder for model.onnx and card.json.")],
) -> None:
    """Turn the network of a run into a bundle (ONNX file and card), calibrated on its validation pictures.

    Refused if Keras and ONNX differ by more than 1e-4 in a logit on real crops.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from deepfake_detector.training.export import export_run
    from deepfake_detector.training.run import RunFolder

    print(export_run(RunFolder(run), destination))
