"""How sharp a picture is, and how much rarer one kind of fake is taken to be where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

MIDDLE = 5
"""A fifth of the picture is left out at each side: what is behind a face may be out of focus."""

LEVELS = 3
"""Octaves that are looked at: the finest is compared with the last."""

_LEAST = 1e-3
"""Added to an octave's energy, in squared levels of 0–255: a single colour has none."""


@dataclass(frozen=True, slots=True)
class Softness:
    """Down to the sharpness ``begins`` nothing changes; ``over`` further down the voice counts as ``times`` rarer.

    What a generator leaves lies in fine detail. Where there is none, that voice speaks at random, and what it says by
    chance would drown the others.
    """

    voice: int
    times: float
    begins: float
    over: float

    def share(self, image: Any) -> Any:
        """(N, S, S, 3) uint8 RGB → (N, 1): how soft each picture counts, 0–1."""
        import keras

        soft = (self.begins - sharpness(image)) / self.over
        return keras.ops.expand_dims(keras.ops.clip(soft, 0.0, 1.0), 1)

    def cost(self, voices: int) -> list[float]:
        """What a picture that is soft altogether costs each voice, in natural logarithms of the odds."""
        return [math.log(self.times) if voice == self.voice else 0.0 for voice in range(voices)]


def sharpness(image: Any) -> Any:
    """(N, S, S, 3) RGB of 0–255 → (N,): log10 of the energy of the finest octave over that two octaves below.

    Of the middle of the picture, in grey. An octave is what a blur over 5 × 5 pixels takes away; the blurred picture is
    halved for the next one, as in a Laplacian pyramid (Burt & Adelson 1983). Blur, enlargement and strong compression
    lower it.
    """
    import keras

    ops = keras.ops
    side = image.shape[1]
    edge = side // MIDDLE
    grey = ops.mean(ops.cast(image[:, edge : side - edge, edge : side - edge, :], "float32"), axis=3, keepdims=True)
    energies = []
    for _ in range(LEVELS):
        blurred = ops.average_pool(ops.average_pool(grey, 3, strides=1), 3, strides=1)
        energies.append(ops.mean(ops.square(grey[:, 2:-2, 2:-2, :] - blurred), axis=(1, 2, 3)) + _LEAST)
        grey = ops.average_pool(blurred, 2, strides=2)
    return ops.log10(energies[0]) - ops.log10(energies[-1])
