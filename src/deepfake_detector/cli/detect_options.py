"""The options of ``deepfake detect``, as typer takes them and as the rest of the command does."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli.console import say_version
from deepfake_detector.cli.exitcodes import Finding, parse_fail_on

if TYPE_CHECKING:
    from deepfake_detector.core.settings import OwnThreshold


class Point(StrEnum):
    """The names of ``core.types.SHIPPED_POINTS``, which would import NumPy before they are needed."""

    FPR1 = "fpr1"
    FPR5 = "fpr5"
    FPR10 = "fpr10"


class MoreDoubt(StrEnum):
    """The values of ``core.types.Doubt`` that are not always in use."""

    FAR = "far"
    UNSTABLE = "unstable"


class Format(StrEnum):
    """What goes to standard output."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"

    @property
    def streams(self) -> bool:
        """True if something is written for each input, and not only at the end."""
        return self is not Format.TABLE


FOLDER_FILES = ("report.jsonl", "report.json", "report.csv", "report.html")
"""What ``--output`` writes."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the answers go. Raises typer.BadParameter if one output would overwrite the answers of an earlier run."""

    stdout: Format
    html: Path | None
    folder: Path | None
    resume: Path | None

    def __post_init__(self) -> None:
        written = [self.html] if self.html else []
        written += [self.folder / name for name in FOLDER_FILES] if self.folder else []
        if self.resume and os.path.realpath(self.resume) in map(os.path.realpath, written):
            raise typer.BadParameter(f"{self.resume} would be overwritten by the report; give --resume another file")


