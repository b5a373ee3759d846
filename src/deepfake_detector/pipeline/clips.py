"""Tells videos from pictures by their first bytes, and turns an analysis of a video into one outcome."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.core.video import Finding, VideoReport
from deepfake_detector.media.formats import is_video, sniff_video
from deepfake_detector.media.image import ImageSource
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.source import VideoSource

FIRST_BYTES = 64


@dataclass(frozen=True, slots=True)
class Clips:
    """How the videos among many inputs are analysed: which frames, and who is told what is found meanwhile.

    A GIF is a picture where no sampling is given.
    """

    sampling: Sampling | None = None
    watch: Callable[[Finding], None] | None = None


@dataclass(frozen=True, slots=True)
class Clip:
    """A source that is a video."""

    source: VideoSource


def as_clip(source: ImageSource, clips: Clips) -> Clip | None:
    """The source as a video, None if it is none or cannot be read."""
    if isinstance(source, bytes):
        start = source[:FIRST_BYTES]
    elif isinstance(source, str | os.PathLike) and Path(source).is_file():
        try:
            with Path(source).open("rb") as stream:
                start = stream.read(FIRST_BYTES)
        except OSError:
            return None  # the picture's reader says why
    else:
        return None
    wanted = is_video(start) or (clips.sampling is not None and sniff_video(start) == "GIF")
    return Clip(source) if wanted else None


def report_of(findings: Generator[Finding, None, None], watch: Callable[[Finding], None] | None) -> VideoReport:
    """The report at the end of an analysis; ``watch`` is told each finding before it."""
    with closing(findings):
        for finding in findings:
            if watch is not None:
                watch(finding)
            if isinstance(finding, VideoReport):
                return finding
    raise RuntimeError("the analysis of the video ended without a report")
