"""Forensic views of a picture, for people who know how to read them: views, not verdicts; no score uses them."""

from __future__ import annotations

import cv2
import numpy as np

from deepfake_detector.core.explanation import ForensicView
from deepfake_detector.core.types import FloatArray, ImageArray

ERROR_LEVEL_QUALITY = 90
SPECTRUM_SIDE = 512
BRIGHT = 99.5
"""The percentile of a view that is drawn white: single outliers would leave the rest black."""


def views(image: ImageArray) -> tuple[ForensicView, ...]:
    """Error level, noise residual and spectrum of an RGB picture (h, w, 3), uint8."""
    return (
        ForensicView(
            "error-level",
            f"Error level (JPEG quality {ERROR_LEVEL_QUALITY})",
            "How much each place changes when the picture is saved again. Parts with another history of saving can "
            "stand out; so do sharp edges, text and saturated colours in any honest picture, and one more saving "
            "evens everything out.",
            error_level(image),
        ),
        ForensicView(
            "noise",
            "Noise residual",
            "What a median filter takes away. Pasted, smoothed or enlarged parts can have less or other noise than "
            "their surroundings; so can dark, blurred or strongly compressed places.",
            noise_residual(image),
        ),
        ForensicView(
            "spectrum",
            "Spectrum",
            "The strength of each frequency of that residual, low ones in the middle, on a logarithmic scale. "
            "Upsampling can leave a regular pattern of bright points; so can the grid of JPEG, a screen, or cloth.",
            spectrum(image),
        ),
    )


def error_level(image: ImageArray) -> ImageArray:
    """The difference to the picture saved again as JPEG (Krawetz 2007), stretched to the full range; RGB."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, ERROR_LEVEL_QUALITY])
    again = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    return _stretched(np.abs(image.astype(np.float32) - again.astype(np.float32)))


def noise_residual(image: ImageArray) -> ImageArray:
    """The picture minus its median filter (3 × 3), grey in the middle, stretched; RGB."""
    residual = _residual(image)
    limit = float(np.percentile(np.abs(residual), BRIGHT)) or 1.0
    grey = np.clip(128.0 + residual / limit * 127.0, 0.0, 255.0).astype(np.uint8)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def spectrum(image: ImageArray) -> ImageArray:
    """The log magnitude of the residual's Fourier transform, averaged over windows of 512 pixels; RGB.

    A mean of windowed transforms (Welch 1967) brings out what is everywhere in the picture, such as the traces of
    upsampling that Durall et al. 2020 describe. Smaller pictures are one window, mirrored at the edge.
    """
    residual, side = _residual(image), SPECTRUM_SIDE
    missing = [max(0, side - length) for length in residual.shape]
    residual = np.pad(residual, [(0, short) for short in missing], mode="symmetric")
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    power = np.zeros((side, side))
    for top in range(0, residual.shape[0] - side + 1, side):
        for left in range(0, residual.shape[1] - side + 1, side):
            power += np.abs(np.fft.fft2(residual[top : top + side, left : left + side] * window)) ** 2
    strength = np.log(np.fft.fftshift(power) + 1e-9).astype(np.float32)
    low, high = np.percentile(strength, (1.0, 99.9))
    return _stretched(np.clip(strength - low, 0.0, max(high - low, 1e-6)), 100.0)


def _residual(image: ImageArray) -> FloatArray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(grey.astype(np.float32) - cv2.medianBlur(grey, 3).astype(np.float32), dtype=np.float32)


def _stretched(values: FloatArray, percentile: float = BRIGHT) -> ImageArray:
    """Values from 0 on as RGB; the percentile becomes white."""
    top = float(np.percentile(values, percentile)) or 1.0
    grey = np.clip(values / top * 255.0, 0.0, 255.0).astype(np.uint8)
    return grey if grey.ndim == 3 else np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