def check_fail_on(text: str) -> str:
    """The callback of ``--fail-on``."""
    try:
        parse_fail_on(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text


def check_html(path: Path | None) -> Path | None:
    """The callback of ``--html``: refuse to write a report over a picture."""
    if path is not None and path.suffix.lower() not in (".html", ".htm"):
        raise typer.BadParameter(f"{path} does not end in .html; give the name of the report to write")
    return path


def check_prior(prior: float) -> float:
    """The callback of ``--prior``."""
    if not 0.0 < prior < 1.0:
        raise typer.BadParameter(f"{prior} is no share of fakes; give a number between 0 and 1, both excluded")
    return prior


def one_format(*, json: bool, jsonl: bool, csv: bool) -> Format:
    """The format that was asked for. Raises typer.BadParameter for more than one."""
    asked = [form for form, on in ((Format.JSON, json), (Format.JSONL, jsonl), (Format.CSV, csv)) if on]
    if len(asked) > 1:
        names = " and ".join(f"--{form.value}" for form in asked)
        raise typer.BadParameter(f"{names} both write to standard output; choose one, or use --output DIR for all")
    return asked[0] if asked else Format.TABLE


def own_threshold(file: Path | None, point: Point | None) -> OwnThreshold | None:
    """The threshold in the file, if there is one. Raises typer.BadParameter if an operating point is given as well."""
    if file is None:
        return None
    if point is not None:
        raise typer.BadParameter(
            f"--thresholds {file} has a rate of its own, so --operating-point {point.value} cannot be given with it"
        )
    from deepfake_detector.scoring.own_threshold import read_thresholds

    return read_thresholds(file).own


OUTPUT = "Output"
ANALYSIS = "Analysis"
VIDEOS = "Videos"

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH", help="Pictures, videos, folders (with all below), patterns, or - for standard input."
    ),
]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="One JSON document on standard output: an array.")
]
JsonLines = Annotated[
    bool, typer.Option("--jsonl", rich_help_panel=OUTPUT, help="A line of JSON per input, as soon as it is known.")
]
Csv = Annotated[bool, typer.Option("--csv", rich_help_panel=OUTPUT, help="A line of CSV per input, after a header.")]
Html = Annotated[
    Path | None,
    typer.Option(
        "--html",
        metavar="REPORT.html",
        callback=check_html,
        rich_help_panel=OUTPUT,
        help="Write a report with the pictures to this file; it opens offline.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        file_okay=False,
        rich_help_panel=OUTPUT,
        help="Write report.json, .jsonl, .csv and .html to this folder.",
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume",
        metavar="FILE.jsonl",
        dir_okay=False,
        rich_help_panel=OUTPUT,
        help="Take answers that are in this file from it (by SHA-256), and append the new ones.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|DIR",
        rich_help_panel=ANALYSIS,
        help="A shipped model, or the folder of a bundle.",
        show_default="the shipped one",
    ),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        rich_help_panel=ANALYSIS,
        help="Ask this service (`deepfake serve`); its key is read from DEEPFAKE_KEY.",
    ),
]
OperatingPoint = Annotated[
    Point | None,
    typer.Option(
        "--operating-point",
        rich_help_panel=ANALYSIS,
        help="The share of real pictures that may be called fake: 1, 5 or 10 %.",
        show_default=Point.FPR5.value,
    ),
]
Thresholds = Annotated[
    Path | None,
    typer.Option(
        "--thresholds",
        metavar="FILE.json",
        dir_okay=False,
        rich_help_panel=ANALYSIS,
        help="A threshold of your own, which deepfake calibrate made; in place of --operating-point.",
    ),
]
Prior = Annotated[
    float,
    typer.Option(
        "--prior",
        callback=check_prior,
        rich_help_panel=ANALYSIS,
        help="The share of fakes expected, 0 to 1; moves the probabilities, not the verdicts.",
    ),
]
AllFaces = Annotated[
    bool,
    typer.Option("--all-faces", rich_help_panel=ANALYSIS, help="Let small background faces count for the picture."),
]
AlsoUncertain = Annotated[
    list[MoreDoubt] | None,
    typer.Option(
        "--also-uncertain",
        rich_help_panel=ANALYSIS,
        help="Doubt a face that is far from those the model knows, or whose answer is unstable when it is saved again.",
        show_default="what the model's card has in use",
    ),
]
Explain = Annotated[
    bool,
    typer.Option(
        "--explain",
        rich_help_panel=ANALYSIS,
        help="Add heat maps, reasons, cautions and the file's provenance to JSON and HTML; the answers stay the same.",
    ),
]
TrustAnchors = Annotated[
    Path | None,
    typer.Option(
        "--trust-anchors",
        metavar="FILE.pem",
        dir_okay=False,
        rich_help_panel=ANALYSIS,
        help="Certificates of signers whose C2PA manifests count as trusted.",
    ),
]
TemporalModel = Annotated[
    Path | None,
    typer.Option(
        "--temporal-model",
        metavar="DIR",
        file_okay=False,
        rich_help_panel=ANALYSIS,
        help="For videos: a model over all frames of a person, which deepfake train-video made; in place of pooling.",
    ),
]
Threads = Annotated[
    int,
    typer.Option("--threads", min=0, rich_help_panel=ANALYSIS, help="Threads for each network; 0 chooses by itself."),
]
Frames = Annotated[
    int | None,
    typer.Option(
        "--frames",
        min=1,
        rich_help_panel=VIDEOS,
        help="Look at so many frames, evenly over the video.",
        show_default="32",
    ),
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", min=0.001, rich_help_panel=VIDEOS, help="Look at so many frames a second instead."),
]
Every = Annotated[
    int | None, typer.Option("--every", min=1, rich_help_panel=VIDEOS, help="Look at each n-th frame instead.")
]
Scene = Annotated[
    int | None,
    typer.Option(
        "--scene",
        min=1,
        rich_help_panel=VIDEOS,
        help="Find the cuts, and look at so many frames of each scene instead.",
    ),
]
Annotate = Annotated[
    Path | None,
    typer.Option(
        "--annotate",
        metavar="OUT.mp4",
        dir_okay=False,
        rich_help_panel=VIDEOS,
        help="Write the video with the findings drawn on, and with its sound.",
    ),
]
FailOn = Annotated[
    str,
    typer.Option(
        "--fail-on",
        metavar="fake,uncertain,error|none",
        callback=check_fail_on,
        help="What makes the exit code other than 0.",
    ),
]
Version = Annotated[
    bool, typer.Option("--version", callback=say_version, is_eager=True, help="Print the version and leave.")
]
ALL = ",".join(finding.value for finding in Finding)
