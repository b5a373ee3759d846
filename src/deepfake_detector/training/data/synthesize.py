"""Fakes made from real faces while training: self-blended faces, swaps between people, swapped parts, reenactments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepfake_detector.core.types import FloatArray, ImageArray
from deepfake_detector.faces.mesh import REGIONS
from deepfake_detector.training.data.blend import alpha_blend, disturb, match_colour, poisson_blend
from deepfake_detector.training.data.masks import PARTS, deform, face_width, hull_mask, part_mask, smooth_field, soften


class SynthesisConfig(BaseModel):
    """How often each recipe is used; the shares are relative and need not add up to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    self_blend: float = Field(default=0.6, ge=0.0, description="self-blended faces (Shiohara & Yamasaki 2022)")
    swap: float = Field(default=0.25, ge=0.0, description="the face of a similar person, laid over by landmarks")
    part_swap: float = Field(default=0.15, ge=0.0, description="eyes, nose or mouth of a similar person")
    reenact: float = Field(default=0.0, ge=0.0, description="the face itself, bent into another one's expression")

    @model_validator(mode="after")
    def _check(self) -> SynthesisConfig:
        if not any(getattr(self, name) for name in type(self).model_fields):
            raise ValueError("all recipes have the share 0; give one of them more")
        return self


@dataclass(frozen=True, slots=True)
class MeshedFace:
    """A real picture, uint8 RGB (h, w, 3), and the mesh of its face, float32 (468, 2), in its pixels."""

    pixels: ImageArray
    mesh: FloatArray


@dataclass(frozen=True, slots=True)
class Synthetic:
    """A fake, uint8 RGB of its target's shape; ``mask`` 0–1 (h, w) says where and how much it was altered.

    ``partner`` is the real picture to show beside it: the target after the same plain operations (colour, sharpness,
    resolution) as the fake's surroundings, so that these cannot be what tells the two apart.
    """

    pixels: ImageArray
    partner: ImageArray
    mask: FloatArray
    method: str


Recipe = Callable[[MeshedFace, MeshedFace, np.random.Generator], Synthetic]


def synthesize(target: MeshedFace, partner: MeshedFace, config: SynthesisConfig, rng: np.random.Generator) -> Synthetic:
    """Make one fake from ``target``, with the face of ``partner`` (somebody else's) where the recipe needs one."""
    shares = np.array([getattr(config, name) for name in RECIPES], dtype=np.float64)
    name = list(RECIPES)[int(rng.choice(len(shares), p=shares / shares.sum()))]
    return RECIPES[name](target, partner, rng)


def self_blend(target: MeshedFace, _: MeshedFace, rng: np.random.Generator) -> Synthetic:
    """Blend a face onto a disturbed copy of itself: one of the two is disturbed, the upper is shifted and bent.

    After Shiohara & Yamasaki 2022. Nothing but the border and the mismatch of statistics tells it from a real face.
    """
    over, under = target.pixels, target.pixels
    if rng.random() < 0.5:
        over = disturb(over, rng)
    else:
        under = disturb(under, rng)
    width = face_width(target.mesh)
    over = _shift_and_bend(over, width, target.mesh.mean(axis=0), rng)
    mask = _blending_mask(target.mesh, over.shape[:2], width, rng)
    mask = mask * float(rng.choice([0.4, 0.6, 0.8, 1.0, 1.0, 1.0]))
    return Synthetic(alpha_blend(over, under, mask), under, mask, "self_blend")


def swap(target: MeshedFace, partner: MeshedFace, rng: np.random.Generator) -> Synthetic:
    """Lay the partner's face over the target's, fitted by landmarks, its colours matched, as a face swap does."""
    over = _fit(partner, target, _ANCHORS)
    if rng.random() < 0.6:
        over = _decoder_softness(over, face_width(target.mesh), rng)
    width = face_width(target.mesh)
    mask = _blending_mask(target.mesh, over.shape[:2], width, rng)
    over = match_colour(over, target.pixels, mask, float(rng.uniform(0.6, 1.0)))
    if rng.random() < 0.25:
        return Synthetic(poisson_blend(over, target.pixels, mask), target.pixels, mask, "swap")
    return Synthetic(alpha_blend(over, target.pixels, mask), target.pixels, mask, "swap")


