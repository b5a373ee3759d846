"""Meso-4 (Afchar et al. 2018, "MesoNet"): four convolutions of 28,000 weights, an early detector and a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepfake_detector.training.models.spec import BackboneSpec

if TYPE_CHECKING:
    import keras

LAYERS = ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4))
"""Filters, side of the kernel, and side of the pooling of each block: figure 3 of the paper, and its authors' code."""

DROPOUT = 0.5
UNITS = 16


def build(spec: BackboneSpec) -> keras.Model:
    """The backbone: input "image" (N, size, size, 3) uint8 RGB, output (N, 1, 1, 16 alpha) float32.

    The hidden layer of the paper's classifier is the last block here, as a convolution as large as its input: the same
    sum, so that with a linear head and dropout 0.5 this is the network of the paper (256 px there). It has no
    pretrained weights: train it from 'random', with ``train.batchnorm: learned``.
    """
    import keras

    image = keras.Input((spec.size, spec.size, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1.0 / 255.0, name="normalise")(image)
    for number, (filters, kernel, pool) in enumerate(LAYERS, start=1):
        name = f"block_{number}"
        width = max(1, round(filters * spec.alpha))
        x = keras.layers.Conv2D(width, kernel, padding="same", activation="relu", name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_BN")(x)
        x = keras.layers.MaxPooling2D(pool, padding="same", name=f"{name}_pool")(x)
    x = keras.layers.Dropout(DROPOUT, name="block_5_dropout")(x)
    hidden = keras.layers.Conv2D(max(1, round(UNITS * spec.alpha)), x.shape[1], name="block_5_dense")
    x = keras.layers.LeakyReLU(0.1, name="block_5_leaky")(hidden(x))
    return keras.Model(image, x, name="mesonet")
