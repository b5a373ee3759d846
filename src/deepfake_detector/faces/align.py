"""The one crop warp: a square around the face, or the whole picture, interpolated once, in training as in serving."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import Box, CropMode, CropRule, ImageArray, Landmarks

MAX_FINE = 16
"""At most this many samples to a side of an output pixel; more would cost memory and change nothing one could see."""

NATIVE_MOST = 2.0
"""A native crop shows at most this many times the longer side of the face's box."""

CODED_BLOCK = 16
"""Pixels of a coded block with halved colour: cut at its multiples, a face keeps the grid that its file has."""

Matrix = NDArray[np.float64]
"""Shape (2, 3): takes (x, y, 1) of the picture, in pixels with centres at whole numbers, to pixels of the crop."""


Change = Callable[[ImageArray], ImageArray]
"""Of an RGB picture, into one of the same size."""


@dataclass(frozen=True, slots=True)
class Jitter:
    """A random change of the crop for training, folded into the same warp; the default changes nothing.

    ``zoom`` multiplies the side of the square; ``shift_x`` and ``shift_y`` are shares of that side;
    ``rotation`` is in degrees; ``flip`` mirrors left and right.
    """

    zoom: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    rotation: float = 0.0
    flip: bool = False


NO_JITTER = Jitter()


def face_matrix(box: Box, landmarks: Landmarks | None, rule: CropRule, jitter: Jitter = NO_JITTER) -> Matrix:
    """The warp that cuts a face: a square of ``rule.ratio`` times the longer side of its box, around its middle.

    The face is turned upright only if its eyes lean by ``rule.upright_above`` degrees or more. In native mode see
    ``CropRule``.
    """
    if rule.mode is CropMode.NATIVE:
        return _native_matrix(box, rule.size, jitter)
    roll = landmarks.roll if landmarks is not None else 0.0
    turn = roll if abs(roll) >= rule.upright_above else 0.0
    x, y = box.center
    # A box that spans the picture goes from 0 to its width; the matrix counts from the middle of the first pixel.
    return _square_matrix((x - 0.5, y - 0.5), box.long_side * rule.ratio, turn, rule.size, jitter)


def _native_matrix(box: Box, size: int, jitter: Jitter) -> Matrix:
    """Whole pixels of the picture, unless the face is so small or so jittered that they must be interpolated."""
    x, y = box.center
    side = min(float(size), max(1.0, NATIVE_MOST * box.long_side))
    matrix = _square_matrix((x - 0.5, y - 0.5), side, 0.0, size, jitter)
    if np.array_equal(np.abs(matrix[:, :2]), np.eye(2)):
        matrix[:, 2] = np.floor(matrix[:, 2] + 0.5 + 1e-6)  # the same from a cut-out as from the picture
    return matrix


def whole_matrix(width: int, height: int, rule: CropRule, jitter: Jitter = NO_JITTER) -> Matrix:
    """The warp that takes the largest centred square of a picture."""
    center = ((width - 1) / 2.0, (height - 1) / 2.0)
    return _square_matrix(center, float(min(width, height)), 0.0, rule.size, jitter)


def _square_matrix(center: tuple[float, float], side: float, turn: float, size: int, jitter: Jitter) -> Matrix:
    side = max(side * jitter.zoom, 1.0)
    scale = size / side
    angle = math.radians(turn + jitter.rotation)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    cx, cy = center[0] + jitter.shift_x * side, center[1] + jitter.shift_y * side
    matrix = np.array([[cos, sin, -cos * cx - sin * cy], [-sin, cos, sin * cx - cos * cy]], dtype=np.float64)
    if jitter.flip:
        matrix[0] *= -1.0
    matrix[:, 2] += (size - 1) / 2.0
    return matrix