def part_swap(target: MeshedFace, partner: MeshedFace, rng: np.random.Generator) -> Synthetic:
    """Replace eyes, nose or mouth by the partner's, fitted to the part, as somebody with a picture editor does."""
    parts = PARTS[int(rng.integers(len(PARTS)))]
    over = _fit(partner, target, _ANCHORS)
    width = face_width(target.mesh)
    mask = deform(part_mask(target.mesh, over.shape[:2], parts), width * 0.3, rng)
    mask = soften(mask, width * 0.6, rng, hardest=0.01)
    over = match_colour(over, target.pixels, mask, float(rng.uniform(0.8, 1.0)))
    blend = poisson_blend if rng.random() < 0.4 else alpha_blend
    return Synthetic(blend(over, target.pixels, mask), target.pixels, mask, "part_swap")


def reenact(target: MeshedFace, partner: MeshedFace, rng: np.random.Generator) -> Synthetic:
    """Bend the face into the partner's expression and lay it over itself, as a reenactment repaints it.

    The person stays the same, unlike in a swap; after what Face2Face does (Thies et al. 2016), without its 3D model.
    """
    width = face_width(target.mesh)
    moved = MeshedFace(target.pixels, _with_expression(target.mesh, partner.mesh, float(rng.uniform(0.6, 1.2))))
    over = _fit(target, moved, _ANCHORS, reach=0.05)
    soft = rng.random() < 0.6
    if soft:
        over = _decoder_softness(over, width, rng)
    if not soft or rng.random() < 0.3:  # something must differ where both have the same expression
        over = disturb(over, rng)
    mask = _blending_mask(moved.mesh, over.shape[:2], width, rng)
    over = match_colour(over, target.pixels, mask, float(rng.uniform(0.3, 1.0)))
    return Synthetic(alpha_blend(over, target.pixels, mask), target.pixels, mask, "reenact")


RECIPES: Mapping[str, Recipe] = {"self_blend": self_blend, "swap": swap, "part_swap": part_swap, "reenact": reenact}
"""Every recipe by its name in the configuration."""

_ANCHORS = sorted({index for region in REGIONS.values() for index in region[::2]})

_STILL = sorted({*REGIONS["nose"], *REGIONS["outline"]} - set(REGIONS["jaw"]))
_MOVES = {"mouth": 1.0, "left_brow": 0.8, "right_brow": 0.8, "left_eye": 0.8, "right_eye": 0.8, "jaw": 0.5}
"""How far each part of a face follows an expression; nose and forehead, by which two faces are fitted, stay."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """What makes a face a fitting partner: ``shape`` (468, 2), its mesh without place and size; ``colour``: Lab."""

    shape: FloatArray
    colour: FloatArray


def likeness(face: MeshedFace) -> Likeness:
    """The shape of a face, and the mean colour at the points of its mesh, in OpenCV's Lab of 0–255."""
    centred = face.mesh - face.mesh.mean(axis=0)
    height, width = face.pixels.shape[:2]
    xs, ys = np.clip(np.round(face.mesh).astype(np.int64), 0, [width - 1, height - 1]).T
    colours = np.ascontiguousarray(face.pixels[ys, xs][None])
    return Likeness(
        shape=np.asarray(centred / (np.linalg.norm(centred) + 1e-6), dtype=np.float32),
        colour=np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2LAB).mean(axis=(0, 1)), dtype=np.float32),
    )


def similar_partner(wanted: Likeness, candidates: Sequence[Likeness]) -> int:
    """The index of the candidate most like the wanted face in shape, skin and light; there must be one."""
    return int(
        np.argmin(
            [
                np.linalg.norm(other.shape - wanted.shape) / _USUAL_SHAPE
                + np.linalg.norm(other.colour - wanted.colour) / _USUAL_COLOUR
                for other in candidates
            ]
        )
    )


# The usual distances between two people's photos, so that shape and colour count alike.
_USUAL_SHAPE, _USUAL_COLOUR = 0.15, 35.0


def _blending_mask(mesh: FloatArray, shape: tuple[int, ...], width: float, rng: np.random.Generator) -> FloatArray:
    mask = hull_mask(mesh, (shape[0], shape[1]), rng)
    return soften(deform(mask, width, rng), width, rng)


