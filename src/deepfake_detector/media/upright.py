"""Decoded frames to upright RGB pixels of one size: turned, mirrored, stretched and coloured as a player shows them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.core.types import ImageArray
from deepfake_detector.media.containers import check_frame, require_av

if TYPE_CHECKING:
    from av import VideoFrame

_UNSPECIFIED_MATRIX = 2
_HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273) of pictures that are brighter than a screen for sRGB."""


class Upright:
    """How the frames of a video come to stand upright, as told by its first one.

    ``width`` and ``height`` are in pixels; ``rotation`` is the clockwise turn in degrees (0, 90, 180, 270);
    ``notes`` are sentences on what a viewer should know.
    """

    def __init__(self, first: VideoFrame, aspect: Fraction | None, name: str, limits: VideoLimits) -> None:
        self._reformatter = require_av().video.reformatter.VideoReformatter()
        self._swap, self._flip_rows, self._flip_columns = _turn(first)
        self.rotation = _degrees(self._swap, self._flip_rows, self._flip_columns)
        self.notes: list[str] = []
        self._stored = self._square(first.width, first.height, aspect)
        check_frame(*self._stored, name, limits)
        self.width, self.height = self._stored[::-1] if self._swap else self._stored
        if first.color_trc in _HDR:
            self.notes.append(f"the video is HDR ({_HDR[first.color_trc]}); its colours were not mapped to sRGB")
        if first.interlaced_frame:
            self.notes.append("the video is interlaced; its fields were not separated")

    def _square(self, width: int, height: int, aspect: Fraction | None) -> tuple[int, int]:
        """The size as stored, with pixels made square by stretching the shorter side of a pixel."""
        if not aspect or aspect == 1 or not Fraction(1, 4) <= aspect <= 4:
            return width, height
        self.notes.append(f"the pixels are not square ({aspect.numerator}:{aspect.denominator}); they were stretched")
        return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))

    def pixels(self, frame: VideoFrame) -> ImageArray:
        """The pixels of a frame, shape (height, width, 3); one of another size is scaled to that of the first.

        Raises FFmpegError for colours that FFmpeg cannot convert.
        """
        see_through = any(component.is_alpha for component in frame.format.components)
        guessed = frame.colorspace == _UNSPECIFIED_MATRIX and not frame.format.is_rgb
        converted = self._reformatter.reformat(
            frame,
            width=self._stored[0],
            height=self._stored[1],
            format="rgba" if see_through else "rgb24",
            # What says nothing is BT.709 from 720 lines up and BT.601 below, as players take it.
            src_colorspace="ITU709" if guessed and min(frame.width, frame.height) >= 720 else None,
            interpolation="BILINEAR",
            threads=1,
        )
        array: NDArray[np.uint8] = converted.to_ndarray()
        if see_through:
            array = _over_white(array)
        array = array.transpose(1, 0, 2) if self._swap else array
        array = array[::-1] if self._flip_rows else array
        return np.array(array[:, ::-1] if self._flip_columns else array, order="C")


def _turn(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Whether to swap rows and columns, and then to flip each, by the display matrix (ISO/IEC 14496-12, 6.2.2).

    It maps (x, y) to (ax + cy, bx + dy). Turns other than by quarters are rounded to them.
    """
    side: Any = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(side), np.int32, 5).astype(float)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, bool(b < 0), bool(c < 0)
    return False, bool(d < 0), bool(a < 0)


def _degrees(swap: bool, flip_rows: bool, flip_columns: bool) -> int:
    """Clockwise; a picture that is mirrored besides is turned by what is left after mirroring its columns."""
    if swap:
        return 270 if flip_rows else 90
    return 180 if flip_rows else 0


def _over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    alpha = rgba[..., 3:].astype(np.uint16)
    if alpha.min() == 255:
        return rgba[..., :3]
    blended: NDArray[np.uint8] = ((rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)
    return blended
