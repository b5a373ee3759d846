"""The value types of an explanation: where the evidence lies, how stable the score is, what to be careful about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray


class MapMethod(StrEnum):
    """How a heat map is made."""

    LAYER_CAM = "layer-cam"
    CAM = "cam"
    OCCLUSION = "occlusion"
    GRAD_CAM = "grad-cam"
    GRAD_CAM_PLUS_PLUS = "grad-cam++"
    GRADIENT = "gradient"
    ROLLOUT = "attention-rollout"


@dataclass(frozen=True, slots=True)
class Heatmap:
    """Where in a face the evidence lies: a grid over the square that the network looked at.

    ``values`` are rows from top to bottom; positive speaks for fake. With ``layer-cam`` and ``cam`` they are in raw
    logits and average to the fake logit (of a single network: without its bias); with ``occlusion`` each is what the
    fake logit loses when the cell is covered; with ``attention-rollout`` they are shares of attention, which speak for
    neither side; the other methods have no unit. ``corners`` are those of the square, (x, y) in pixels of the upright
    picture: top left, top right, bottom right, bottom left; the square may lean, and may reach out of the picture.
    """

    method: MapMethod
    values: tuple[tuple[float, ...], ...]
    corners: tuple[tuple[float, float], ...]

    def as_array(self) -> NDArray[np.float32]:
        """Shape (rows, columns), float32."""
        return np.asarray(self.values, dtype=np.float32)

    @property
    def limit(self) -> float:
        """The largest absolute value: the end of the scale, on both sides."""
        return float(np.abs(self.as_array()).max(initial=0.0))


class FacePart(StrEnum):
    """A part of what the network looked at; each pixel belongs to exactly one."""

    EYES = "eyes"
    NOSE = "nose"
    MOUTH = "mouth"
    SKIN = "skin"
    OUTLINE = "outline"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True)
class PartShare:
    """How much of the evidence for fake lies in a part, and how much of the area the part takes; both 0–1."""

    part: FacePart
    evidence: float
    area: float


@dataclass(frozen=True, slots=True)
class Reencoding:
    """The probability of fake, 0–1 at the report's prior, after saving the face again in a light way."""

    name: str
    p_fake: float


@dataclass(frozen=True, slots=True)
class Nearness:
    """How far a face is from those that the model knows: ``distance`` is about 1 for one of them.

    A share ``beyond`` (0–1) of the known faces lies farther away than ``limit``.
    """

    distance: float
    limit: float
    beyond: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What can be said of one face beside its score.

    ``parts`` is empty where no face mesh fits, or where nothing in the map speaks for fake; ``reencodings`` say how
    the score moves under changes that make no picture fake; ``nearness`` is None where the model cannot tell it.
    """

    parts: tuple[PartShare, ...] = ()
    reencodings: tuple[Reencoding, ...] = ()
    nearness: Nearness | None = None


class CautionName(StrEnum):
    """A named reason to trust a score less; measured, and no verdict."""

    BEAUTY_FILTER = "beauty_filter"
    DRAWING = "drawing"
    COVERED_FACE = "covered_face"
    SCREENSHOT = "screenshot"
    STRONG_COMPRESSION = "strong_compression"


@dataclass(frozen=True, slots=True)
class Caution:
    """A reason to be careful; ``face`` counts from 0, None for the whole picture; ``detail`` is what was measured."""

    name: CautionName
    detail: str
    face: int | None = None


@dataclass(frozen=True, slots=True)
class CloseUp:
    """A face as it is and with its map, RGB, uint8, of one size; ``limit`` is the end of the scale, on both sides.

    ``scale`` is a strip of the colours, from ``-limit`` to ``limit``.
    """

    plain: NDArray[np.uint8]
    overlay: NDArray[np.uint8]
    scale: NDArray[np.uint8]
    limit: float
    method: MapMethod


@dataclass(frozen=True, slots=True)
class ForensicView:
    """A picture of something that the eye does not see in the original, RGB, uint8, and what it does and does not say.

    It is a view and no verdict: no score uses it.
    """

    name: str
    title: str
    note: str
    picture: NDArray[np.uint8]