def _shift_and_bend(image: ImageArray, width: float, center: FloatArray, rng: np.random.Generator) -> ImageArray:
    """Move by up to 3 % of the face's width, scale by up to 4 %, turn by up to 2°, and bend a little."""
    matrix = cv2.getRotationMatrix2D(
        (float(center[0]), float(center[1])), float(rng.uniform(-2.0, 2.0)), float(rng.uniform(0.96, 1.04))
    )
    matrix[:, 2] += rng.uniform(-0.03, 0.03, size=2) * width
    height, across = image.shape[:2]
    flow = smooth_field((height, across), cells=5, amplitude=width * float(rng.uniform(0.0, 0.008)), rng=rng)
    xs, ys = np.meshgrid(np.arange(across, dtype=np.float32), np.arange(height, dtype=np.float32))
    inverse = cv2.invertAffineTransform(matrix)
    map_x = inverse[0, 0] * xs + inverse[0, 1] * ys + inverse[0, 2] + flow[..., 0]
    map_y = inverse[1, 0] * xs + inverse[1, 1] * ys + inverse[1, 2] + flow[..., 1]
    bent = cv2.remap(
        image, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(bent, dtype=np.uint8)


def _with_expression(mesh: FloatArray, other: FloatArray, strength: float) -> FloatArray:
    """A mesh whose mouth, eyes, brows and jaw went towards the other's; ``strength`` 1 goes all the way."""
    fit, _ = cv2.estimateAffinePartial2D(other[_STILL], mesh[_STILL], method=cv2.LMEDS)
    if fit is None:
        fit = cv2.getAffineTransform(other[_STILL[:3]], mesh[_STILL[:3]])
    moved = mesh.copy()
    for name, share in _MOVES.items():
        points = list(REGIONS[name])
        wanted = other[points] @ fit[:, :2].T + fit[:, 2]
        moved[points] += strength * share * (wanted - mesh[points])
    return moved


def _fit(source: MeshedFace, target: MeshedFace, anchors: list[int], reach: float = 0.08) -> ImageArray:
    """Warp the source's face so that its anchors lie on the target's: a similarity, then a smooth remainder.

    The remainder is interpolated on a coarse grid with Gaussian weights, which is smooth and fast; an anchor's reaches
    as far as ``reach``, a share of the face's width.
    """
    ours, theirs = target.mesh[anchors], source.mesh[anchors]
    matrix, _ = cv2.estimateAffinePartial2D(ours, theirs, method=cv2.LMEDS)
    if matrix is None:
        matrix = cv2.getAffineTransform(ours[:3], theirs[:3])
    height, width = target.pixels.shape[:2]
    remainder = theirs - (ours @ matrix[:, :2].T + matrix[:, 2])
    cells = 24
    gx, gy = np.meshgrid(np.linspace(0, width - 1, cells), np.linspace(0, height - 1, cells))
    grid = np.stack([gx, gy], axis=-1).reshape(-1, 1, 2)
    sigma = face_width(target.mesh) * reach
    weights = np.exp(-((grid - ours[None]) ** 2).sum(axis=-1) / (2.0 * sigma**2))
    field = (weights @ remainder) / (weights.sum(axis=1, keepdims=True) + 0.05)
    flow = cv2.resize(field.reshape(cells, cells, 2).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    xs, ys = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    map_x = matrix[0, 0] * xs + matrix[0, 1] * ys + matrix[0, 2] + flow[..., 0]
    map_y = matrix[1, 0] * xs + matrix[1, 1] * ys + matrix[1, 2] + flow[..., 1]
    fitted = cv2.remap(
        source.pixels,
        map_x.astype(np.float32),
        map_y.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(fitted, dtype=np.uint8)


def _decoder_softness(image: ImageArray, width: float, rng: np.random.Generator) -> ImageArray:
    """Shrink to the 64–200 px faces that swap networks paint, and grow back; never enlarge first."""
    scale = min(1.0, float(rng.uniform(64.0, 200.0)) / max(width, 1.0))
    height, across = image.shape[:2]
    small = cv2.resize(
        image, (max(8, round(across * scale)), max(8, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (across, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
