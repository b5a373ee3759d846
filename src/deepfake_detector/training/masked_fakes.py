"""Fakes of which it is known where they were altered: synthesised ones, and composites whose file names tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import CropRule, FloatArray, ImageArray
from deepfake_detector.faces.align import crop
from deepfake_detector.training.data.blend import alpha_blend, disturb
from deepfake_detector.training.data.crops import CachedCrop, read_cached
from deepfake_detector.training.data.masks import face_width, part_mask
from deepfake_detector.training.data.samples import Label
from deepfake_detector.training.data.synthesize import SynthesisConfig
from deepfake_detector.training.data.synthetic import SyntheticConfig, SyntheticFakes

HULLS = frozenset({"self_blend", "swap"})
"""Recipes that replace the whole face: their mask is the middle of the crop, so only its border can be pointed at."""

BAND = 0.06
"""Width of that border as a share of the face's width."""

OFF_CENTER = "off_center"
COMPOSITE = "composite"

_EDITED = re.compile(r"_([01]{4})\.\w+$")
_COMPOSITE_PARTS = (
    ("left_eye", "left_brow", "right_eye", "right_brow"),
    ("left_eye", "left_brow", "right_eye", "right_brow"),
    ("nose",),
    ("mouth",),
)


@dataclass(frozen=True, slots=True)
class MaskedFake:
    """A fake as a network sees it, uint8 RGB (S, S, 3), and where it was altered, bool (S, S).

    ``method`` is how it was made; ``group`` names the photo that it was made from.
    """

    crop: ImageArray
    mask: NDArray[np.bool_]
    method: str
    group: str


def synthesised(
    crops: Sequence[CachedCrop], meshes: Mapping[Path, FloatArray], rule: CropRule, number: int, seed: int
) -> Iterator[MaskedFake]:
    """``number`` fakes from the reals among ``crops``: half part swaps, a quarter off-centre patches, a quarter hulls.

    Deterministic in the seed. Raises DataError if there is no real with a mesh.
    """
    recipes = {"part_swap": {"part_swap": 1.0}, "hull": {"swap": 0.5, "self_blend": 0.5}}
    makers = {
        name: SyntheticFakes(crops, meshes, SyntheticConfig(recipes=_only(shares))) for name, shares in recipes.items()
    }
    sources = makers["hull"].sources
    order = np.random.default_rng(seed).permutation(len(sources))
    kinds = ("part_swap", OFF_CENTER, "part_swap", "hull")
    for count in range(number):
        rng = np.random.default_rng([seed, count])
        place = int(order[count % len(order)])
        source = crops[sources[place]]
        kind = kinds[count % len(kinds)]
        if kind == OFF_CENTER:
            pixels, mask = _off_center(read_cached(source), meshes[source.file], rng)
            method = OFF_CENTER
        else:
            made = makers[kind].make(place, lambda index: read_cached(crops[index]), rng)
            pixels, mask, method = made.pixels, made.mask, made.method
        yield _seen(pixels, mask, source, rule, method)


def composites(crops: Sequence[CachedCrop], meshes: Mapping[Path, FloatArray], rule: CropRule) -> Iterator[MaskedFake]:
    """The fakes among ``crops`` whose file name ends in four digits, as those of CIPLAB's "Real and Fake Face
    Detection" do: left eye, right eye, nose, mouth, 1 where it comes from somebody else.

    Whose left is meant is not documented, so that either eye stands for both.
    """
    for source in crops:
        edited = _EDITED.search(source.sample.path.name)
        if source.sample.label is not Label.FAKE or edited is None or source.file not in meshes:
            continue
        names = [
            part
            for digit, parts in zip(edited.group(1), _COMPOSITE_PARTS, strict=True)
            if digit == "1"
            for part in parts
        ]
        pixels = read_cached(source)
        mask = part_mask(meshes[source.file], (pixels.shape[0], pixels.shape[1]), tuple(dict.fromkeys(names)))
        if names:
            yield _seen(pixels, mask, source, rule, COMPOSITE)


def _only(shares: Mapping[str, float]) -> SynthesisConfig:
    return SynthesisConfig(**{name: shares.get(name, 0.0) for name in SynthesisConfig.model_fields})


def _off_center(image: ImageArray, mesh: FloatArray, rng: np.random.Generator) -> tuple[ImageArray, FloatArray]:
    """A soft ellipse somewhere along the face's outline, filled from a disturbed copy of the picture."""
    height, width = image.shape[:2]
    face = face_width(mesh)
    center, angle = mesh.mean(axis=0), float(rng.uniform(0.0, 2.0 * np.pi))
    at = center + face * 0.36 * np.array([np.cos(angle), np.sin(angle)])
    axes = tuple(int(face * float(rng.uniform(0.1, 0.18))) for _ in range(2))
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (int(at[0]), int(at[1])), axes, float(rng.uniform(0.0, 180.0)), 0.0, 360.0, 1.0, -1)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), max(face * 0.02, 0.5)), dtype=np.float32)
    return alpha_blend(disturb(image, rng), image, mask), mask


def _seen(pixels: ImageArray, mask: FloatArray, source: CachedCrop, rule: CropRule, method: str) -> MaskedFake:
    """Cut fake and mask as the network's input is cut."""
    grey = np.round(mask / max(float(mask.max()), 1e-6) * 255.0).astype(np.uint8)
    cut = crop(np.repeat(grey[..., None], 3, axis=2), source.box, source.landmarks, rule)[..., 0]
    where = (cut > 127).astype(np.uint8)
    if method in HULLS:
        reach = max(3, round(BAND * rule.size / rule.ratio)) | 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        where = np.asarray(cv2.morphologyEx(where, cv2.MORPH_GRADIENT, kernel), dtype=np.uint8)
    group = source.sample.group or source.sample.path.name
    return MaskedFake(crop(pixels, source.box, source.landmarks, rule), where > 0, method, group)
