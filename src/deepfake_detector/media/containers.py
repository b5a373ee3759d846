"""The one place where FFmpeg is let loose on what somebody sent: which containers, which codecs, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from deepfake_detector.core.errors import DamagedInputError, MissingExtraError
from deepfake_detector.core.settings import VideoLimits

if TYPE_CHECKING:
    from av.container import InputContainer

CONTAINERS = {"MP4": "mov", "Matroska": "matroska", "AVI": "avi", "GIF": "gif"}
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

_WHITELISTS = {
    "format_whitelist": ",".join([*CONTAINERS.values(), "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"]),
    "codec_whitelist": ",".join(CODECS),
    # No protocol has this name. An empty list would do as well, but looks like an oversight.
    "protocol_whitelist": "none",
    "max_streams": "64",
}


class OwnFile:
    """What FFmpeg sees of a file: bytes at a position. It has no name that a demuxer could start from."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def require_av() -> Any:
    """PyAV. Raises MissingExtraError without the extra [video]."""
    try:
        import av
        import av.video.reformatter
    except ImportError as error:
        raise MissingExtraError("opening videos", "video") from error
    return av


@contextmanager
def opened(file: BinaryIO, container: str, name: str, limits: VideoLimits) -> Iterator[InputContainer]:
    """A container of the allow-list, read from its start; ``name`` is what messages call it.

    FFmpeg gets the demuxer that the first bytes asked for, and no other; no protocol; a decoder on the list, and no
    other; and whatever else it wants to open is refused. Raises DamagedInputError.
    """
    av = require_av()
    file.seek(0)
    try:
        opened = av.open(
            OwnFile(file),
            mode="r",
            format=CONTAINERS[container],
            options={"max_pixels": str(limits.max_pixels)},
            container_options=_WHITELISTS,
            metadata_errors="replace",
            buffer_size=1 << 18,
            timeout=limits.max_decode_seconds,
            io_open=_refuse,
        )
    except (av.FFmpegError, ValueError) as error:
        raise DamagedInputError(
            f"{name} starts like a {container} video but cannot be opened: it is cut off or corrupt "
            f"({getattr(error, 'strerror', None) or error}); get the file again"
        ) from error
    with opened:
        yield opened


def _refuse(url: str, flags: int, options: dict[str, str]) -> BinaryIO:
    raise PermissionError("a video may not have other files opened")
