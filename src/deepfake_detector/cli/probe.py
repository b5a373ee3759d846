"""``deepfake probe``: could a network learn from sharpness, brightness or padding what it should learn from faces?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import console, print_table
from deepfake_detector.cli.exitcodes import ExitCode
from deepfake_detector.training.callbacks import Callbacks
from deepfake_detector.training.config import load_config
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.data.probe import DEFAULT_CROPS, Probe, ProbeOptions, as_json, verdict
from deepfake_detector.training.data.probe import probe as run_probe
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.training.train import DEFAULT_CONFIG, showing_progress

if TYPE_CHECKING:
    from rich.table import Table

UNSEEN = ("data.cache=", "data.memory_mb=", "data.workers=")
"""Changes that change nothing of what is shown, and are not recorded."""


def probe(
    config: Annotated[
        Path | None, typer.Argument(help="A YAML file that describes the experiment.", show_default=str(DEFAULT_CONFIG))
    ] = None,
    *,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: --set augment.flip=0.")
    ] = None,
    crops: Annotated[int, typer.Option(min=100, help="How many crops to look at.")] = DEFAULT_CROPS,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.json", dir_okay=False, help="Write the figures to this file.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=20, help="Resamples for the intervals.")] = 500,
    seed: Annotated[int | None, typer.Option(help="Another draw of crops.", show_default="the config's")] = None,
) -> None:
    """Look for shortcuts in the crops that a training with this config shows its network, changed as it changes them.

    Boosted trees guess the label from sharpness, high frequencies, brightness, saturation, padding and scale, and
    from nothing else. Exit code: 1 if their AUC on pictures that they were not fitted on is above 0.60; else 0.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    changes = overrides or []
    settings = load_config(config or DEFAULT_CONFIG, changes)
    if seed is not None:
        settings = settings.model_copy(update={"seed": seed})
    with showing_progress() as callbacks:
        found = run_probe(settings, ProbeOptions(crops, Resampling(bootstrap, settings.seed)), Callbacks(callbacks))
    show(found)
    if output is not None:
        recorded = [change for change in changes if not change.startswith(UNSEEN)]
        content = as_json(found, str(config or DEFAULT_CONFIG), settings.seed, recorded)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        console(sys.stdout).print(f"written to {output}", soft_wrap=True)
    if not found.clean:
        raise typer.Exit(ExitCode.LEAK)


def show(found: Probe) -> None:
    """Two tables and the verdict, for the terminal."""
    print_table(sys.stdout, _features(found))
    print_table(sys.stdout, _pools(found))
    console(sys.stdout).print(verdict(found), soft_wrap=True)


def _features(found: Probe) -> Table:
    from rich.table import Table

    title = f"{found.real} real and {found.fake} fake crops of {found.groups} sources: AUC {said(found.auc)}"
    table = Table("feature", "AUC alone", "of all without it", "median in reals", "in fakes", title=title)
    for one in found.carriers:
        without = "–" if one.without is None else f"{one.without:.3f}"
        table.add_row(one.feature.words, said(one.alone), without, f"{one.real:.3g}", f"{one.fake:.3g}")
    return table


def _pools(found: Probe) -> Table:
    from rich.table import Table

    features = [one.feature for one in found.carriers]
    table = Table("class of a set", "crops", *(feature.name for feature in features), title="Medians")
    for name, pool in found.pools.items():
        values = [f"{float(feature.columns(pool.medians)[0]):.3g}" for feature in features]
        table.add_row(name, str(pool.crops), *values)
    return table
