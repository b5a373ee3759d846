"""``deepfake calibrate``: real photos of a user's own cameras in; the threshold that suits them out."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli import detect_options as options
from deepfake_detector.cli.console import console, progress, show_note

if TYPE_CHECKING:
    from deepfake_detector.cli.answers import Answer
    from deepfake_detector.pipeline import Detector
    from deepfake_detector.scoring.own_threshold import ThresholdFile

MAX_FPR = 0.5


def check_fpr(fpr: float) -> float:
    """The callback of ``--fpr``."""
    if not 0.0 < fpr <= MAX_FPR:
        raise typer.BadParameter(f"{fpr} is no rate of false alarms; give a share above 0 and up to {MAX_FPR}")
    return fpr


def check_output(path: Path) -> Path:
    """The callback of ``--output``: refuse to write a threshold over a picture."""
    if path.suffix.lower() != ".json":
        raise typer.BadParameter(f"{path} does not end in .json; give the name of the file to write")
    return path


def calibrate(
    *,
    reals: Annotated[
        list[str],
        typer.Option(metavar="DIR", help="Real photos: a folder (with all below) or a pattern; may be repeated."),
    ],
    fpr: Annotated[
        float, typer.Option(callback=check_fpr, help="The share of such photos that may be called fake: .01 is 1 %.")
    ] = 0.01,
    output: Annotated[
        Path,
        typer.Option(
            metavar="FILE.json", dir_okay=False, callback=check_output, help="Write the threshold to this file."
        ),
    ],
    model: options.Model = None,
    threads: options.Threads = 0,
) -> None:
    """Set the threshold on real photos of your own cameras; deepfake detect takes it with --thresholds.

    The threshold lies just above the score of all but a share --fpr of the photos. It needs 1 / fpr - 1 of them with
    a face, 99 for 1 %; more make it steadier. Photos that cannot be used are named and left out. The model itself
    stays as it is.
    """
    from deepfake_detector.core.settings import AnalysisSettings
    from deepfake_detector.core.types import OperatingPoint
    from deepfake_detector.pipeline import Detector
    from deepfake_detector.scoring.bundle import load_bundle
    from deepfake_detector.scoring.own_threshold import set_threshold, shipped_threshold, write_thresholds

    bundle = load_bundle(model)
    start = shipped_threshold(bundle, fpr)
    detector = Detector(bundle, AnalysisSettings(OperatingPoint.OWN, threads=threads, own_threshold=start))
    margins, skipped = _measure(detector, reals)
    made = set_threshold(bundle, fpr, margins, skipped)
    write_thresholds(made, output, bundle)
    _say(made, start.logit, sum(margin >= 0.0 for margin in margins), output)


def _measure(detector: Detector, reals: list[str]) -> tuple[list[float], list[str]]:
    """How far each photo lies above the threshold of now, and a word for each that says nothing."""
    from deepfake_detector.cli.answers import answers
    from deepfake_detector.media.inputs import expand

    items = tuple(expand(reals, limits=detector.settings.limits))
    margins: list[float] = []
    skipped: list[str] = []
    with progress(len(items), quiet=False) as step:
        for answer, found in _found(detector, answers(detector, items, None)):
            if isinstance(found, str):
                skipped.append(found.partition(":")[0])
                show_note(f"not used: {answer.item.path}: {found}")
            else:
                margins.append(found)
            step()
    return margins, skipped


def _found(detector: Detector, given: Iterable[Answer]) -> Iterable[tuple[Answer, float | str]]:
    """Each answer with its margin; or, where it has none, with the reason as ``word`` or ``word: more``."""
    from deepfake_detector.core.types import Failure, Verdict
    from deepfake_detector.core.video import VideoReport

    seen: set[str] = set()
    for answer in given:
        outcome = answer.outcome
        if isinstance(outcome, Failure):
            yield answer, f"{outcome.code}: {outcome.message.removeprefix(f'{outcome.path} ')}"
            continue
        if isinstance(outcome, VideoReport):
            yield answer, "video: the threshold is set on photos"
            continue
        margin = detector.margin(outcome)
        if outcome.input.sha256 in seen:
            yield answer, "copy: the same file was given before"
        elif outcome.verdict is Verdict.NO_FACE:
            yield answer, "no_face: no face was found"
        elif margin is None:
            issues = {issue for face in outcome.faces for issue in face.quality.issues}
            yield answer, f"unfit_face: its face cannot be judged ({', '.join(sorted(issues))})"
        else:
            yield answer, margin
        seen.add(outcome.input.sha256)


def _say(made: ThresholdFile, shipped: float, alarms: int, output: Path) -> None:
    """What was found, for the terminal."""
    from deepfake_detector.scoring.calibration import p_fake

    skipped = ", ".join(f"{count} {reason}" for reason, count in made.skipped.items())
    console(sys.stdout).print(
        f"{made.photos} photos used; not used: {skipped or 'none'}.\n"
        f"The threshold for {made.fpr * 100:.3g} % false alarms is p(fake) {p_fake(made.logit, 0.5):.3f}, "
        f"logit {made.logit:.2f}; that of the model is {p_fake(shipped, 0.5):.3f}, logit {shipped:.2f}, "
        f"and calls {alarms} of these photos fake.\n"
        f"written to {output}; use it: deepfake detect --thresholds {output} PATH",
        soft_wrap=True,
    )
