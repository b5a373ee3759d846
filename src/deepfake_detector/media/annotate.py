"""Writes a video anew with something drawn on each frame: upright, with its time stamps and its sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

import numpy as np

from deepfake_detector.core.errors import ConfigError, UnsupportedCodecError
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.core.types import ImageArray
from deepfake_detector.media.containers import require_av
from deepfake_detector.media.sound import How, Sound
from deepfake_detector.media.source import VideoSource
from deepfake_detector.media.video import VideoInfo, open_video
from deepfake_detector.media.walk import in_steps

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer

Draw = Callable[[ImageArray, float], ImageArray]
"""Gets the upright RGB pixels of a frame, which it may change, and its time in seconds; returns as many pixels."""

MUXERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""The endings of the files that are written, with the name of FFmpeg's muxer."""

ENCODERS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libopenh264": {"b": "6000000"},
    "mpeg4": {"qmin": "2", "qmax": "6"},
}
"""In the order of preference, with their options; the first that the FFmpeg at hand has is taken."""

_TICKS = Fraction(1, 90_000)
_TICKS_OF_MPEG4 = Fraction(1, 60_000)
"""A clock that fits into the 16 bits that MPEG-4 has for it."""

_NO_LIMITS_GIVEN = VideoLimits()


def annotate_video(
    source: VideoSource,
    output: str | os.PathLike[str],
    draw: Draw,
    limits: VideoLimits = _NO_LIMITS_GIVEN,
    progress: Callable[[float], None] | None = None,
) -> tuple[str, ...]:
    """Write each frame of ``source``, drawn on, to ``output`` (.mp4, .m4v, .mov or .mkv) as H.264.

    Frames come upright and keep their times. The first sound is copied; where the file does not take it, it is
    encoded as AAC, or left out. One row or column is repeated where a side is odd, which H.264 cannot store. The file
    appears under its name when it is whole; if anything is raised, by ``draw`` too, nothing is left behind.
    ``progress`` is told the time in seconds up to which it is written.

    Returns sentences on what could not be kept. Raises a subclass of InputError, ConfigError for an output that cannot
    be written, UnsupportedCodecError without an encoder, MissingExtraError without the extra [video].
    """
    target = Path(output)
    if target.suffix.lower() not in MUXERS:
        raise ConfigError(f"cannot write a video as {target}; give a name that ends in {', '.join(MUXERS)}")
    with open_video(source, limits) as reader, reader.container() as heard, _replacing(target) as file:
        film = _begun(file, target, heard, reader.info, limits)
        with film.out, reader.walk() as walk:
            for step in in_steps(walk, 1):
                pixels = reader.pixels(step, walk)
                if pixels is not None:
                    film.add(draw(pixels, step.time), step.time)
                if progress is not None:
                    progress(step.time)
            film.end()
            reader.note_trouble(walk)
        return (*reader.warnings, *film.notes)


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of ``target`` when the block ends well, and vanishes when it does not."""
    path = target.with_name(f".{target.stem}-{uuid4().hex[:12]}{target.suffix}")
    try:
        file = path.open("x+b")
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error.strerror or error}; give another place") from error
    try:
        with file:
            yield file
        path.replace(target)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _begun(file: BinaryIO, target: Path, heard: InputContainer, info: VideoInfo, limits: VideoLimits) -> _Film:
    """The film with its header written: with the sound copied, else encoded, else left out."""
    av = require_av()
    for how in How:
        file.seek(0)
        file.truncate()
        out = av.open(file, "w", format=MUXERS[target.suffix.lower()])
        try:
            film = _Film(out, info, limits)
            film.sound = Sound(heard, out, how)
            out.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            if how is How.LEFT_OUT:
                raise UnsupportedCodecError(f"this FFmpeg cannot begin to write {target}: {error}") from error
        else:
            return film
    raise AssertionError("the loop returns or raises")


class _Film:
    """The video that is written. Raises UnsupportedCodecError where FFmpeg has no encoder."""

    sound: Sound

    def __init__(self, out: OutputContainer, info: VideoInfo, limits: VideoLimits) -> None:
        self._av = require_av()
        self.out = out
        name = next((name for name in ENCODERS if self._has(name)), None)
        if name is None:
            raise UnsupportedCodecError(f"this FFmpeg has none of the encoders {', '.join(ENCODERS)}; install av anew")
        self._size = (info.height, info.width)
        self._ticks = _TICKS_OF_MPEG4 if name == "mpeg4" else _TICKS
        self._matrix = "ITU709" if min(self._size) >= 720 else "ITU601"
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._last = -1
        rate = Fraction(min(max(info.fps or 25.0, 1.0), 240.0)).limit_denominator(1001)
        stream: Any = out.add_stream(name, rate=rate, options=ENCODERS[name], time_base=self._ticks)
        stream.width, stream.height = info.width + info.width % 2, info.height + info.height % 2
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = limits.threads
        stream.codec_context.colorspace = 1 if self._matrix == "ITU709" else 6
        stream.codec_context.color_range = 1
        self._stream = stream
        out.metadata["comment"] = "annotated by deepfake-detector; not the original"

    def _has(self, name: str) -> bool:
        try:
            self._av.Codec(name, "w")
        except self._av.codec.codec.UnknownCodecError:
            return False
        return True

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be kept."""
        return () if self.sound.note is None else (self.sound.note,)

    def add(self, pixels: ImageArray, seconds: float) -> None:
        """A frame and the sound before it. Raises ValueError for pixels of another shape."""
        if pixels.shape != (*self._size, 3) or pixels.dtype != np.uint8:
            raise ValueError(f"draw gave {pixels.dtype} {pixels.shape}; it must give uint8 {(*self._size, 3)}")
        self.sound.until(seconds)
        height, width = self._size
        even = (
            np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if height % 2 + width % 2 else pixels
        )
        frame = self._reformatter.reformat(
            self._av.VideoFrame.from_ndarray(np.ascontiguousarray(even)),
            format="yuv420p",
            dst_colorspace=self._matrix,
            dst_color_range="MPEG",
            threads=1,
        )
        # Encoders refuse two frames at the same time.
        self._last = max(self._last + 1, round(seconds / self._ticks))
        frame.pts, frame.time_base = self._last, self._ticks
        self.out.mux(self._stream.encode(frame))

    def end(self) -> None:
        """The rest of the sound, and what the encoder still holds."""
        self.sound.until(None)
        self.out.mux(self._stream.encode(None))
