"""``deepfake familiarise``: a bundle that can tell how far a face lies from those that its model knows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli import measure_options as options
from deepfake_detector.cli.console import progress_bars
from deepfake_detector.cli.detect_options import MoreDoubt


def familiarise(
    model: options.Model = None,
    data: options.Data = None,
    *,
    output: Annotated[Path, typer.Option(metavar="DIR", help="The new bundle; the folder must not exist yet.")],
    use: Annotated[
        list[MoreDoubt] | None,
        typer.Option(help="Let this doubt make faces uncertain; may be repeated. See deepfake bench uncertainty."),
    ] = None,
    most: Annotated[int, typer.Option(min=256, help="Learn from at most so many training pictures.")] = 3000,
    seed: Annotated[int, typer.Option(help="Of their choice.")] = 0,
    crops: options.Crops = None,
) -> None:
    """Write a bundle whose model also says how far a face lies from those that it knows.

    Learnt from features of training pictures; 2 % of the validation pictures of known sets lie beyond the limit. What
    makes a face uncertain is written on the card: the band, and what --use names.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from deepfake_detector.core.types import Doubt
    from deepfake_detector.scoring.bundle import write_bundle
    from deepfake_detector.training.evaluate import EvaluateOptions, choose_samples, crop_cache, data_of, find_model
    from deepfake_detector.training.familiarity import Choice, familiarise

    source, everything = find_model(model), EvaluateOptions(split=None, crops=crops)
    samples = choose_samples(data or data_of(source), source.config, everything)
    choice = Choice(most, seed, tuple(Doubt(one.value) for one in use or ()))
    with progress_bars() as progress:
        made = familiarise(source.bundle, samples, crop_cache(source, everything), choice, progress)
    print(write_bundle(output, *made))
