"""What a report says of a video file and of the frames that were looked at."""

from __future__ import annotations

import math

from deepfake_detector.core.video import VideoInput
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import VideoInfo


def expected_frames(sampling: Sampling, info: VideoInfo) -> int | None:
    """About how many frames will be looked at; None where that cannot be said."""
    if sampling.frames is not None:
        return min(sampling.frames, info.frames or sampling.frames)
    if sampling.fps is not None and info.seconds is not None:
        most = info.frames or math.inf
        return max(1, int(min(math.ceil(info.seconds * sampling.fps), most)))
    if sampling.every is not None and info.frames is not None:
        return math.ceil(info.frames / sampling.every)
    return None


def in_words(sampling: Sampling) -> str:
    """The rule of the sampling."""
    if sampling.fps is not None:
        return f"{sampling.fps:g} frames a second"
    if sampling.every is not None:
        return "each frame" if sampling.every == 1 else f"one frame in {sampling.every}"
    if sampling.scenes is not None:
        return f"{sampling.scenes} frames of each scene, evenly"
    return f"{sampling.frames} frames, evenly"


def video_input(info: VideoInfo) -> VideoInput:
    """What the report says of the file."""
    return VideoInput(
        path=info.path,
        sha256=info.sha256,
        bytes=info.bytes,
        format=info.container,
        codec=info.codec,
        width=info.width,
        height=info.height,
        duration=info.seconds,
        fps=info.fps,
        audio=info.has_audio,
    )
