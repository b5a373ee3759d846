"""Which parts of a face carry the evidence: the heat map summed over regions that landmarks draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.explanation import FacePart, PartShare
from deepfake_detector.core.types import FloatArray
from deepfake_detector.explain.maps import enlarged

Labels = NDArray[np.uint8]
"""(S, S): the index in ``PARTS`` of the part that each pixel belongs to."""

PARTS: tuple[FacePart, ...] = tuple(FacePart)

BAND = 0.06
"""Half the width of the outline's band, as a share of the face's width: as far as blending borders blur."""

_FEATURES: Mapping[FacePart, tuple[tuple[str, ...], ...]] = {
    FacePart.EYES: (("left_eye", "left_brow"), ("right_eye", "right_brow")),
    FacePart.NOSE: (("nose",),),
    FacePart.MOUTH: (("mouth",),),
}


def part_labels(regions: Mapping[str, FloatArray], size: int) -> Labels:
    """The part of each pixel of a crop of this size.

    ``regions`` holds the points (k, 2), (x, y) in pixels of the crop, of "outline", both eyes and brows, "nose" and
    "mouth". Eyes (with brows), nose and mouth are the hulls of their points; the outline is a band along the edge of
    the face; the skin is what is left inside of it, the background what is left outside.
    """
    face = _hull([regions["outline"]], size)
    points = regions["outline"]
    reach = max(3, round(2.0 * BAND * float(np.ptp(points[:, 0])))) | 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    labels = np.full((size, size), PARTS.index(FacePart.BACKGROUND), dtype=np.uint8)
    labels[face > 0] = PARTS.index(FacePart.SKIN)
    labels[cv2.morphologyEx(face, cv2.MORPH_GRADIENT, kernel) > 0] = PARTS.index(FacePart.OUTLINE)
    for part, groups in _FEATURES.items():
        for group in groups:
            labels[_hull([regions[name] for name in group], size) > 0] = PARTS.index(part)
    return labels


def part_shares(values: FloatArray, labels: Labels) -> tuple[PartShare, ...]:
    """How much of what speaks for fake in a map (h, w) lies in each part; empty if nothing in it speaks for fake."""
    evidence = np.maximum(enlarged(values, labels.shape[0]), 0.0)
    total = float(evidence.sum())
    if total <= 0.0:
        return ()
    return tuple(
        PartShare(part, float(evidence[labels == index].sum()) / total, float((labels == index).mean()))
        for index, part in enumerate(PARTS)
    )


def _hull(points: Sequence[FloatArray], size: int) -> Labels:
    mask = np.zeros((size, size), dtype=np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(np.concatenate(points)).astype(np.int32)), 1)
    return mask
