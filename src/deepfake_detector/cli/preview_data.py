"""``deepfake preview-data``: contact sheets of what a training with this config would show its network."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli.console import console
from deepfake_detector.training.callbacks import Callbacks
from deepfake_detector.training.config import load_config
from deepfake_detector.training.data.preview import SYNTHESISED, preview
from deepfake_detector.training.train import DEFAULT_CONFIG, showing_progress


def preview_data(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file that describes the experiment.", show_default=str(DEFAULT_CONFIG))
    ] = None,
    *,
    output: Annotated[Path, typer.Option(help="Folder for the sheets; those of an earlier call are replaced.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: --set synthetic=null.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, max=50, help="Rows of crops of each class; fakes of each recipe.")] = 6,
    seed: Annotated[int | None, typer.Option(help="Another draw.", show_default="the config's")] = None,
) -> None:
    """Draw contact sheets of what the network will see: look at them before you train.

    reals.png and fakes.png: the first crops of the first epoch, changed as in training, with their set and method.
    synthesised.png: photo, real partner, fake, mask and difference for each recipe of the config. The faces are cut
    and kept in the cache, as training does it.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    settings = load_config(config or DEFAULT_CONFIG, overrides or [])
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    with showing_progress() as callbacks:
        written = preview(settings, output, rows, Callbacks(callbacks))
    out = console(sys.stdout)
    for file in written:
        out.print(str(file), soft_wrap=True)
    if output / SYNTHESISED not in written:
        out.print("the config synthesises no fakes, so there is no sheet of them", soft_wrap=True)
