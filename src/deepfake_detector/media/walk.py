"""Goes through the frames of one video stream: forwards, or in jumps; what is broken is counted and left out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from deepfake_detector.core.errors import DecodeTimeoutError, LimitExceededError
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.media.containers import require_av
from deepfake_detector.media.cuts import HEIGHT, WIDTH, CutFinder

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

_WORTH_A_JUMP = 0.5
"""Seconds of video between where the decoder stands and the keyframe that it could jump to."""

_REORDERED = 4
"""Frames by which decoding usually runs ahead of showing, at the most."""

_SAME_TIME = 1e-3
"""Seconds between two times that are the same one: Matroska's clock, and reports, count in milliseconds."""

_LONGEST_STEP = 10.0
"""Seconds by which a time may lie before that of an earlier frame's; more is a broken clock."""


@dataclass(frozen=True, slots=True)
class Step:
    """A decoded frame, its time in seconds from the start of the container, and its scene, counted from 0.

    ``following`` is the very next frame, where it is known and of the same scene.
    """

    frame: VideoFrame
    time: float
    scene: int
    following: VideoFrame | None = None

    def before(self, ahead: Step | None) -> Step:
        """This step, told which one comes next."""
        return self if ahead is None or ahead.scene != self.scene else replace(self, following=ahead.frame)


