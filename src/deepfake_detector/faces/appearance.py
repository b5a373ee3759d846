"""What a person looks like, well enough to tell them from the others in the same scene; no face recognition."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import Box, CropRule, DetectedFace, FloatArray, ImageArray
from deepfake_detector.faces.align import crop

SIDE, CELLS = 64, 4
"""The face is looked at upright, in this many pixels and, each way, in this many cells."""

LIGHT_BINS, COLOUR_BINS = 6, 12
"""Bins of lightness, and of each colour axis in Lab, for hair, face and clothes."""

COLOUR_SPAN = 48.0
"""Colours further than this from grey share the outermost bins; skin, hair and most cloth lie nearer."""

FACE_WEIGHT = 0.5

_UPRIGHT = CropRule(size=SIDE, ratio=1.0, upright_above=0.0)


@dataclass(frozen=True, slots=True)
class Appearance:
    """``texture`` (256,) of the face, and ``colours`` (3, 864) of hair, face and clothes; the rows have length 1, or 0
    where the region lies outside of the frame."""

    texture: FloatArray
    colours: FloatArray


def appearance(image: ImageArray, face: DetectedFace) -> Appearance:
    """Look at a face, the hair above and the clothes below it, in an RGB frame (height, width, 3), uint8."""
    grey = cv2.cvtColor(crop(image, face.box, face.landmarks, _UPRIGHT), cv2.COLOR_RGB2GRAY)
    box = face.box
    regions = (
        Box(box.x - 0.1 * box.w, box.y - 0.35 * box.h, 1.2 * box.w, 0.45 * box.h),
        box,
        Box(box.x - 0.5 * box.w, box.y + 1.2 * box.h, 2.0 * box.w, 0.9 * box.h),
    )
    return Appearance(_texture(grey), np.stack([_colours(image, region) for region in regions]))


def likeness(one: Appearance, other: Appearance) -> float:
    """How much two looks are alike, 0–1: the Bhattacharyya coefficients of texture and colours, averaged.

    A region that is outside of either frame is left out.
    """
    shared = (one.colours * other.colours).sum(axis=1)
    seen = (one.colours.any(axis=1)) & (other.colours.any(axis=1))
    colour = float(shared[seen].mean()) if seen.any() else 1.0
    return FACE_WEIGHT * float(one.texture @ other.texture) + (1.0 - FACE_WEIGHT) * colour


def _texture(grey: NDArray[np.uint8]) -> FloatArray:
    """Centre-symmetric local binary patterns (Heikkilä, Pietikäinen and Schmid 2009), counted in each cell."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0).astype(np.int16)
    pairs = (
        (smooth[:-2, :-2], smooth[2:, 2:]),
        (smooth[:-2, 1:-1], smooth[2:, 1:-1]),
        (smooth[:-2, 2:], smooth[2:, :-2]),
        (smooth[1:-1, 2:], smooth[1:-1, :-2]),
    )
    codes = sum(((a - b > 2).astype(np.uint8) << bit for bit, (a, b) in enumerate(pairs)), np.zeros_like(pairs[0][0]))
    rows = np.arange(codes.shape[0]) * CELLS // codes.shape[0]
    place = (rows[:, None] * CELLS + rows[None, :]) * 16 + codes
    return _root(np.bincount(place.ravel(), minlength=CELLS * CELLS * 16).astype(np.float32))


def _colours(image: ImageArray, region: Box) -> FloatArray:
    height, width = image.shape[:2]
    left, right = np.clip([round(region.x), round(region.x + region.w)], 0, width)
    top, bottom = np.clip([round(region.y), round(region.y + region.h)], 0, height)
    if (right - left) * (bottom - top) < 0.25 * region.area:
        return np.zeros(LIGHT_BINS * COLOUR_BINS**2, np.float32)
    small = cv2.resize(image[top:bottom, left:right], (24, 24), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    span = [128 - COLOUR_SPAN, 128 + COLOUR_SPAN]
    lab[..., 1:] = np.clip(lab[..., 1:], span[0], span[1] - 1)
    bins = [LIGHT_BINS, COLOUR_BINS, COLOUR_BINS]
    counts = cv2.calcHist([lab], [0, 1, 2], None, bins, [0, 256, *span, *span])
    # Neighbouring bins lend each other a quarter, so that a slight change of light does not change all bins.
    padded = np.pad(counts, 1)
    for axis in range(3):
        padded = 0.5 * padded + 0.25 * (np.roll(padded, 1, axis) + np.roll(padded, -1, axis))
    return _root(padded[1:-1, 1:-1, 1:-1].ravel())


def _root(counts: NDArray[np.floating]) -> FloatArray:
    """The square roots of the shares: the dot product of two such rows is their Bhattacharyya coefficient."""
    return np.asarray(np.sqrt(counts / max(float(counts.sum()), 1e-9)), dtype=np.float32)
