"""``deepfake quantise``: a bundle of half the size or less whose convolutions count in 8-bit integers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli import measure_options as options
from deepfake_detector.cli.console import console, progress_bars


def quantise(
    model: options.Model = None,
    data: options.Data = None,
    *,
    output: Annotated[Path, typer.Option(metavar="DIR", help="The new bundle; the folder must not exist yet.")],
    ranges: Annotated[int, typer.Option(min=8, help="Training pictures to measure ranges on.")] = 160,
    compared: Annotated[int, typer.Option(min=50, help="At most so many validation pictures to compare on.")] = 3000,
    force: Annotated[bool, typer.Option("--force", help="Write it however much it loses; its card says so.")] = False,
    crops: options.Crops = None,
) -> None:
    """Write a second bundle that counts in 8-bit integers, if it tells fakes as well as the first.

    Static quantisation with ONNX Runtime; heads and heat map stay in floating point. Nothing is written if the ROC-AUC
    on validation pictures falls by more than 0.005, on any set that has 20 pictures of both classes or on all pictures.
    Calibration, thresholds and the limit of far faces are carried over to the new logits. Says what was lost, and how
    much faster it is; the card says it, too.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from deepfake_detector.scoring.bundle import write_bundle
    from deepfake_detector.training.evaluate import EvaluateOptions, choose_samples, crop_cache, data_of, find_model
    from deepfake_detector.training.quantise import Trial, quantise

    source, everything = find_model(model), EvaluateOptions(split=None, crops=crops)
    samples = choose_samples(data or data_of(source), source.config, everything)
    with progress_bars() as progress:
        made, card, found = quantise(
            source.bundle, samples, crop_cache(source, everything), Trial(ranges, compared, force), progress
        )
    folder = write_bundle(output, made, card)
    console(sys.stdout).print(f"{found}.\nwritten to {folder}", soft_wrap=True)
