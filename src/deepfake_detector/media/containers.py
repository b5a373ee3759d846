"""The one place where FFmpeg is let loose on what somebody sent: which containers, which codecs, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from deepfake_detector.core.errors import (
    DamagedInputError,
    LimitExceededError,
    MissingExtraError,
    NoVideoStreamError,
    UnsupportedCodecError,
)
from deepfake_detector.core.settings import VideoLimits

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer

DEMUXERS = {"MP4": "mov", "Matroska": "matroska", "AVI": "avi", "GIF": "gif"}
"""The allow-list of containers with the name of FFmpeg's demuxer; MP4 is MOV, too, and Matroska is WebM."""

CODECS = {
    "h264": "H.264",
    "hevc": "H.265",
    "vp8": "VP8",
    "vp9": "VP9",
    "libdav1d": "AV1",
    "av1": "AV1",
    "mpeg4": "MPEG-4",
    "mjpeg": "MJPEG",
    "gif": "GIF",
}
"""The allow-list of FFmpeg's decoders with the names that people use."""

CODECS_IN_WORDS = "H.264, H.265, VP8, VP9, AV1, MPEG-4, MJPEG and GIF"

_MAY = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif",
    "codec_whitelist": ",".join(CODECS),
    # No protocol has this name. An empty list would do as well, but would look like an oversight.
    "protocol_whitelist": "none",
    "enable_drefs": "0",
    "max_streams": "64",
}


class OwnFile:
    """What FFmpeg sees of a file: bytes at a position of its own. It has no name that a demuxer could start from."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._at = file, 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes."""
        self._file.seek(self._at)
        data = self._file.read(size)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """The new position. Raises OSError for one before the start."""
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += self._file.seek(0, os.SEEK_END)
        if offset < 0:
            raise OSError("there is nothing before the start of a file")
        self._at = offset
        return offset

    def tell(self) -> int:
        """The position."""
        return self._at


def require_av() -> Any:
    """PyAV. Raises MissingExtraError without the extra [video]."""
    try:
        import av
        import av.video.reformatter
    except ImportError as error:
        raise MissingExtraError("opening videos", "video") from error
    return av


@contextmanager
def opened(
    file: BinaryIO, container: str, name: str, limits: VideoLimits, *, probe: bool = True
) -> Iterator[InputContainer]:
    """A container of the allow-list, read from its start; ``name`` is what messages call it.

    Without ``probe`` no decoder is asked, and the sizes are what the container claims.

    FFmpeg gets the demuxer that the first bytes asked for, and no other; no protocol; a decoder on the list, and no
    other; and whatever else it wants to open is refused. Raises DamagedInputError.
    """
    av = require_av()
    try:
        source = av.open(
            OwnFile(file),
            mode="r",
            format=DEMUXERS[container],
            options={"max_pixels": str(limits.max_pixels)},
            container_options=_MAY if probe else {**_MAY, "codec_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=1 << 17,
            timeout=limits.max_decode_seconds,
            io_open=_refuse,
        )
    except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
        raise DamagedInputError(
            f"{name} starts like a video ({container}) but cannot be opened: it is cut off or corrupt "
            f"({reason(error)}); get the file again"
        ) from error
    with source:
        yield source


def reason(error: Exception) -> str:
    """What FFmpeg says, without the names of its functions."""
    return str(getattr(error, "strerror", None) or error)[:200]


def _refuse(url: str, flags: int, options: dict[str, str]) -> BinaryIO:
    raise PermissionError("a video may not have other files opened")


def video_stream(container: InputContainer, name: str, limits: VideoLimits) -> VideoStream:
    """The first stream of moving pictures, ready to be decoded; the packets of all others are dropped.

    Raises NoVideoStreamError, UnsupportedCodecError, or LimitExceededError for frames that are too large.
    """
    av = require_av()
    cover = av.stream.Disposition.attached_pic
    stream = next((one for one in container.streams.video if not one.disposition & cover), None)
    if stream is None:
        held = ", ".join(sorted({one.type for one in container.streams})) or "nothing"
        raise NoVideoStreamError(f"{name} holds no moving pictures (it holds {held}); give a video")
    context = stream.codec_context
    if context is None or context.codec.name not in CODECS:
        codec = "a codec that this FFmpeg was built without" if context is None else f"{context.codec.name}"
        raise UnsupportedCodecError(
            f"the pictures of {name} are packed by {codec}, which is not opened here; convert it to one of "
            f"{CODECS_IN_WORDS}"
        )
    check_frame(context.width, context.height, name, limits)
    context.thread_count = limits.threads
    context.thread_type = "AUTO"
    context.options = {"max_pixels": str(limits.max_pixels)}
    for other in container.streams:
        if other is not stream:
            other.discard = av.stream.Discard.all
    return stream


def check_frame(width: int, height: int, name: str, limits: VideoLimits) -> None:
    """Raises LimitExceededError for frames that are too large; sizes are in pixels, 0 where not yet known."""
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise LimitExceededError(
            f"{name} has frames of {width} × {height} pixels; the limits are {limits.max_side} pixels a side and "
            f"{limits.max_pixels} in all: make it smaller, or raise the limits"
        )
