"""What an innocent picture goes through on its way: each change with its level, and where the face is afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import Box, ImageArray, Landmarks
from deepfake_detector.training.data.degrade import through
from deepfake_detector.training.predict import View

SIDE_OF_SCREEN = 0.8
SIDE_OF_UPLOAD = 1080

Affine = NDArray[np.float64]
"""Shape (2, 3): takes (x, y, 1) to (x, y), in pixels counted from the outer edge of the first one."""


Apply = Callable[[View, np.random.Generator], View]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a picture: ``name`` as ``jpeg-50``, its ``family``, its ``level``, and what it is in words."""

    name: str
    family: str
    level: float
    words: str
    apply: Apply


def _on_pixels(run: Callable[[View, np.random.Generator], ImageArray]) -> Apply:
    """A change that leaves everything in its place."""

    def apply(view: View, rng: np.random.Generator) -> View:
        return replace(view, pixels=run(view, rng))

    return apply


def jpeg(quality: int) -> Apply:
    """Baseline JPEG with 4:2:0 chroma, as most programs write it."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]  # fmt: skip
    return _on_pixels(lambda view, _: through(".jpg", view.pixels, options))


def webp(quality: int) -> Apply:
    """Lossy WebP."""
    return _on_pixels(lambda view, _: through(".webp", view.pixels, [cv2.IMWRITE_WEBP_QUALITY, quality]))


def resize(factor: float) -> Apply:
    """Scaled, and left at the new size; sides of at least 8 pixels."""

    def apply(view: View, _: np.random.Generator) -> View:
        height, width = view.pixels.shape[:2]
        new = max(8, round(width * factor)), max(8, round(height * factor))
        how = cv2.INTER_AREA if factor < 1.0 else cv2.INTER_CUBIC
        pixels = np.asarray(cv2.resize(view.pixels, new, interpolation=how), dtype=np.uint8)
        return moved(view, pixels, np.array([[new[0] / width, 0.0, 0.0], [0.0, new[1] / height, 0.0]]))

    return apply


def blur(share: float) -> Apply:
    """Gaussian blur, its sigma a share of the face's longer side, so that it looks the same in any resolution."""

    def run(view: View, _: np.random.Generator) -> ImageArray:
        sigma = max(share * view.box.long_side, 0.1)
        return np.asarray(cv2.GaussianBlur(view.pixels, (0, 0), sigma), dtype=np.uint8)

    return _on_pixels(run)


def noise(sigma: float) -> Apply:
    """Gaussian noise of each pixel and channel, in levels of 0–255."""

    def run(view: View, rng: np.random.Generator) -> ImageArray:
        grain = rng.standard_normal(view.pixels.shape, dtype=np.float32) * np.float32(sigma)
        return _clipped(view.pixels.astype(np.float32) + grain)

    return _on_pixels(run)


def brightness(factor: float) -> Apply:
    """All values times a factor; what is too bright is cut."""
    return _on_pixels(lambda view, _: _clipped(view.pixels.astype(np.float32) * np.float32(factor)))


def crop(share: float) -> Apply:
    """Only a square of this share of the face's longer side is left, or what the picture has of it."""

    def apply(view: View, _: np.random.Generator) -> View:
        height, width = view.pixels.shape[:2]
        half, (x, y) = view.box.long_side * share / 2.0, view.box.center
        left, right = (round(min(max(edge, 0.0), width)) for edge in (x - half, x + half))
        top, bottom = (round(min(max(edge, 0.0), height)) for edge in (y - half, y + half))
        if right - left < 2 or bottom - top < 2:  # nearly all of the face lies outside
            return view
        pixels = np.ascontiguousarray(view.pixels[top:bottom, left:right])
        return moved(view, pixels, np.array([[1.0, 0.0, -left], [0.0, 1.0, -top]]))

    return apply


def rotation(degrees: float) -> Apply:
    """Turned clockwise, on a canvas that holds all of it, with black corners."""

    def apply(view: View, _: np.random.Generator) -> View:
        height, width = view.pixels.shape[:2]
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        new = np.ceil(np.array([width * cos + height * abs(sin), width * abs(sin) + height * cos])).astype(int)
        turn = np.array([[cos, -sin], [sin, cos]])
        move = new / 2.0 - turn @ np.array([width / 2.0, height / 2.0])
        # OpenCV counts from the middle of the first pixel.
        centred = np.column_stack([turn, move + turn @ np.array([0.5, 0.5]) - 0.5])
        turned = cv2.warpAffine(view.pixels, centred, (int(new[0]), int(new[1])), flags=cv2.INTER_LINEAR)
        return moved(view, np.asarray(turned, dtype=np.uint8), np.column_stack([turn, move]))

    return apply


