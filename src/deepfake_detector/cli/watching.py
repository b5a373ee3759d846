"""Videos on the command line: which frames are looked at, live progress, an annotated copy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from deepfake_detector.cli.answers import Answer
from deepfake_detector.cli.console import show_note
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.core.video import AnyOutcome, Finding, Progress, VideoReport
from deepfake_detector.media.image import ImageSource
from deepfake_detector.media.inputs import InputItem
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.pipeline import Detector

Show = Callable[[str, int, int | None], None]
"""Draws what is done, how much of it, and of how much (None if unknown)."""


@dataclass(frozen=True, slots=True)
class WatchedDetector:
    """A detector that looks at chosen frames of videos, and shows how far it is."""

    detector: Detector
    sampling: Sampling | None
    show: Show

    def analyze_many(self, sources: Iterable[ImageSource]) -> Iterator[AnyOutcome]:
        """One outcome for each source, in order."""
        return self.detector.analyze_many(sources, sampling=self.sampling, watch=self._watch)

    def threshold(self, faces: int = 1) -> float:
        """As ``Detector.threshold``."""
        return self.detector.threshold(faces)

    def _watch(self, finding: Finding) -> None:
        if isinstance(finding, Progress):
            self.show("frames", finding.done, finding.total)


def sampling_of(frames: int | None, fps: float | None, every: int | None, scene: int | None) -> Sampling | None:
    """The frames that were asked for, None for none in particular. Raises typer.BadParameter for two rules."""
    given = {
        f"--{name}": value
        for name, value in (("frames", frames), ("fps", fps), ("every", every), ("scene", scene))
        if value is not None
    }
    if len(given) > 1:
        raise typer.BadParameter(f"{' and '.join(given)} each choose the frames of a video; give one of them")
    return Sampling(frames, fps, every, scene) if given else None


def check_annotate(items: Sequence[InputItem], target: Path) -> None:
    """Raise typer.BadParameter unless there is one input, and it is not what would be overwritten."""
    if len(items) != 1:
        raise typer.BadParameter(f"--annotate writes one video, and {len(items)} inputs are given; give one video")
    if items[0].data is None and Path(items[0].path).resolve() == target.resolve():
        raise typer.BadParameter(f"--annotate {target} would overwrite the input; give another name")


def annotate(answer: Answer, target: Path, limits: VideoLimits, show: Show) -> None:
    """Write the annotated copy of a video that was analysed. Raises typer.BadParameter for a picture."""
    from deepfake_detector.core.types import Failure
    from deepfake_detector.pipeline.annotated import annotate_report

    report = answer.outcome
    if isinstance(report, Failure):
        return
    if not isinstance(report, VideoReport):
        raise typer.BadParameter(f"--annotate writes videos, and {answer.item.path} is a picture; use explain")
    end = report.input.duration

    def progress(seconds: float) -> None:
        show("annotating (s)", round(seconds), None if end is None else max(round(end), 1))

    for note in annotate_report(answer.item.source, report, target, limits, progress):
        show_note(f"{target}: {note}")
    show_note(f"wrote {target}")
