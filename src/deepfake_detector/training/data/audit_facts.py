"""What can be said of a picture without looking for a face: how its file was saved, and what it shows on average."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

from deepfake_detector.core.errors import InputError, MissingExtraError
from deepfake_detector.core.types import ImageArray
from deepfake_detector.media.image import load_image, read_file
from deepfake_detector.training.data.grouping import picture_hash

Gray = NDArray[np.float32]

UNKNOWN = float("nan")
NOT_JPEG = "none"

_COLOUR_SIDE = 512
"""Colours are averaged over a copy whose longer side has at most so many pixels."""
_SHARP_SIDE = 256
"""Sharpness is measured on the middle, at most so many pixels a side, unresized: resizing would change it."""
_FLAT, _REPEATED = 10.0, 1.0
"""A line of pixels is flat if it varies by at most so many levels, repeated if it differs by so few from the next."""
_MAX_BORDER = 0.45

# Annex K of the JPEG standard (ITU-T T.81), luminance, in rows: what nearly all encoders scale by their quality.
_STANDARD = np.array(
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
        14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ],
    dtype=np.float64,
)  # fmt: skip
_SAMPLINGS = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
_METADATA = {"icc_profile": "colour profile", "xmp": "XMP", "dpi": "resolution", "comment": "comment"}


@dataclass(frozen=True, slots=True)
class Facts:
    """One picture. ``hash`` is perceptual, of 64 bits; the others are of the file, or means over the picture.

    ``jpeg_quality`` is 1–100 and NaN where the file is no JPEG; ``subsampling`` and ``progressive`` are ``none`` then.
    ``bits_per_pixel`` is the file's size over its pixels; ``border`` the share of the area that flat or repeated
    lines at the edges take. Colours and ``brightness`` are 0–255, ``saturation`` 0–1; ``sharpness`` is the mean
    squared Laplacian, as its logarithm; ``high_frequency`` the share of the spectrum's energy above half of Nyquist's
    frequency, as its logarithm.
    """

    sha256: str
    hash: int
    format: str
    mode: str
    metadata: str
    exif: bool
    subsampling: str
    progressive: str
    jpeg_quality: float
    width: int
    height: int
    bits_per_pixel: float
    border: float
    red: float
    green: float
    blue: float
    brightness: float
    contrast: float
    saturation: float
    sharpness: float
    high_frequency: float

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height


def read_facts(path: Path) -> Facts | str:
    """The facts of a picture file; or, where it cannot be read, the reason as ``code: words``."""
    try:
        data = read_file(str(path))
        loaded = load_image(data)
    except (InputError, MissingExtraError) as error:
        return f"{error.code}: {error}"
    pixels, info = loaded.pixels, loaded.info
    saved = _how_saved(data)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    means = colours(pixels)
    middle = _middle(gray)
    return Facts(
        sha256=info.sha256,
        hash=picture_hash(pixels),
        format=str(info.format),
        mode=saved.mode,
        metadata=saved.metadata,
        exif=saved.exif,
        subsampling=saved.subsampling,
        progressive=saved.progressive,
        jpeg_quality=saved.quality,
        width=info.width,
        height=info.height,
        bits_per_pixel=8.0 * len(data) / (info.width * info.height),
        border=border_share(gray),
        red=means[0],
        green=means[1],
        blue=means[2],
        brightness=means[3],
        contrast=means[4],
        saturation=means[5],
        sharpness=sharpness(middle),
        high_frequency=high_frequency(middle),
    )


@dataclass(frozen=True, slots=True)
class _Saved:
    mode: str
    metadata: str
    exif: bool
    subsampling: str
    progressive: str
    quality: float


def _how_saved(data: bytes) -> _Saved:
    """What the head of a file says. It has been decoded before, so that Pillow knows it, unless it is HEIC."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken metadata; what can be read of it is enough here
            with Image.open(io.BytesIO(data)) as image:
                found = [words for key, words in _METADATA.items() if image.info.get(key)]
                exif = bool(image.info.get("exif") or dict(image.getexif()))
                jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
                return _Saved(
                    mode=image.mode,
                    metadata=", ".join(found) or "no",
                    exif=exif,
                    subsampling=_subsampling(image) if jpeg else NOT_JPEG,
                    progressive=str(bool(image.info.get("progressive"))) if jpeg else NOT_JPEG,
                    quality=_quality(image) if jpeg else UNKNOWN,
                )
    except (OSError, SyntaxError, ValueError):
        return _Saved("unknown", "unknown", False, NOT_JPEG, NOT_JPEG, UNKNOWN)


