"""One video in, from wherever it comes; time-stamped upright RGB frames and the facts about the file out."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from deepfake_detector.core.errors import (
    EmptyInputError,
    LimitExceededError,
    NoFramesError,
    NoVideoStreamError,
    UnreadableInputError,
    UnsupportedCodecError,
    UnsupportedFormatError,
)
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.core.types import ImageArray
from deepfake_detector.media.containers import CODECS, opened, require_av
from deepfake_detector.media.formats import VIDEOS_IN_WORDS, describe, sniff_video
from deepfake_detector.media.sampling import Sampling, middles, ticks
from deepfake_detector.media.walk import Step, Walk

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer

VideoSource = str | os.PathLike[str] | bytes
"""A path, or the bytes of a video file."""

_NO_LIMITS_GIVEN = VideoLimits()


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video file says of itself.

    ``width`` and ``height`` are those of the upright frame, ``rotation`` the degrees by which the frames are turned
    clockwise to stand upright (0, 90, 180, 270). ``seconds`` and ``frames`` are None where the file does not say.
    """

    path: str | None
    sha256: str
    bytes: int
    container: str
    codec: str
    width: int
    height: int
    seconds: float | None
    frames: int | None
    fps: float | None
    rotation: int
    has_audio: bool


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """A frame: its number among those handed out, its time in seconds by the container, its scene, counted from 0."""

    index: int
    time: float
    pixels: ImageArray
    scene: int