def frame(share: float, level: int) -> Apply:
    """A border of one grey level around the picture, as wide as a share of its longer side."""

    def apply(view: View, _: np.random.Generator) -> View:
        wide = round(max(view.pixels.shape[:2]) * share)
        framed = cv2.copyMakeBorder(
            view.pixels, wide, wide, wide, wide, cv2.BORDER_CONSTANT, value=(level, level, level)
        )
        return moved(view, np.asarray(framed, dtype=np.uint8), np.array([[1.0, 0.0, wide], [0.0, 1.0, wide]]))

    return apply


def sharpen(amount: float) -> Apply:
    """Unsharp mask with a sigma of one pixel."""

    def run(view: View, _: np.random.Generator) -> ImageArray:
        soft = cv2.GaussianBlur(view.pixels, (0, 0), 1.0)
        return np.asarray(cv2.addWeighted(view.pixels, 1.0 + amount, soft, -amount, 0.0), dtype=np.uint8)

    return _on_pixels(run)


def upload(view: View, rng: np.random.Generator) -> View:
    """Scaled to three quarters, or down to 1080 pixels on the longer side if that is less."""
    return resize(min(0.75, SIDE_OF_UPLOAD / max(view.pixels.shape[:2])))(view, rng)


def chain(*steps: Apply) -> Apply:
    """One change after the other."""

    def apply(view: View, rng: np.random.Generator) -> View:
        for step in steps:
            view = step(view, rng)
        return view

    return apply


UNITS = {
    "JPEG": "quality",
    "WebP": "quality",
    "size": "times the size",
    "blur": "sigma, % of the face",
    "noise": "sigma, levels",
    "light": "times the light",
    "crop": "% of the face box",
    "rotation": "degrees",
}
"""What the levels of a family are counted in."""

SCREENSHOT = chain(resize(SIDE_OF_SCREEN), frame(0.06, 32), jpeg(90))
"""Shown on a screen at four fifths of its size, with the dark frame of a window, and saved as JPEG 90."""

SOCIAL = chain(upload, sharpen(0.4), jpeg(80), resize(0.9), jpeg(70))
"""Scaled and sharpened by the first service, JPEG 80; forwarded: scaled again, JPEG 70."""

CHANGES = (
    *(Change(f"jpeg-{q}", "JPEG", q, f"JPEG of quality {q}", jpeg(q)) for q in (95, 85, 75, 60, 50, 40, 30)),
    *(Change(f"webp-{q}", "WebP", q, f"WebP of quality {q}", webp(q)) for q in (90, 75, 50, 30)),
    *(Change(f"resize-{f:g}", "size", f, f"{f:g} times the size", resize(f)) for f in (2, 1.5, 0.75, 0.5, 0.25)),
    *(Change(f"blur-{s:g}", "blur", s, f"blur by {s:g} % of the face", blur(s / 100)) for s in (0.5, 1, 2)),
    *(Change(f"noise-{s}", "noise", s, f"noise of {s} levels", noise(s)) for s in (5, 10, 20)),
    *(Change(f"light-{f:g}", "light", f, f"{f:g} times the light", brightness(f)) for f in (1.5, 1.25, 0.75, 0.5)),
    *(Change(f"crop-{s}", "crop", s, f"a crop to {s} % of the face box", crop(s / 100)) for s in (100, 90, 80)),
    *(Change(f"turn-{d}", "rotation", d, f"a turn by {d} degrees", rotation(d)) for d in (5, 15, 30)),
    Change("screenshot", "chain", 1, "a screenshot", SCREENSHOT),
    Change("social", "chain", 2, "two uploads to social media", SOCIAL),
)
"""In each family in the order in which plots show them."""


def moved(view: View, pixels: ImageArray, affine: Affine) -> View:
    """New pixels, and the face where an affine map takes it; its box stays upright, and is scaled."""
    linear, offset = affine[:, :2], affine[:, 2]
    scale = float(np.sqrt(abs(np.linalg.det(linear))))
    width, height = view.box.w * scale, view.box.h * scale
    x, y = linear @ np.array(view.box.center) + offset
    landmarks = view.landmarks
    if landmarks is not None:
        points = landmarks.as_array().astype(np.float64) @ linear.T + offset
        landmarks = Landmarks(*((float(px), float(py)) for px, py in points))
    return View(pixels, Box(float(x) - width / 2.0, float(y) - height / 2.0, width, height), landmarks)


def _clipped(values: NDArray[np.float32]) -> ImageArray:
    return np.asarray(np.clip(np.rint(values), 0.0, 255.0), dtype=np.uint8)