def _subsampling(image: Image.Image) -> str:
    return _SAMPLINGS.get(int(JpegImagePlugin.get_sampling(image)), "grey" if image.mode == "L" else "other")


def _quality(image: Image.Image) -> float:
    tables = getattr(image, "quantization", None) or {}
    return jpeg_quality(tables[min(tables)]) if tables else UNKNOWN


def jpeg_quality(table: Sequence[int]) -> float:
    """The quality, 1–100, whose scaled standard table is nearest to a luminance table of 64 steps, in rows.

    As the encoder of the Independent JPEG Group scales it, which nearly all others follow; of other tables it says
    how strong they are.
    """
    steps = np.asarray(table, dtype=np.float64)
    if steps.shape != _STANDARD.shape:
        return UNKNOWN
    errors = np.abs(np.log(_QUALITIES) - np.log(np.maximum(steps, 1.0))).mean(axis=1)
    return float(np.argmin(errors) + 1)


def _scaled_tables() -> NDArray[np.float64]:
    quality = np.arange(1, 101)
    scale = np.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    return np.clip((_STANDARD[None] * scale[:, None] + 50) // 100, 1, 255)


_QUALITIES = _scaled_tables()


def colours(pixels: ImageArray) -> tuple[float, float, float, float, float, float]:
    """Means of red, green, blue and brightness, its deviation (all 0–255), and the mean saturation (0–1)."""
    scale = min(1.0, _COLOUR_SIDE / max(pixels.shape[:2]))
    if scale < 1.0:
        pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    red, green, blue = (float(mean) for mean in pixels.reshape(-1, 3).mean(axis=0))
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    saturation = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 1]
    return red, green, blue, float(gray.mean()), float(gray.std()), float(saturation.mean() / 255.0)


def _middle(gray: Gray) -> Gray:
    height, width = gray.shape
    top, left = max(0, (height - _SHARP_SIDE) // 2), max(0, (width - _SHARP_SIDE) // 2)
    return np.ascontiguousarray(gray[top : top + _SHARP_SIDE, left : left + _SHARP_SIDE])


def sharpness(gray: Gray) -> float:
    """Log10 of the mean squared Laplacian of grey values, 0–255: the energy of its edges and its grain."""
    return float(np.log10(np.mean(cv2.Laplacian(gray, cv2.CV_32F) ** 2) + 0.1))


def high_frequency(gray: Gray) -> float:
    """Log10 of the share of spectral energy above 0.25 cycles per pixel; a window keeps the edges out of it."""
    height, width = gray.shape
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    energy = np.abs(np.fft.rfft2((gray - gray.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    return float(np.log10((energy[radius > 0.25].sum() + 1e-3) / (energy.sum() + 1.0)))


def border_share(gray: Gray) -> float:
    """The share of the area (0–1) that lies in flat or repeated lines along the edges: padding, bars, frames."""
    height, width = gray.shape
    top, bottom = _lines(gray), _lines(gray[::-1])
    left, right = _lines(gray.T), _lines(gray.T[::-1])
    inner = max(0, height - top - bottom) * max(0, width - left - right)
    return float(1.0 - inner / (height * width))


def _lines(gray: Gray) -> int:
    """How many of the first lines are flat, or as good as equal to the next one; at most 45 % of all."""
    most = int(len(gray) * _MAX_BORDER)
    flat = np.ptp(gray[:most], axis=1) <= _FLAT
    repeated = np.abs(np.diff(gray[: most + 1], axis=0)).mean(axis=1)[:most] <= _REPEATED
    other = np.flatnonzero(~(flat | repeated))
    return int(other[0]) if len(other) else most