class VideoReader:
    """An open video. ``warnings`` are sentences for the reader of a report; more may come while frames are read."""

    def __init__(self, file: BinaryIO, info: VideoInfo, name: str, limits: VideoLimits) -> None:
        self.info = info
        self._file, self._name, self._limits = file, name, limits
        self._notes: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was odd so far."""
        return tuple(self._notes)

    def frames(self, sampling: Sampling | None = None) -> Iterator[VideoFrame]:
        """The frames that ``sampling`` asks for, in the order of time; each call begins anew.

        Raises DecodeTimeoutError, LimitExceededError (too many frames asked for) or NoFramesError.
        """
        sampling = sampling or Sampling()
        times = self._times(sampling)
        with self._walk() as walk:
            steps = _each(walk, sampling.every or 1) if times is None else _at(walk, times)
            for index, step in enumerate(steps):
                if index >= self._limits.max_frames:
                    self._notes.append(f"only the first {index} frames were looked at, which is the limit")
                    break
                yield VideoFrame(index, step.time, _upright(step.frame, self.info.rotation), step.scene)
            self._note_trouble(walk)

    def _times(self, sampling: Sampling) -> Iterator[float] | None:
        """The times to look at, None for each n-th frame."""
        if sampling.every is not None:
            return None
        if sampling.fps is not None:
            return ticks(sampling.fps, self.info.seconds)
        if sampling.frames is not None:
            return middles(sampling.frames, 0.0, self._end())
        assert sampling.scenes is not None
        cuts = [*self.cuts(), self._end()]
        return (
            time for start, end in itertools.pairwise([0.0, *cuts]) for time in middles(sampling.scenes, start, end)
        )

    def cuts(self) -> tuple[float, ...]:
        """The times at which a new scene begins, in seconds; decodes the whole video."""
        with self._walk() as walk:
            found, scene = [], 0
            while (step := walk.next()) is not None:
                if step.scene != scene:
                    found.append(step.time)
                    scene = step.scene
        return tuple(found)

    def _end(self) -> float:
        return self.info.seconds or 0.0

    @contextmanager
    def _walk(self) -> Iterator[Walk]:
        with opened(self._file, self.info.container, self._name, self._limits) as container:
            yield Walk(container, _stream_of(container, self._name, self._limits), self._name, self._limits)

    def _note_trouble(self, walk: Walk) -> None:
        if walk.trouble["packets"] or walk.trouble["frames"]:
            lost = walk.trouble["packets"] + walk.trouble["frames"]
            self._notes.append(f"{lost} frames are damaged and were left out")


@contextmanager
def open_video(source: VideoSource, limits: VideoLimits = _NO_LIMITS_GIVEN) -> Iterator[VideoReader]:
    """Open a video: MP4, MOV, Matroska, WebM, AVI or GIF with H.264, H.265, VP8, VP9, AV1, MPEG-4, MJPEG or GIF.

    Nothing but the bytes of the source is read: whatever else a file refers to stays closed. Frames come one by one,
    so that memory does not grow with the length of the video.

    Raises a subclass of InputError, or MissingExtraError without the extra [video].
    """
    require_av()
    path = None if isinstance(source, bytes | bytearray | memoryview) else os.fspath(source)
    name = path if path is not None else "the input"
    with _file_of(source, name, limits) as file:
        yield VideoReader(file, _info(file, path, name, limits), name, limits)


@contextmanager
def _file_of(source: VideoSource, name: str, limits: VideoLimits) -> Iterator[BinaryIO]:
    if isinstance(source, bytes | bytearray | memoryview):
        _check_bytes(len(source), name, limits)
        yield io.BytesIO(source)
        return
    with ExitStack() as stack:
        try:
            status = Path(source).stat()
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableInputError(f"{name} is not a regular file; give a video file")
            _check_bytes(status.st_size, name, limits)
            file = stack.enter_context(Path(source).open("rb"))
        except OSError as error:
            raise UnreadableInputError(f"cannot read {name}: {error.strerror or error}") from error
        except ValueError as error:  # a null byte in the path
            raise UnreadableInputError(f"cannot read {name!r}: {error}") from error
        yield file


def _check_bytes(size: int, name: str, limits: VideoLimits) -> None:
    if size == 0:
        raise EmptyInputError(f"{name} is empty (0 bytes); get the file again from where it came from")
    if size > limits.max_bytes:
        raise LimitExceededError(f"{name} has {size} bytes; the limit is {limits.max_bytes}: give a smaller file")


def _info(file: BinaryIO, path: str | None, name: str, limits: VideoLimits) -> VideoInfo:
    start = file.read(4096)
    kind = sniff_video(start)
    if kind is None:
        raise UnsupportedFormatError(
            f"{name} is not a video of a format that is opened here (it looks like {describe(start)}); "
            f"give one of {VIDEOS_IN_WORDS}"
        )
    file.seek(0)
    digest, size = _hash(file)
    with opened(file, kind, name, limits) as container:
        stream = _stream_of(container, name, limits)
        seconds = _seconds(container, stream)
        if seconds is not None and seconds > limits.max_seconds:
            raise LimitExceededError(
                f"{name} is {seconds:.0f} seconds long; the limit is {limits.max_seconds:g}: cut it, or raise the limit"
            )
        first = Walk(container, stream, name, limits).next()
        if first is None:
            raise NoFramesError(f"not one frame of {name} can be decoded; get the file again")
        rotation = -first.frame.rotation % 360 // 90 * 90
        width, height = first.frame.width, first.frame.height
        return VideoInfo(
            path=path,
            sha256=digest,
            bytes=size,
            container=kind,
            codec=CODECS[stream.codec_context.codec.name],
            width=height if rotation % 180 else width,
            height=width if rotation % 180 else height,
            seconds=seconds,
            frames=stream.frames or None,
            fps=None if stream.average_rate is None else float(stream.average_rate),
            rotation=rotation,
            has_audio=bool(container.streams.audio),
        )


def _hash(file: BinaryIO) -> tuple[str, int]:
    """The SHA-256 and the number of bytes."""
    digest, size = hashlib.sha256(), 0
    while block := file.read(1 << 20):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _stream_of(container: InputContainer, name: str, limits: VideoLimits) -> VideoStream:
    """The stream of moving pictures, ready to be decoded."""
    av = require_av()
    streams = [one for one in container.streams.video if not one.disposition & av.stream.Disposition.attached_pic]
    if not streams:
        raise NoVideoStreamError(f"{name} holds no moving pictures; give a video")
    stream = streams[0]
    if stream.codec_context is None or stream.codec_context.codec.name not in CODECS:
        raise UnsupportedCodecError(f"{name} is packed by a codec that is not opened here")
    if stream.width * stream.height > limits.max_pixels or max(stream.width, stream.height) > limits.max_side:
        raise LimitExceededError(f"{name} has frames of {stream.width} × {stream.height} pixels")
    stream.codec_context.thread_count = limits.threads
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
    for other in container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all
    return stream


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return None if container.duration is None else container.duration / 1e6


def _at(walk: Walk, times: Iterator[float]) -> Iterator[Step]:
    """The frames that are shown at some times, each once."""
    shown: Step | None = None
    given: Step | None = None
    ahead = walk.next()
    for wanted in times:
        if ahead is None:
            break
        while ahead is not None and (shown is None or ahead.time <= wanted):
            shown, ahead = ahead, walk.next()
        if shown is not None and shown is not given:
            yield shown
            given = shown


def _each(walk: Walk, every: int) -> Iterator[Step]:
    count = 0
    while (step := walk.next()) is not None:
        if count % every == 0:
            yield step
        count += 1


def _upright(frame: object, rotation: int) -> ImageArray:
    pixels = frame.to_ndarray(format="rgb24", threads=1)  # type: ignore[attr-defined]
    return np.ascontiguousarray(np.rot90(pixels, -rotation // 90))
