"""Bytes to upright RGB pixels: the one place where a decoder is let loose on what somebody sent."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from deepfake_detector.core.errors import (
    DamagedInputError,
    EmptyInputError,
    LimitExceededError,
    MissingExtraError,
    UnsupportedFormatError,
)
from deepfake_detector.core.settings import Limits
from deepfake_detector.core.types import ImageArray
from deepfake_detector.media.color import to_rgb
from deepfake_detector.media.formats import FORMATS_IN_WORDS, describe, has_no_pixels, padding_warning, sniff
from deepfake_detector.media.guard import guarded

# What Pillow's plugins have been seen to raise on broken files; its documentation promises only OSError.
# Warning is among them because a caller may have turned warnings into errors.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    EOFError,
    struct.error,
    zlib.error,
    Warning,
)
_ORIENTATION, _NEW_SUBFILE_TYPE, _DNG_VERSION = 0x0112, 254, 50706
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class Decoded:
    """Upright RGB pixels, the name of the format that they came in, and what is worth knowing about the way."""

    pixels: ImageArray
    format: str
    warnings: tuple[str, ...]


def decode_bytes(data: bytes, name: str, limits: Limits) -> Decoded:
    """Decode a picture file; ``name`` is what messages call it.

    Raises EmptyInputError, UnsupportedFormatError, DamagedInputError, LimitExceededError, or MissingExtraError for
    HEIC without the extra.
    """
    if not data:
        raise EmptyInputError(f"{name} is empty (0 bytes); get the file again from where it came from")
    format_name = sniff(data)
    if format_name is None:
        raise UnsupportedFormatError(
            f"{name} is not a picture of a format that is opened here (it looks like {describe(data)}); "
            f"give one of {FORMATS_IN_WORDS}"
        )
    if has_no_pixels(data, format_name):
        raise EmptyInputError(f"{name} is a {format_name} picture without a pixel (width or height is 0)")
    notes: list[str] = []
    with _errors_in_words(name, format_name), guarded() as complaints, _open(data, format_name) as image:
        _refuse_raw(image, name)
        pixels = _decode(image, name, limits, notes)
        if _has_more_frames(image):
            notes.append("the file holds more than one picture or frame; only the first was analysed")
    padding = padding_warning(data, format_name)
    notes += [padding] if padding else []
    notes += (f"the {format_name} file is not quite in order: {complaint}" for complaint in complaints)
    return Decoded(pixels, format_name, tuple(notes))


@contextmanager
def header_of(data: bytes, name: str) -> Iterator[Image.Image]:
    """A picture file that is opened and not decoded, for what it says beside its pixels.

    Raises as ``decode_bytes`` does, also for what Pillow raises inside of the block.
    """
    format_name = sniff(data)
    if format_name is None:
        raise UnsupportedFormatError(f"{name} is not a picture of a format that is opened here")
    with _errors_in_words(name, format_name), guarded(), _open(data, format_name) as image:
        yield image


def decode_image(image: Image.Image, name: str, limits: Limits) -> Decoded:
    """The same for a picture that the caller opened with Pillow, of whatever format; the frame that it stands on."""
    notes: list[str] = []
    format_name = image.format or "PIL"
    with _errors_in_words(name, format_name), guarded():
        pixels = _decode(image, name, limits, notes)
    return Decoded(pixels, format_name, tuple(notes))


def check_size(width: int, height: int, name: str, limits: Limits) -> None:
    """Raises EmptyInputError for a picture without pixels, LimitExceededError for one that is too large."""
    if width < 1 or height < 1:
        raise EmptyInputError(f"{name} has no pixels ({width} × {height})")
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise LimitExceededError(
            f"{name} is {width} × {height} pixels; the limits are {limits.max_side} pixels a side and "
            f"{limits.max_pixels} in all: make it smaller, or raise the limits"
        )


@contextmanager
def _errors_in_words(name: str, format_name: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one of our errors."""
    try:
        yield
    except Image.DecompressionBombError as error:
        raise LimitExceededError(f"{name} has more pixels than Pillow agrees to decode; make it smaller") from error
    except MemoryError as error:
        raise LimitExceededError(f"{name} needs more memory than there is; make it smaller") from error
    except _DECODER_ERRORS as error:
        raise DamagedInputError(
            f"{name} starts like a {format_name} picture but cannot be decoded whole: it is cut off, corrupt, or of a "
            f"rare variety of {format_name} ({_reason(error)}); get the file again, or save it anew as PNG or JPEG"
        ) from error


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    # Pillow names the in-memory object it read from, which tells the reader nothing.
    return "not identified" if isinstance(error, UnidentifiedImageError) or not text else text[:200]


def _open(data: bytes, format_name: str) -> Image.Image:
    if format_name != "HEIC":
        return Image.open(io.BytesIO(data), formats=[format_name])
    try:
        from pillow_heif import HeifImageFile
    except ImportError as error:
        raise MissingExtraError("opening HEIC pictures", "heic") from error
    image = HeifImageFile(io.BytesIO(data))
    assert isinstance(image, Image.Image)
    return image


def _refuse_raw(image: Image.Image, name: str) -> None:
    """Refuse a camera's raw file: it starts like a TIFF file, and what would be decoded is its thumbnail."""
    tags = getattr(image, "tag_v2", {})
    if _DNG_VERSION in tags or tags.get(_NEW_SUBFILE_TYPE, 0) & 1:
        raise UnsupportedFormatError(
            f"{name} is a camera's raw picture, or its first page is a thumbnail; develop it to JPEG, PNG or TIFF first"
        )


def _decode(image: Image.Image, name: str, limits: Limits, notes: list[str]) -> ImageArray:
    check_size(*image.size, name, limits)
    image.load()
    check_size(*image.size, name, limits)
    rgb = to_rgb(image, notes)
    method = _UPRIGHT.get(_orientation(image, notes))
    return np.array(rgb if method is None else rgb.transpose(method), dtype=np.uint8)


def _orientation(image: Image.Image, notes: list[str]) -> int:
    """The EXIF orientation, 1–8. Pillow turns TIFF, and pillow-heif HEIC, by itself; they say 1 by now."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DECODER_ERRORS:
        notes.append("the EXIF data is damaged; if the camera was held sideways, the picture was not turned")
        return 1
    return value if isinstance(value, int) else 1


def _has_more_frames(image: Image.Image) -> bool:
    """Asked last, when the pixels are safe: answering may read on in the file."""
    try:
        return bool(getattr(image, "is_animated", False))
    except _DECODER_ERRORS:
        return True
