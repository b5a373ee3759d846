"""One video in, from wherever it comes; time-stamped upright RGB frames and the facts about the file out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import LimitExceededError, NoFramesError, UnsupportedFormatError
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.core.types import ImageArray
from deepfake_detector.media.containers import CODECS, opened, require_av, video_stream
from deepfake_detector.media.formats import VIDEOS_IN_WORDS, describe, sniff_video
from deepfake_detector.media.sampling import Sampling, middles, ticks
from deepfake_detector.media.source import VideoSource, bytes_of, hash_of, name_of
from deepfake_detector.media.upright import Upright
from deepfake_detector.media.walk import Step, Walk, at_times, in_steps, is_in_slots, start_of

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer

_NO_LIMITS_GIVEN = VideoLimits()
_MISSING_END = 0.05
"""The share of a video (and at least a second) that may be missing at its end before a warning is due."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video file says of itself.

    ``width`` and ``height`` are those of the upright frame with square pixels, ``rotation`` the degrees by which the
    stored frames are turned clockwise (0, 90, 180, 270). ``seconds``, ``frames`` and the average ``fps`` are None where
    the file does not say. ``path`` is as given, None for bytes.
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
    """A frame: its number among those handed out, its time in seconds by the container, its scene, counted from 0.

    ``following`` is the very next frame of the video in grey, uint8 (height, width), for what changes from one to the
    other; None for the last frame, and before a cut.
    """

    index: int
    time: float
    pixels: ImageArray
    scene: int
    following: NDArray[np.uint8] | None = None