class Walk:
    """One pass over a stream.

    ``trouble`` counts what was left out ("packets", "frames") or guessed ("times"); ``last`` is the time of the last
    frame, None before the first; ``ended`` is True when the file gave no more.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, name: str, limits: VideoLimits) -> None:
        self._container, self._stream, self._name, self._limits = container, stream, name, limits
        self._av = require_av()
        self._packets = iter(container.demux(stream))
        self._ready: Iterator[VideoFrame] = iter(())
        self._cuts, self._jumped = CutFinder(), False
        self._small = self._av.video.reformatter.VideoReformatter()
        self._base = float(stream.time_base or 0) or 1e-3
        self._start = start_of(container)
        self._step = 1.0 / (float(stream.average_rate or 0) or 25.0)
        self._spent = 0.0
        self._slots: list[int] | None = [] if is_in_slots(container) else None
        self.trouble: Counter[str] = Counter()
        self.last: float | None = None
        self.ended = False

    def next(self) -> Step | None:
        """The next frame in the order of showing, None at the end.

        Raises DecodeTimeoutError, or LimitExceededError where frames go on after the longest time allowed.
        """
        begin = time.monotonic()
        try:
            frame = self._next_frame(begin)
        finally:
            self._spent += time.monotonic() - begin
        if frame is None:
            self.ended = True
            return None
        self.last = self._time(frame)
        if self.last > self._limits.max_seconds:
            raise LimitExceededError(
                f"{self._name} is longer than {self._limits.max_seconds:g} seconds, which is the limit: cut it, or "
                "raise the limit"
            )
        return Step(frame, self.last, self._scene(frame))

    def load_index(self) -> None:
        """Have the demuxer read its index before the first frame; Matroska's reads it only when it seeks."""
        if len(self._stream.index_entries) == 0:
            try:
                self._container.seek(self._stream.start_time or 0, stream=self._stream)
            except self._av.FFmpegError:
                return  # there is none, and the walk starts where it was

    def towards(self, seconds: float) -> bool:
        """Jump to the last keyframe at or before a time, if that saves decoding what lies between; True if so.

        By the index of the file only; without one, or where it is broken, the walk goes on frame by frame.
        """
        if self._slots is not None and self._stream.codec_context.has_b_frames:
            return False  # after a jump nobody could say which slot is whose
        # Some indexes say when a keyframe is decoded, which is a few frames before it is shown.
        index = self._stream.index_entries
        wanted = round((seconds - _REORDERED * self._step + self._start) / self._base)
        found = index.search_timestamp(wanted) if abs(wanted) < 2**62 else -1
        if found < 0:
            return False
        keyframe = index[found].timestamp * self._base - self._start
        if keyframe < (self.last or 0.0) + _WORTH_A_JUMP:
            return False
        try:
            self._container.seek(wanted, stream=self._stream)
        except self._av.FFmpegError:
            return False
        self._packets, self._ready = iter(self._container.demux(self._stream)), iter(())
        self._slots = None if self._slots is None else []
        self._jumped = True
        return True

    def _next_frame(self, begin: float) -> VideoFrame | None:
        while True:
            self._check_time(self._spent + time.monotonic() - begin)
            frame = next(self._ready, None)
            if frame is None:
                packet = self._next_packet()
                if packet is None:
                    return None
                self._ready = iter(self._decode(packet))
                continue
            if self._slots:
                frame.pts = heappop(self._slots)
            if not frame.is_corrupt:
                return frame
            self.trouble["frames"] += 1

    def _next_packet(self) -> Packet[VideoStream] | None:
        try:
            return next(self._packets, None)
        except self._av.FFmpegError:
            self.trouble["packets"] += 1
            return None

    def _decode(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        try:
            frames = packet.decode()
        except (self._av.FFmpegError, ValueError, MemoryError):
            self.trouble["packets"] += 1
            return []
        if self._slots is not None and packet.dts is not None:
            heappush(self._slots, packet.dts)
        return frames

    def _check_time(self, spent: float) -> None:
        if spent > self._limits.max_decode_seconds:
            raise DecodeTimeoutError(
                f"{self._name} has been decoded for {spent:.0f} seconds; the limit is "
                f"{self._limits.max_decode_seconds:g}: give a shorter video, look at fewer frames, or raise the limit"
            )

    def _time(self, frame: VideoFrame) -> float:
        """Seconds from the start of the container; one step after the last frame where the file says nothing usable."""
        stamp = frame.pts if frame.pts is not None else frame.dts
        guess = 0.0 if self.last is None else self.last + self._step
        if stamp is None:
            self.trouble["times"] += 1
            return guess
        seconds = stamp * self._base - self._start
        backwards = self.last is not None and not self._jumped and seconds < self.last
        if backwards or seconds < -_LONGEST_STEP:
            self.trouble["times"] += 1
            return guess
        return max(0.0, seconds)

    def _scene(self, frame: VideoFrame) -> int:
        jumped, self._jumped = self._jumped, False
        try:
            small = self._small.reformat(
                frame, width=WIDTH, height=HEIGHT, format="rgb24", interpolation="FAST_BILINEAR", threads=1
            )
        except self._av.FFmpegError:
            return self._cuts.scene
        return self._cuts.look(small.to_ndarray(), jumped=jumped)


def start_of(container: InputContainer) -> float:
    """Where the clock of a container starts, in seconds; players count from there."""
    return (container.start_time or 0) / 1_000_000


def is_in_slots(container: InputContainer) -> bool:
    """True for AVI, which says when packets are decoded and not when frames are shown: the n-th in the n-th slot."""
    return container.format.name == "avi"


def in_steps(walk: Walk, every: int) -> Iterator[Step]:
    """Each n-th frame, the first one included."""
    count, step = 0, walk.next()
    while step is not None:
        ahead = walk.next()
        if count % every == 0:
            yield step.before(ahead)
        count, step = count + 1, ahead


def at_times(walk: Walk, times: Iterator[float]) -> Iterator[Step]:
    """The frames that are shown at some times, which rise; each frame once."""
    shown: Step | None = None
    given: Step | None = None
    walk.load_index()
    ahead = walk.next()
    for wanted in times:
        if walk.towards(wanted):
            shown, ahead = None, walk.next()
        while ahead is not None and (shown is None or ahead.time <= wanted + _SAME_TIME):
            shown, ahead = ahead, walk.next()
        if shown is not None and shown is not given:
            yield shown.before(ahead)
            given = shown
        if ahead is None:
            return
