"""What a backbone is told: its size, its width, and the conventions of the weights that it will hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SHRINK = "shrink"
"""The name of the layer that averages blocks of pixels, where a network begins with one."""

LEVELS = "levels"
"""The name of the layer that puts several levels of a network behind each other, where its head sees them."""


class Padding(StrEnum):
    """Where strided convolutions pad: on every side (torchvision), or on the far side only (TensorFlow)."""

    SYMMETRIC = "symmetric"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Mean and deviation of each RGB channel, on a scale of 0–1."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLUS_MINUS_ONE = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """The side of the square input in pixels, the width multiplier, and the conventions of the weights.

    ``epsilon`` is BatchNorm's: 1e-5 for networks from PyTorch, 1e-3 for those of ``keras.applications``. The first
    thing that the network does is to average blocks of ``shrink`` × ``shrink`` pixels.
    """

    size: int = 224
    alpha: float = 1.0
    padding: Padding = Padding.SYMMETRIC
    normalisation: Normalisation = IMAGENET
    epsilon: float = 1e-5
    shrink: int = 1