class VideoReader:
    """An open video; made by ``open_video``. Not for several threads at once."""

    def __init__(self, file: BinaryIO, info: VideoInfo, upright: Upright, limits: VideoLimits) -> None:
        self.info = info
        self._file, self._upright, self._limits = file, upright, limits
        self._name = info.path or "the input"
        self._notes = list(upright.notes)
        self._length: float | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the reader of a report; more may come while frames are read."""
        return tuple(dict.fromkeys(self._notes))

    def frames(self, sampling: Sampling | None = None) -> Iterator[VideoFrame]:
        """The frames that ``sampling`` asks for, in the order of time, one in memory at a time; each call begins anew.

        Frames that are damaged are left out, and ``warnings`` says so. Raises LimitExceededError if more frames are
        asked for than the limits allow, DecodeTimeoutError, NoFramesError if none can be decoded.
        """
        sampling = sampling or Sampling()
        self._check_number(sampling)
        times = self._times(sampling)
        number = 0
        with self.walk() as walk:
            for step in in_steps(walk, sampling.every or 1) if times is None else at_times(walk, times):
                if number >= self._limits.max_frames:
                    self._notes.append(f"only the first {number} frames were looked at, which is the limit")
                    break
                pixels = self.pixels(step, walk)
                if pixels is not None:
                    yield VideoFrame(number, step.time, pixels, step.scene, self._following(step))
                    number += 1
            self.note_trouble(walk)
        if number == 0:
            raise NoFramesError(f"not one frame of {self._name} can be decoded; get the file again")

    def frame_at(self, seconds: float) -> VideoFrame:
        """The frame that is shown at a time, or the last one. Raises DecodeTimeoutError, or NoFramesError."""
        with self.walk() as walk:
            step = next(at_times(walk, iter([seconds])), None)
            pixels = None if step is None else self.pixels(step, walk)
        if step is None or pixels is None:
            raise NoFramesError(f"no frame of {self._name} can be decoded at {seconds:.2f} seconds; look at another")
        return VideoFrame(0, step.time, pixels, step.scene)

    def cuts(self) -> tuple[float, ...]:
        """The times in seconds at which a new scene begins; decodes the whole video."""
        with self.walk() as walk:
            steps = ((step.scene, step.time) for step in in_steps(walk, 1))
            scenes = [next(group)[1] for _, group in itertools.groupby(steps, key=lambda step: step[0])]
        return tuple(scenes[1:])

    @contextmanager
    def container(self) -> Iterator[InputContainer]:
        """The file opened once more, from its start, for those who need more than ``frames`` gives."""
        with opened(self._file, self.info.container, self._name, self._limits) as container:
            yield container

    @contextmanager
    def walk(self) -> Iterator[Walk]:
        """A pass over all frames, not yet turned upright."""
        with self.container() as container:
            yield Walk(container, video_stream(container, self._name, self._limits), self._name, self._limits)

    def pixels(self, step: Step, walk: Walk) -> ImageArray | None:
        """The upright pixels of a step; None, and counted as trouble, where FFmpeg cannot convert its colours."""
        try:
            return self._upright.pixels(step.frame)
        except (require_av().FFmpegError, ValueError):
            walk.trouble["frames"] += 1
            return None

    def _following(self, step: Step) -> NDArray[np.uint8] | None:
        if step.following is None:
            return None
        try:
            return np.asarray(cv2.cvtColor(self._upright.pixels(step.following), cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        except (require_av().FFmpegError, ValueError):
            return None  # counted as trouble when its own turn comes

    def note_trouble(self, walk: Walk) -> None:
        """Turn the trouble of a pass into ``warnings``."""
        if lost := walk.trouble["packets"] + walk.trouble["frames"]:
            self._notes.append(f"{lost} damaged parts of the video (about a frame each) were left out")
        if walk.trouble["times"]:
            self._notes.append("some frames have no usable time stamp; their times were guessed")
        claimed, reached = self.info.seconds, walk.last or 0.0
        if walk.ended and claimed and claimed - reached > max(1.0, _MISSING_END * claimed):
            self._notes.append(
                f"the file says that it is {claimed:.1f} seconds long, but its pictures end at {reached:.1f} seconds; "
                "its end may be missing"
            )

    def _check_number(self, sampling: Sampling) -> None:
        asked = sampling.frames or 0
        if sampling.fps is not None and self.info.seconds is not None:
            asked = int(sampling.fps * self.info.seconds)
        if sampling.every is not None and self.info.frames is not None:
            asked = self.info.frames // sampling.every
        if asked > self._limits.max_frames:
            raise LimitExceededError(
                f"{asked} frames of {self._name} are asked for; the limit is {self._limits.max_frames}: look at "
                "fewer, or raise the limit"
            )

    def _times(self, sampling: Sampling) -> Iterator[float] | None:
        """The times to look at, None for each n-th frame."""
        if sampling.every is not None:
            return None
        if sampling.fps is not None:
            return ticks(sampling.fps, self._end())
        if sampling.frames is not None:
            return middles(sampling.frames, 0.0, self._end())
        assert sampling.scenes is not None
        bounds = [0.0, *self.cuts(), self._end()]
        return (time for start, end in itertools.pairwise(bounds) for time in middles(sampling.scenes, start, end))

    def _end(self) -> float:
        """When the last frame ends, in seconds, by the packets themselves: headers know it less well."""
        if self._length is None:
            with self.container() as container:
                stream = video_stream(container, self._name, self._limits)
                self._length = max(_last_time(container, stream), self.info.seconds or 0.0)
        return self._length


@contextmanager
def open_video(source: VideoSource, limits: VideoLimits = _NO_LIMITS_GIVEN) -> Iterator[VideoReader]:
    """Open a video: MP4, MOV, Matroska, WebM, AVI or GIF with H.264, H.265, VP8, VP9, AV1, MPEG-4, MJPEG or GIF.

    Nothing but the bytes of the source is read: whatever else a file refers to stays closed. Frames come one by one,
    so that memory does not grow with the length of the video.

    Raises a subclass of InputError, or MissingExtraError without the extra [video].
    """
    require_av()
    name = name_of(source)
    with bytes_of(source, limits) as file:
        info, upright = _first_look(file, name if isinstance(source, str | os.PathLike) else None, name, limits)
        yield VideoReader(file, info, upright, limits)


def _first_look(file: BinaryIO, path: str | None, name: str, limits: VideoLimits) -> tuple[VideoInfo, Upright]:
    """The facts about a file, of which the first frame has to be decoded."""
    start = file.read(4096)
    kind = sniff_video(start)
    if kind is None:
        raise UnsupportedFormatError(
            f"{name} is not a video of a format that is opened here (it looks like {describe(start)}); "
            f"give one of {VIDEOS_IN_WORDS}"
        )
    with opened(file, kind, name, limits) as container:
        stream = video_stream(container, name, limits)
        seconds = _seconds(container, stream)
        if seconds is not None and seconds > limits.max_seconds:
            raise LimitExceededError(
                f"{name} is {seconds:.0f} seconds long; the limit is {limits.max_seconds:g}: cut it, or raise the limit"
            )
        first = Walk(container, stream, name, limits).next()
        if first is None:
            with opened(file, kind, name, limits, probe=False) as claimed:
                video_stream(claimed, name, limits)  # too large for the decoder, which does not say why it refused
            raise NoFramesError(f"not one frame of {name} can be decoded; get the file again")
        upright = Upright(first.frame, stream.sample_aspect_ratio, name, limits)
        digest, size = hash_of(file)
        if kind == "AVI" and (missing := int.from_bytes(start[4:8], "little") + 8 - size) > 0:
            upright.notes.append(f"the file is {missing} bytes shorter than it says; its end may be missing")
        info = VideoInfo(
            path=path,
            sha256=digest,
            bytes=size,
            container=kind,
            codec=CODECS[stream.codec_context.codec.name],
            width=upright.width,
            height=upright.height,
            seconds=seconds,
            frames=stream.frames or None,
            fps=float(stream.average_rate) if stream.average_rate else None,
            rotation=upright.rotation,
            has_audio=bool(container.streams.audio),
        )
    return info, upright


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """The length by the header, or by the index if that reaches further."""
    base = stream.time_base or 0
    if stream.duration is not None and stream.duration > 0:
        claimed = float(stream.duration * base)
    else:
        claimed = max(0, container.duration or 0) / 1_000_000
    index = stream.index_entries
    if len(index):
        claimed = max(claimed, float(index[-1].timestamp * base) - start_of(container))
    return claimed or None


def _last_time(container: InputContainer, stream: VideoStream) -> float:
    """When the last packet of a stream ends, in seconds; read from the last keyframe on where there is an index."""
    last, av, index = 0.0, require_av(), stream.index_entries
    try:
        if len(index):
            container.seek(index[-1].timestamp, stream=stream)
        for packet in container.demux(stream):
            stamp = packet.dts if is_in_slots(container) else packet.pts
            if stamp is not None:
                end = (stamp + (packet.duration or 0)) * float(stream.time_base or 0)
                last = max(last, end - start_of(container))
    except av.FFmpegError:
        return last  # what follows is damaged, and the frames end there, too
    return last