def warp(image: ImageArray, matrix: Matrix, size: int) -> ImageArray:
    """Cut a crop of shape (size, size, 3), uint8 RGB, from an RGB picture; what lies outside is mirrored.

    Shrinking samples each output pixel on a fine grid and averages it, so that there is neither aliasing nor a
    second interpolation.
    """
    shrink = 1.0 / math.sqrt(abs(float(np.linalg.det(matrix[:, :2]))))
    fine = min(max(1, math.ceil(shrink / 1.25)), MAX_FINE)
    if fine == 1:
        return _sample(image, matrix, size)
    finer = matrix * fine
    finer[:, 2] += (fine - 1) / 2.0
    sampled = _sample(image, finer, size * fine)
    return np.asarray(cv2.resize(sampled, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _sample(image: ImageArray, matrix: Matrix, size: int) -> ImageArray:
    # OpenCV counts in 32-bit floats from the corner of what it is given: only the pixels that are needed go in, so
    # that a crop is the same, bit for bit, from the whole picture and from a cut-out of it.
    height, width = image.shape[:2]
    left, top, right, bottom = window(matrix, size, width, height)
    part = np.ascontiguousarray(image[top:bottom, left:right])
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ np.array([left, top], dtype=np.float64)
    warped = cv2.warpAffine(part, local, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(warped, dtype=np.uint8)


def window(matrix: Matrix, size: int, width: int, height: int) -> tuple[int, int, int, int]:
    """The pixels of a picture that a crop reads, mirrored ones included: left, top, right, bottom (both exclusive)."""
    # To the outer edges of its pixels, because shrinking samples all over them.
    low_edge, edge = -0.5, size - 0.5
    corners = np.array([[low_edge, low_edge, 1.0], [edge, low_edge, 1.0], [low_edge, edge, 1.0], [edge, edge, 1.0]])
    points = corners @ cv2.invertAffineTransform(matrix).T
    # The thousandth keeps corners that lie on a whole pixel off the edge between two roundings.
    low = np.floor(points.min(axis=0) - 1e-3).astype(int) - 1
    high = np.ceil(points.max(axis=0) + 1e-3).astype(int) + 2
    left, right = _span(int(low[0]), int(high[0]), width)
    top, bottom = _span(int(low[1]), int(high[1]), height)
    return left, top, right, bottom


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The pixels (h, w, 3), uint8 RGB, that a crop reads, and the warp that cuts it from them."""

    pixels: ImageArray
    matrix: Matrix


def cut_window(image: ImageArray, matrix: Matrix, size: int, origin: tuple[int, int] = (0, 0)) -> Window:
    """What the crop reads, from where a coded block begins; ``origin`` is where the image lay (x, y) in its picture."""
    left, top, right, bottom = window(matrix, size, image.shape[1], image.shape[0])
    left, top = (max(0, at - (at + shift) % CODED_BLOCK) for at, shift in zip((left, top), origin, strict=True))
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ np.array([left, top], dtype=np.float64)
    return Window(np.ascontiguousarray(image[top:bottom, left:right]), local)


def changed_crops(cut: Window, size: int, changes: Iterable[Change]) -> NDArray[np.uint8]:
    """The crop after each change of the pixels that it reads: (changes, size, size, 3), uint8 RGB."""
    return np.stack([warp(change(cut.pixels), cut.matrix, size) for change in changes])


def _span(low: int, high: int, length: int) -> tuple[int, int]:
    """The pixels of one axis that [low, high) reads when what lies outside is mirrored at the first and last pixel."""
    start, stop = max(low, 0), min(high, length)
    if low < 0:
        stop = max(stop, min(length, 2 - low))
    if high > length:
        start = min(start, max(0, 2 * (length - 1) - high))
    return start, stop


def crop(image: ImageArray, box: Box | None, landmarks: Landmarks | None, rule: CropRule) -> ImageArray:
    """The network input for one face, or for the whole picture as ``rule`` says: (size, size, 3), uint8 RGB.

    Raises ValueError if the rule wants a face and there is no box.
    """
    return warp(image, crop_matrix(image, box, landmarks, rule), rule.size)


def crop_matrix(image: ImageArray, box: Box | None, landmarks: Landmarks | None, rule: CropRule) -> Matrix:
    """The warp of ``crop``. Raises ValueError if the rule wants a face and there is no box."""
    if rule.mode is CropMode.WHOLE:
        return whole_matrix(image.shape[1], image.shape[0], rule)
    if box is None:
        raise ValueError("a face crop needs a face box")
    return face_matrix(box, landmarks, rule)


PATCH_SIDE = 96

_PATCH_POINTS = np.array([(0.37, 0.40), (0.63, 0.40), (0.5, 0.54), (0.395, 0.66), (0.605, 0.66)])
"""Where a patch has the five landmarks, in shares of its side; the whole face and its border lie inside."""


def patch(grey: NDArray[np.uint8], landmarks: Landmarks) -> NDArray[np.uint8]:
    """A face out of a grey picture (height, width), uint8, in which eyes, nose and mouth are always at one place.

    Its shape is (PATCH_SIDE, PATCH_SIDE). For comparing a face with itself in other frames: position, size and lean are
    taken out by the similarity transform that fits the five landmarks best (Umeyama 1991).
    """
    source, target = landmarks.as_array().astype(np.float64) - 0.5, _PATCH_POINTS * PATCH_SIDE - 0.5
    points = (source - source.mean(axis=0)) @ (1.0, 1.0j)
    places = (target - target.mean(axis=0)) @ (1.0, 1.0j)
    turn = complex((np.conj(points) * places).sum() / max(float((np.abs(points) ** 2).sum()), 1e-9))
    # Landmarks that fall into one point have no size; the face then fills the patch with one of its pixels.
    turn = turn if abs(turn) > 1e-6 else 1.0 + 0.0j
    rows = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    matrix = np.column_stack([rows, target.mean(axis=0) - rows @ source.mean(axis=0)])
    return warp(grey, matrix, PATCH_SIDE)


def padding_share(matrix: Matrix, size: int, width: int, height: int) -> float:
    """The share, 0–1, of a crop's pixels that lie outside of the picture (and are mirrored)."""
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2).astype(np.float64)
    inverse = cv2.invertAffineTransform(matrix)
    points = grid @ inverse[:, :2].T + inverse[:, 2]
    inside = (points >= -0.5).all(axis=1) & (points[:, 0] <= width - 0.5) & (points[:, 1] <= height - 0.5)
    return float(1.0 - inside.mean())
