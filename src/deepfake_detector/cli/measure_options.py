"""The options that the commands which measure models on labelled pictures share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.training.data.samples import Split


class SplitChoice(StrEnum):
    """The split to measure on."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"
    ALL = "all"

    @property
    def chosen(self) -> Split | None:
        """The split; None for all."""
        return None if self is SplitChoice.ALL else Split(self.value)


Model = Annotated[
    str | None, typer.Argument(help="A bundle, a run, or a shipped model's name; none: the newest run in outputs/.")
]
Data = Annotated[
    Path | None, typer.Argument(help="A folder with Real and Fake, or a CSV manifest; none: the data of the run.")
]
Which = Annotated[SplitChoice, typer.Option("--split", help="Which pictures; only test ones give honest figures.")]
Sets = Annotated[list[str] | None, typer.Option(help="Only this set of the manifest; may be repeated.")]
ExcludeSets = Annotated[list[str] | None, typer.Option(help="Without this set; may be repeated.")]
UsedForSelection = Annotated[
    list[str] | None, typer.Option(help="Mark this set: a model was chosen or calibrated by it; may be repeated.")
]
BenchOutput = Annotated[
    Path | None, typer.Option(help="Folder for the page, plots and numbers.", show_default="outputs/bench/…")
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="At most so many pictures of each class of each set.", show_default="all")
]
Bootstrap = Annotated[int, typer.Option(min=0, help="Resamples for the intervals; 0 for none.")]
SeedOfChoice = Annotated[int, typer.Option(help="Of the resamples, and of which pictures are taken.")]
Crops = Annotated[Path | None, typer.Option(help="Folder in which cut faces are kept.", show_default="outputs/cache")]
Threads = Annotated[int, typer.Option(min=0, help="For scoring; 0 takes what the machine has.")]
