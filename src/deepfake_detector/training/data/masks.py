"""Soft masks over a face, drawn from its mesh, that say where a synthesised fake differs from its real partner."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from deepfake_detector.core.types import FloatArray
from deepfake_detector.faces.mesh import REGIONS

PARTS: tuple[tuple[str, ...], ...] = (
    ("left_eye", "right_eye"),
    ("left_eye", "right_eye", "left_brow", "right_brow"),
    ("left_eye",),
    ("right_eye",),
    ("nose",),
    ("mouth",),
    ("nose", "mouth"),
    ("left_eye", "right_eye", "nose"),
)
"""The parts of a face that an editor replaces together."""


def face_width(points: FloatArray) -> float:
    """The width of the face's outline in pixels, from its mesh points (468, 2)."""
    outline = points[list(REGIONS["outline"])]
    return max(float(outline[:, 0].max() - outline[:, 0].min()), 8.0)


def hull_mask(points: FloatArray, shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """A mask of one of the shapes that face swaps leave, 0–1, float32 (h, w).

    The whole outline, the outline raised over the forehead, the inner face (brows to chin or to mouth), or the lower
    half; after the landmark-hull masks of Li et al. 2020 (Face X-ray) and Shiohara & Yamasaki 2022.
    """
    outline = points[list(REGIONS["outline"])]
    inner = _of(points, "left_brow", "right_brow", "nose", "mouth")
    choice = rng.integers(5)
    if choice == 0:
        hull = outline
    elif choice == 1:
        hull = _raise_forehead(points, outline, float(rng.uniform(0.05, 0.2)))
    elif choice == 2:
        hull = inner
    elif choice == 3:
        hull = np.concatenate([inner, _of(points, "jaw")])
    else:
        hull = np.concatenate([_of(points, "jaw"), _of(points, "nose")])
    return fill(hull, shape)


def part_mask(points: FloatArray, shape: tuple[int, int], parts: Sequence[str]) -> FloatArray:
    """A mask of the named parts (keys of ``faces.mesh.REGIONS``), each a hull grown by a little; 0–1 (h, w)."""
    mask = np.zeros(shape, dtype=np.float32)
    for part in parts:
        mask = np.maximum(mask, fill(points[list(REGIONS[part])], shape))
    reach = max(3, int(face_width(points) * 0.05)) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return np.asarray(cv2.dilate(mask, kernel), dtype=np.float32)


def fill(points: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """The filled convex hull of some points: 1 inside, 0 outside."""
    mask = np.zeros(shape, dtype=np.float32)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1.0)
    return mask


def deform(mask: FloatArray, width: float, rng: np.random.Generator) -> FloatArray:
    """Bend a mask elastically (by up to some 6 % of the face's ``width``), and shrink it, or grow it a little.

    By up to 10 % and 3 %: its border must stay inside of a face crop.
    """
    flow = smooth_field(mask.shape[:2], cells=5, amplitude=width * rng.uniform(0.01, 0.06), rng=rng)
    bent = _remap(mask, flow)
    change, most = (cv2.erode, 0.1) if rng.random() < 0.7 else (cv2.dilate, 0.03)
    reach = int(width * rng.uniform(0.0, most)) | 1
    if reach < 3:
        return bent
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    return np.asarray(change(bent, kernel), dtype=np.float32)


def soften(mask: FloatArray, width: float, rng: np.random.Generator, hardest: float = 0.005) -> FloatArray:
    """Blur the border of a mask by ``hardest``–8 % of the face's ``width``, mostly by little."""
    sigma = width * hardest * (0.08 / hardest) ** rng.uniform(0.0, 1.0)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), max(sigma, 0.5)), dtype=np.float32)


def smooth_field(shape: tuple[int, ...], cells: int, amplitude: float, rng: np.random.Generator) -> FloatArray:
    """A smooth random displacement field (h, w, 2) in pixels, its mean length about ``amplitude``."""
    coarse = rng.normal(0.0, amplitude / 1.25, size=(cells, cells, 2)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def _remap(values: FloatArray, flow: FloatArray) -> FloatArray:
    height, width = values.shape[:2]
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    bent = cv2.remap(values, xs + flow[..., 0], ys + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(bent, dtype=np.float32)


def _of(points: FloatArray, *regions: str) -> FloatArray:
    return np.concatenate([points[list(REGIONS[name])] for name in regions])


def _raise_forehead(points: FloatArray, outline: FloatArray, by: float) -> FloatArray:
    """Move the upper half of the outline away from the chin, by a share of the face's height."""
    chin, top = points[152], points[10]
    up = top - chin
    height = np.linalg.norm(up) + 1e-6
    along = (outline - chin) @ up / height**2
    raised: FloatArray = outline + np.clip((along - 0.6) / 0.4, 0.0, 1.0)[:, None] * up * by
    return raised.astype(np.float32)
