"""Small functions that change the pixels of one picture; each is made by a factory that fixes its range."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import MissingExtraError
from deepfake_detector.core.types import Box, FloatArray, ImageArray, Landmarks
from deepfake_detector.training.data.augment_config import Color

Op = Callable[[ImageArray, np.random.Generator], ImageArray]
"""Takes uint8 RGB (height, width, 3), gives a new one of the same shape."""

_SAMPLING = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
)
"""Chroma subsampling: 4:2:0 twice, as it is the usual one."""

_SHRINK = (cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_GROW = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def jpeg(quality: tuple[int, int]) -> Op:
    """JPEG at a random quality and chroma subsampling."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        level = int(rng.integers(quality[0], quality[1] + 1))
        sampling = _SAMPLING[int(rng.integers(len(_SAMPLING)))]
        options = [cv2.IMWRITE_JPEG_QUALITY, level, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        return through(".jpg", image, options)

    return run


def webp(quality: tuple[int, int]) -> Op:
    """Lossy WebP at a random quality."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        return through(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, int(rng.integers(quality[0], quality[1] + 1))])

    return run


def through(suffix: str, image: ImageArray, options: list[int]) -> ImageArray:
    """Encode uint8 RGB in the format of a suffix (``.jpg``) with OpenCV's options, and decode it again."""
    _, encoded = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return _uint8(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB))


def video(crf: tuple[int, int]) -> Op:
    """H.264 at a random constant rate factor, 4:2:0: what a frame has been through that was cut from a clip.

    Raises MissingExtraError without PyAV.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        raise MissingExtraError("augment.video", "video") from error

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        height, width = image.shape[:2]
        even = image[: height // 2 * 2, : width // 2 * 2]
        coder = av.CodecContext.create("libx264", "w")
        coder.height, coder.width, coder.pix_fmt, coder.time_base = *even.shape[:2], "yuv420p", Fraction(1, 25)
        coder.options = {"crf": str(int(rng.integers(crf[0], crf[1] + 1))), "preset": "veryfast", "tune": "zerolatency"}
        coder.thread_count = 1
        packets = [*coder.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(even))), *coder.encode(None)]
        decoder = av.CodecContext.create("h264", "r")
        decoder.thread_count = 1
        (frame,) = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
        changed = image.copy()  # the last line or column of an odd size stays
        changed[: even.shape[0], : even.shape[1]] = frame.to_ndarray(format="rgb24")
        return changed

    return run


def resize(scale: tuple[float, float]) -> Op:
    """Scale by a random factor and back to the same size, as forwarding and viewing do."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        height, width = image.shape[:2]
        factor = float(np.exp(rng.uniform(*np.log(scale))))
        between = (max(8, round(width * factor)), max(8, round(height * factor)))
        kinds = (_SHRINK, _GROW) if factor < 1.0 else (_GROW, _SHRINK)
        there, back = (kind[int(rng.integers(len(kind)))] for kind in kinds)
        small = cv2.resize(image, between, interpolation=there)
        return _uint8(cv2.resize(small, (width, height), interpolation=back))

    return run


def blur(sigma: tuple[float, float]) -> Op:
    """Gaussian blur."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        return _uint8(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(*sigma))))

    return run


def motion(length: tuple[float, float]) -> Op:
    """Blur along a line of random length and direction."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        reach = float(rng.uniform(*length)) / 2.0
        angle = float(rng.uniform(0.0, math.pi))
        half = math.ceil(reach)
        kernel = np.zeros((2 * half + 1, 2 * half + 1), dtype=np.float32)
        dx, dy = reach * math.cos(angle), reach * math.sin(angle)
        ends = [(round((half + sign * dx) * 256), round((half + sign * dy) * 256)) for sign in (-1, 1)]
        cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_8, 8)
        return _uint8(cv2.filter2D(image, -1, kernel / kernel.sum()))

    return run


