"""One picture in, from wherever it comes; upright RGB pixels and the facts about the file out."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detector.core.errors import InputError, LimitExceededError, UnreadableInputError
from deepfake_detector.core.settings import Limits
from deepfake_detector.core.types import ImageArray, InputInfo
from deepfake_detector.media.decode import Decoded, check_size, decode_bytes, decode_image
from deepfake_detector.media.formats import extension_warning

ImageSource = str | os.PathLike[str] | bytes | Image.Image | NDArray[np.uint8]
"""A path, the bytes of a picture file, a Pillow image, or an array (see ``load_image``)."""

_NO_LIMITS_GIVEN = Limits()


@dataclass(frozen=True, slots=True)
class LoadedImage:
    """A picture ready to be analysed; ``warnings`` are sentences for the reader of the report."""

    pixels: ImageArray
    info: InputInfo
    warnings: tuple[str, ...] = ()


def load_image(source: ImageSource, limits: Limits = _NO_LIMITS_GIVEN) -> LoadedImage:
    """Load a picture as uint8 RGB, upright, in sRGB; only the first frame of an animation.

    The format is told by the content; JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and (extra ``[heic]``) HEIC are opened,
    and nothing else. An array is uint8 of shape (height, width), (height, width, 3) RGB or (height, width, 4) RGBA,
    and is taken as sRGB. The SHA-256 is that of the file's bytes; for a Pillow image or an array, which have no file,
    it is that of ``b"RGB <width>x<height>\\n"`` followed by the RGB pixels, row by row.

    Raises a subclass of InputError (or InputError itself, for an array of another shape or type, or an object that
    is no picture), or MissingExtraError.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes(bytes(source), None, limits)
    if isinstance(source, Image.Image):
        return _from_memory(decode_image(source, "the Pillow image", limits))
    if isinstance(source, np.ndarray):
        return _from_memory(_from_array(source, limits))
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        return _from_bytes(read_file(path, limits), path, limits)
    raise InputError(
        f"got an object of type {type(source).__name__}; give a path, bytes, a Pillow image or a NumPy array"
    )


def read_file(path: str, limits: Limits = _NO_LIMITS_GIVEN) -> bytes:
    """The bytes of a regular file. Raises UnreadableInputError or LimitExceededError."""
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableInputError(f"{path} is a folder; give a picture, or the folder to `deepfake detect`")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableInputError(f"{path} is not a regular file; give a picture file")
        _check_bytes(status.st_size, path, limits)
        with Path(path).open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except OSError as error:
        raise UnreadableInputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # a null byte in the path
        raise UnreadableInputError(f"cannot read {path!r}: {error}") from error
    return data


def _check_bytes(size: int, name: str, limits: Limits) -> None:
    if size > limits.max_bytes:
        raise LimitExceededError(f"{name} has {size} bytes; the limit is {limits.max_bytes}: give a smaller file")


def _from_bytes(data: bytes, path: str | None, limits: Limits) -> LoadedImage:
    name = path if path is not None else "the input"
    _check_bytes(len(data), name, limits)
    decoded = decode_bytes(data, name, limits)
    warning = extension_warning(path, decoded.format) if path is not None else None
    warnings = decoded.warnings if warning is None else (warning, *decoded.warnings)
    height, width = decoded.pixels.shape[:2]
    sha256 = hashlib.sha256(data).hexdigest()
    return LoadedImage(decoded.pixels, InputInfo(path, sha256, len(data), decoded.format, width, height), warnings)


def _from_array(array: NDArray[np.uint8], limits: Limits) -> Decoded:
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {3, 4})
    if array.dtype != np.uint8 or not shaped:
        raise InputError(
            f"got an array of type {array.dtype} and shape {array.shape}; give uint8 (0–255) of shape (height, width), "
            "(height, width, 3) in the order RGB, or (height, width, 4) RGBA"
        )
    check_size(array.shape[1], array.shape[0], "the array", limits)
    decoded = decode_image(Image.fromarray(np.ascontiguousarray(array)), "the array", limits)
    return Decoded(decoded.pixels, "array", decoded.warnings)


def _from_memory(decoded: Decoded) -> LoadedImage:
    height, width = decoded.pixels.shape[:2]
    digest = hashlib.sha256(f"RGB {width}x{height}\n".encode())
    digest.update(decoded.pixels.tobytes())
    info = InputInfo(None, digest.hexdigest(), decoded.pixels.nbytes, decoded.format, width, height)
    return LoadedImage(decoded.pixels, info, decoded.warnings)
