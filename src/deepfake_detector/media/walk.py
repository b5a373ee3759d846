"""Goes through the frames of one video stream: forwards, or in jumps; what is broken is counted and left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepfake_detector.core.errors import DecodeTimeoutError
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.media.containers import require_av
from deepfake_detector.media.cuts import HEIGHT, WIDTH, CutFinder

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

_WORTH_A_JUMP = 0.5
"""Seconds of video between where the decoder stands and the keyframe that it could jump to."""


@dataclass(frozen=True, slots=True)
class Step:
    """A decoded frame, its time in seconds from the start of the container, and its scene."""

    frame: VideoFrame
    time: float
    scene: int


class Walk:
    """One pass over a stream; ``trouble`` counts what went wrong."""

    def __init__(self, container: InputContainer, stream: VideoStream, name: str, limits: VideoLimits) -> None:
        self._container, self._stream, self._name, self._limits = container, stream, name, limits
        self._av = require_av()
        self._frames = self._decode()
        self._cuts = CutFinder()
        self._small = self._av.video.reformatter.VideoReformatter()
        self._base = float(stream.time_base or 0) or 1e-3
        self._start: float = (container.start_time or 0) / self._av.time_base
        self._step = 1.0 / float(stream.average_rate or stream.guessed_rate or 25)
        self._last: float | None = None
        self._jumped = False
        self._spent = 0.0
        self.trouble: Counter[str] = Counter()

    def next(self) -> Step | None:
        """The next frame in the order of showing, None at the end. Raises DecodeTimeoutError."""
        begin = time.monotonic()
        try:
            frame = next(self._frames, None)
        finally:
            self._spent += time.monotonic() - begin
        if frame is None:
            return None
        self._last = self._time(frame)
        return Step(frame, self._last, self._scene(frame))

    def towards(self, seconds: float) -> None:
        """Jump to the last keyframe before a time, if that saves decoding what lies between; else stay."""
        index, wanted = self._stream.index_entries, round((seconds + self._start) / self._base)
        found = index.search_timestamp(wanted)
        if found < 0:
            return
        keyframe = index[found].timestamp * self._base - self._start
        if keyframe < (self._last or 0.0) + _WORTH_A_JUMP:
            return
        try:
            self._container.seek(index[found].timestamp, stream=self._stream)
        except self._av.FFmpegError:
            self.trouble["jumps"] += 1
            return
        self._frames, self._jumped = self._decode(), True

    def _decode(self) -> Iterator[VideoFrame]:
        packets = self._container.demux(self._stream)
        while True:
            self._check_time()
            try:
                packet = next(packets, None)
            except self._av.FFmpegError:
                self.trouble["reads"] += 1
                return
            if packet is None:
                return
            try:
                frames = packet.decode()
            except self._av.FFmpegError:
                self.trouble["packets"] += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.trouble["frames"] += 1
                else:
                    yield frame

    def _check_time(self) -> None:
        if self._spent > self._limits.max_decode_seconds:
            raise DecodeTimeoutError(
                f"{self._name} has been decoded for {self._spent:.0f} seconds; the limit is "
                f"{self._limits.max_decode_seconds:g}: give a shorter video, look at fewer frames, or raise the limit"
            )

    def _time(self, frame: VideoFrame) -> float:
        """Seconds from the start of the container; one step after the last frame where the file says nothing."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        if stamp is None:
            self.trouble["times"] += 1
            return 0.0 if self._last is None else self._last + self._step
        return max(0.0, stamp * self._base - self._start)

    def _scene(self, frame: VideoFrame) -> int:
        small = self._small.reformat(
            frame, width=WIDTH, height=HEIGHT, format="rgb24", interpolation="FAST_BILINEAR", threads=1
        )
        jumped, self._jumped = self._jumped, False
        return self._cuts.look(small.to_ndarray(), jumped=jumped)
