"""Vision Transformers (Dosovitskiy et al. 2021), plain Keras layers only: uint8 RGB in, a map of tokens out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.models.mobilenetv2 import normalise
from deepfake_detector.training.models.spec import PLUS_MINUS_ONE, SHRINK, BackboneSpec

if TYPE_CHECKING:
    import keras

PATCH = 16
DEPTH = 12
EPSILON = 1e-6
POSITIONS = "positions"
GRID = "grid"


@dataclass(frozen=True, slots=True)
class VisionTransformer:
    """``width`` of a token, and ``heads`` of attention in each of the twelve blocks."""

    name: str
    width: int
    heads: int

    def build(self, spec: BackboneSpec) -> keras.Model:
        """The backbone: input "image" (N, size, size, 3) uint8 RGB, output (N, h, h, width), h = size / shrink / 16.

        The class token takes part in attention, but the output is the map of the other tokens, whose mean is what
        the head sees: so the activation map adds up to the logit as in convolutional networks. Blocks are
        "block_1" … "block_12".
        """
        import keras

        image = keras.Input((spec.size, spec.size, 3), dtype="uint8", name="image")
        x = normalise(image, PLUS_MINUS_ONE)
        if spec.shrink > 1:
            x = keras.layers.AveragePooling2D(spec.shrink, name=SHRINK)(x)
        side = spec.size // spec.shrink // PATCH
        x = _embed(x, side, self.width)
        for number in range(1, DEPTH + 1):
            x = self._block(x, f"block_{number}")
        x = keras.layers.LayerNormalization(epsilon=EPSILON, name="norm")(x)
        x = keras.layers.Cropping1D((1, 0), name="without_class")(x)
        x = keras.layers.Reshape((side, side, self.width), name=GRID)(x)
        return keras.Model(image, x, name=self.name)

    def _block(self, x: keras.KerasTensor, name: str) -> keras.KerasTensor:
        """Attention, then two dense layers, each behind a LayerNormalization and beside a shortcut."""
        import keras

        normed = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm_1")(x)
        attention = keras.layers.MultiHeadAttention(self.heads, self.width // self.heads, name=f"{name}_attention")
        x = keras.layers.Add(name=f"{name}_add_1")([x, attention(normed, normed)])
        inside = keras.layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm_2")(x)
        inside = keras.layers.Dense(4 * self.width, "gelu", name=f"{name}_dense_1")(inside)
        inside = keras.layers.Dense(self.width, name=f"{name}_dense_2")(inside)
        return keras.layers.Add(name=f"{name}_add_2")([x, inside])


TINY = VisionTransformer("vit-tiny", 192, 3)
SMALL = VisionTransformer("vit-small", 384, 6)
BASE = VisionTransformer("vit-base", 768, 12)


def _embed(x: keras.KerasTensor, side: int, width: int) -> keras.KerasTensor:
    """Patches to tokens (N, 1 + side², width), the class token first.

    A bias of its own for each token is its position. The class token comes from an empty patch, so that all of it is
    in this bias. (The layer also scales channels, by 1 to begin with: Keras has none that only adds.)
    """
    import keras

    x = keras.layers.Conv2D(width, PATCH, PATCH, use_bias=False, name="patches")(x)
    x = keras.layers.Reshape((-1, width), name="tokens")(x)
    x = keras.layers.ZeroPadding1D((1, 0), name="class_patch")(x)
    positions = keras.layers.EinsumDense(
        "abc,c->abc",
        (1 + side * side, width),
        bias_axes="bc",
        kernel_initializer="ones",
        bias_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        name=POSITIONS,
    )
    return positions(x)


def resize_layer(layer: dict[str, Any], factor: float) -> None:
    """Change a layer's configuration in place to what it is for pictures whose side is ``factor`` times as long."""
    if layer["name"] == POSITIONS:
        tokens, width = layer["config"]["output_shape"]
        layer["config"]["output_shape"] = (1 + round((tokens - 1) * factor**2), width)
    elif layer["name"] == GRID:
        rows, columns, width = layer["config"]["target_shape"]
        layer["config"]["target_shape"] = (round(rows * factor), round(columns * factor), width)


def resized_positions(bias: NDArray[np.float32], tokens: int) -> NDArray[np.float32]:
    """Positions (1 + n, width), interpolated to (tokens, width); that of the class token stays."""
    import cv2

    old, new = math.isqrt(len(bias) - 1), math.isqrt(tokens - 1)
    planes = bias[1:].reshape(old, old, -1).transpose(2, 0, 1)
    # OpenCV resizes four channels at most at once.
    resized = [cv2.resize(np.ascontiguousarray(one), (new, new), interpolation=cv2.INTER_CUBIC) for one in planes]
    grid = np.stack(resized, axis=-1).reshape(new * new, -1)
    return np.concatenate([bias[:1], grid]).astype(np.float32)
