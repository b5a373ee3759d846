"""Disturbing one copy of a face, and laying it over another: the operations that leave a forgery's traces."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from deepfake_detector.core.types import FloatArray, ImageArray

Disturb = Callable[[ImageArray, np.random.Generator], ImageArray]


def disturb(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    """Change colour, sharpness or resolution of a copy, one to three of them; uint8 RGB in and out.

    The set of changes follows Shiohara & Yamasaki 2022 ("Detecting Deepfakes with Self-Blended Images").
    """
    steps: list[Disturb] = [_colour, _sharpness, _resolution]
    order = rng.permutation(len(steps))[: rng.integers(1, len(steps) + 1)]
    for index in order:
        image = steps[index](image, rng)
    return image


def _colour(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    out = image.astype(np.float32)
    choice = rng.integers(3)
    if choice == 0:
        out += rng.uniform(-20.0, 20.0, size=3).astype(np.float32)
    elif choice == 1:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32)
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(-6.0, 6.0)) % 180.0
        hsv[..., 1:] *= rng.uniform(0.75, 1.25, size=2)
        return np.asarray(cv2.cvtColor(_uint8(hsv), cv2.COLOR_HSV2RGB), dtype=np.uint8)
    else:
        out = (out - out.mean()) * rng.uniform(0.75, 1.25) + out.mean() * rng.uniform(0.85, 1.15)
    return _uint8(out)


def _sharpness(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    sigma = float(rng.uniform(0.5, 1.6))
    blurred = cv2.GaussianBlur(image, (0, 0), sigma)
    if rng.random() < 0.5:
        return np.asarray(blurred, dtype=np.uint8)
    amount = float(rng.uniform(0.4, 1.5))
    return np.asarray(cv2.addWeighted(image, 1.0 + amount, blurred, -amount, 0.0), dtype=np.uint8)


def _resolution(image: ImageArray, rng: np.random.Generator) -> ImageArray:
    height, width = image.shape[:2]
    scale = float(rng.uniform(0.25, 0.85))
    small = (max(8, round(width * scale)), max(8, round(height * scale)))
    down = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
    up = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)[rng.integers(3)]
    return np.asarray(
        cv2.resize(cv2.resize(image, small, interpolation=down), (width, height), interpolation=up), dtype=np.uint8
    )


def match_colour(source: ImageArray, target: ImageArray, mask: FloatArray, strength: float) -> ImageArray:
    """Give ``source`` the mean and deviation of ``target`` in Lab under the mask (Reinhard et al. 2001).

    ``strength`` 0–1 is how much of the way it goes; both uint8 RGB of one shape.
    """
    where = mask > 0.5
    if int(where.sum()) < 16:
        return source
    lab_source = cv2.cvtColor(source, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab_target = cv2.cvtColor(target, cv2.COLOR_RGB2LAB).astype(np.float32)
    inside, wanted = lab_source[where], lab_target[where]
    gain = (wanted.std(axis=0) + 1.0) / (inside.std(axis=0) + 1.0)
    moved = (lab_source - inside.mean(axis=0)) * np.clip(gain, 0.5, 2.0) + wanted.mean(axis=0)
    mixed = lab_source + strength * (moved - lab_source)
    return np.asarray(cv2.cvtColor(_uint8(mixed), cv2.COLOR_LAB2RGB), dtype=np.uint8)


def alpha_blend(over: ImageArray, under: ImageArray, mask: FloatArray) -> ImageArray:
    """Lay ``over`` on ``under`` through a soft mask, 0–1 (h, w); uint8 RGB."""
    weight = np.clip(mask, 0.0, 1.0)[..., None]
    return _uint8(over.astype(np.float32) * weight + under.astype(np.float32) * (1.0 - weight))


def poisson_blend(over: ImageArray, under: ImageArray, mask: FloatArray) -> ImageArray:
    """Blend gradients instead of values (Pérez et al. 2003) where the mask is above a half; uint8 RGB.

    Falls back on ``alpha_blend`` where the mask touches the picture's edge or covers too little.
    """
    hard = (mask > 0.5).astype(np.uint8)
    hard[:2], hard[-2:], hard[:, :2], hard[:, -2:] = 0, 0, 0, 0
    x, y, w, h = cv2.boundingRect(hard)
    if w < 8 or h < 8:
        return alpha_blend(over, under, mask)
    center = (x + w // 2, y + h // 2)
    cloned = np.asarray(cv2.seamlessClone(over, under, hard * 255, center, cv2.NORMAL_CLONE), dtype=np.uint8)
    # The solver rounds its region to whole pixels; what lies outside of the mask stays as it was.
    return alpha_blend(cloned, under, np.minimum(mask * 2.0, 1.0))


def _uint8(values: FloatArray) -> ImageArray:
    return np.asarray(np.clip(values + 0.5, 0.0, 255.0), dtype=np.uint8)