def sharpen(amount: tuple[float, float]) -> Op:
    """Unsharp mask."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        share = float(rng.uniform(*amount))
        soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.6, 1.6)))
        return _uint8(cv2.addWeighted(image, 1.0 + share, soft, -share, 0.0))

    return run


def noise(sigma: tuple[float, float]) -> Op:
    """Sensor-like noise: Gaussian, or with a variance that grows with the light; coloured or grey."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        strength = np.float32(rng.uniform(*sigma))
        with_light, gray_noise = rng.random(2) < 0.5
        channels = 1 if gray_noise else image.shape[2]
        grain = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32) * strength
        pixels = image.astype(np.float32)
        if with_light:
            grain = grain * np.sqrt(pixels / np.float32(128.0))
        return _clipped(pixels + grain)

    return run


def color(config: Color) -> Op:
    """Brightness, contrast and gamma by one table; saturation and hue by one matrix."""

    def run(image: ImageArray, rng: np.random.Generator) -> ImageArray:
        light, contrast, saturation, hue, gamma = rng.uniform(-1.0, 1.0, size=5)
        levels = np.linspace(0.0, 1.0, 256) ** ((1.0 + config.gamma) ** gamma)
        levels = (levels - 0.5) * (1.0 + config.contrast) ** contrast + 0.5 + light * config.brightness
        image = _uint8(cv2.LUT(image, _clipped(levels.astype(np.float32) * 255.0)))
        mixed = _color_matrix(1.0 + saturation * config.saturation, math.radians(hue * config.hue))
        return _uint8(cv2.transform(image, mixed))

    return run


def _color_matrix(saturation: float, hue: float) -> FloatArray:
    """Shape (3, 3): scales the distance from grey, and turns it around the grey axis by ``hue`` (radians)."""
    axis = np.full((3, 3), 1.0 / 3.0)
    cross = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3.0)
    turn = math.cos(hue) * np.eye(3) + math.sin(hue) * cross + (1.0 - math.cos(hue)) * axis
    gray_of = np.tile(_LUMA, (3, 1))
    return np.asarray((gray_of + saturation * (np.eye(3) - gray_of)) @ turn, dtype=np.float32)


def gray(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Grey, still with three channels; takes nothing from ``rng``."""
    return _uint8(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def cover_part(image: ImageArray, box: Box, landmarks: Landmarks | None, rng: np.random.Generator) -> ImageArray:
    """Cover one part of a face with one colour of the picture or with noise: eyes, nose, mouth, or a side.

    Without landmarks the parts lie where they usually do in the box. Face-part cut-out after Das et al. 2021.
    """
    part = _parts(box, landmarks)[int(rng.integers(5))]
    grown = 1.0 + rng.uniform(-0.2, 0.3)
    cx, cy = part.center
    left, right = (round(cx + sign * part.w * grown / 2.0) for sign in (-1, 1))
    top, bottom = (round(cy + sign * part.h * grown / 2.0) for sign in (-1, 1))
    covered = image.copy()
    target = covered[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if rng.random() < 0.5:
        target[:] = image[int(rng.integers(image.shape[0])), int(rng.integers(image.shape[1]))]
    else:
        target[:] = rng.integers(0, 256, size=target.shape, dtype=np.uint8)
    return covered


def _parts(box: Box, landmarks: Landmarks | None) -> tuple[Box, ...]:
    if landmarks is None:
        shares = np.array([[0.32, 0.4], [0.68, 0.4], [0.5, 0.58], [0.36, 0.76], [0.64, 0.76]])
        points: NDArray[np.float64] = np.array([box.x, box.y]) + shares * np.array([box.w, box.h])
    else:
        points = landmarks.as_array().astype(np.float64)
    side = box.long_side
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    return (
        _around(eyes, 0.8 * side, 0.22 * side),
        _around(points[2], 0.3 * side, 0.35 * side),
        _around(mouth, 0.5 * side, 0.25 * side),
        Box(box.x, box.y, box.w / 2.0, box.h),
        Box(box.x + box.w / 2.0, box.y, box.w / 2.0, box.h),
    )


def _around(center: NDArray[np.float64], width: float, height: float) -> Box:
    return Box(float(center[0]) - width / 2.0, float(center[1]) - height / 2.0, width, height)


def _clipped(values: FloatArray) -> ImageArray:
    return np.asarray(np.clip(np.rint(values), 0.0, 255.0), dtype=np.uint8)


def _uint8(image: ImageArray) -> ImageArray:
    return np.asarray(image, dtype=np.uint8)
