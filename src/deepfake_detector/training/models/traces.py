"""A shallow network without early pooling, for native pixels: it looks for what a generator's up-sampling leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.models.spec import BackboneSpec

if TYPE_CHECKING:
    import keras

BLOCKS = ((32, 1), (32, 1), (64, 2), (96, 2), (128, 2))
"""Filters and stride of each convolution; pixels are looked at one by one twice before any is left out."""

TRUNCATION = 4.0
"""Levels of 0–255 at which a residual begins to be cut: traces are faint, and edges are not."""


def srm_filters() -> NDArray[np.float32]:
    """Three residual filters, (5, 5, 3): how a pixel differs from what its neighbours, near and far, would make it.

    From the "spatial rich model" of Fridrich & Kodovsky 2012, in the choice of Zhou et al. 2018.
    """
    line = np.zeros((5, 5))
    line[2, 1:4] = (1, -2, 1)
    near = np.zeros((5, 5))
    near[1:4, 1:4] = ((-1, 2, -1), (2, -4, 2), (-1, 2, -1))
    far = np.array(
        ((-1, 2, -2, 2, -1), (2, -6, 8, -6, 2), (-2, 8, -12, 8, -2), (2, -6, 8, -6, 2), (-1, 2, -2, 2, -1)), dtype=float
    )
    return np.stack([line / 2.0, near / 4.0, far / 12.0], axis=-1).astype(np.float32)


def build(spec: BackboneSpec) -> keras.Model:
    """The backbone: input "image" (N, size, size, 3) uint8 RGB, output (N, size / 8, size / 8, 128 alpha) float32.

    The first layer takes the residuals of each colour; it begins as ``srm_filters`` and learns on from there. It is
    made for crops of 96 to 128 px that were not resized (``data.crop: native``). It has no pretrained weights: train it
    from 'random', with ``train.batchnorm: learned``.
    """
    import keras

    image = keras.Input((spec.size, spec.size, 3), dtype="uint8", name="image")
    kernels = srm_filters()
    residual = keras.layers.DepthwiseConv2D(
        5, depth_multiplier=kernels.shape[-1], padding="same", use_bias=False, name="block_0_residual"
    )
    x = keras.layers.Rescaling(1.0 / TRUNCATION, name="normalise")(image)
    x = keras.layers.Activation("tanh", name="block_0_cut")(residual(x))
    residual.set_weights([np.repeat(kernels[:, :, None, :], 3, axis=2)])
    for number, (filters, stride) in enumerate(BLOCKS, start=1):
        name, width = f"block_{number}", max(1, round(filters * spec.alpha))
        x = keras.layers.Conv2D(width, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_BN")(x)
        x = keras.layers.ReLU(6.0, name=f"{name}_relu")(x)
    return keras.Model(image, x, name="traces")
