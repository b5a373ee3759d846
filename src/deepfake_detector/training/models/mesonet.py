"""Meso-4 and MesoInception-4 (Afchar et al. 2018, "MesoNet"): 28,000 weights, early detectors and baselines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepfake_detector.training.models.spec import SHRINK, BackboneSpec

if TYPE_CHECKING:
    import keras

LAYERS = ((8, 3, 2), (8, 5, 2), (16, 5, 2), (16, 5, 4))
"""Filters, side of the kernel, and side of the pooling of each block: figure 3 of the paper, and its authors' code."""

DROPOUT = 0.5
UNITS = 16


INCEPTIONS = ((1, 4, 4, 2), (2, 4, 4, 2))
"""Filters of the four branches of each inception block of MesoInception-4: figure 4, and its authors' code."""


def build(spec: BackboneSpec) -> keras.Model:
    """Meso-4: input "image" (N, size, size, 3) uint8 RGB, output (N, 1, 1, 16 alpha) float32.

    The hidden layer of the paper's classifier is the last block here, as a convolution as large as its input: the same
    sum, so that with a linear head and dropout 0.5 this is the network of the paper (256 px there). It has no
    pretrained weights: train it from 'random', with ``train.batchnorm: learned``.
    """
    import keras

    image, x = _begin(spec)
    for number in range(1, len(LAYERS) + 1):
        x = _convolution(x, number, spec.alpha)
    return keras.Model(image, _classifier(x, spec.alpha), name="mesonet")


def build_inception(spec: BackboneSpec) -> keras.Model:
    """MesoInception-4: as Meso-4, but its first two convolutions are inception blocks."""
    import keras

    image, x = _begin(spec)
    for number, filters in enumerate(INCEPTIONS, start=1):
        x = _inception(x, f"block_{number}", [_width(one, spec.alpha) for one in filters])
        x = _closed(x, f"block_{number}", pool=2)
    # As in its authors' code: both of 16 filters and 5 x 5 pixels, as the last two of Meso-4.
    for number in range(len(INCEPTIONS) + 1, len(LAYERS) + 1):
        x = _convolution(x, number, spec.alpha)
    return keras.Model(image, _classifier(x, spec.alpha), name="mesoinception")


def _begin(spec: BackboneSpec) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    import keras

    image = keras.Input((spec.size, spec.size, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1.0 / 255.0, name="normalise")(image)
    return image, keras.layers.AveragePooling2D(spec.shrink, name=SHRINK)(x) if spec.shrink > 1 else x


def _convolution(x: keras.KerasTensor, number: int, alpha: float) -> keras.KerasTensor:
    import keras

    filters, kernel, pool = LAYERS[number - 1]
    convolution = keras.layers.Conv2D(
        _width(filters, alpha), kernel, padding="same", activation="relu", name=f"block_{number}_conv"
    )
    return _closed(convolution(x), f"block_{number}", pool)


def _inception(x: keras.KerasTensor, name: str, filters: list[int]) -> keras.KerasTensor:
    """Four views of different reach side by side: 1 × 1, and 3 × 3 with holes of 0, 1 and 2 pixels."""
    import keras

    views = []
    for reach, width in enumerate(filters):
        first = keras.layers.Conv2D(width, 1, padding="same", activation="relu", name=f"{name}_view_{reach}_1x1")
        view = first(x)
        if reach:
            second = keras.layers.Conv2D(
                width, 3, padding="same", dilation_rate=reach, activation="relu", name=f"{name}_view_{reach}_3x3"
            )
            view = second(view)
        views.append(view)
    return keras.layers.Concatenate(name=f"{name}_views")(views)


def _closed(x: keras.KerasTensor, name: str, pool: int) -> keras.KerasTensor:
    import keras

    x = keras.layers.BatchNormalization(epsilon=1e-3, name=f"{name}_BN")(x)
    return keras.layers.MaxPooling2D(pool, padding="same", name=f"{name}_pool")(x)


def _classifier(x: keras.KerasTensor, alpha: float) -> keras.KerasTensor:
    import keras

    x = keras.layers.Dropout(DROPOUT, name="block_5_dropout")(x)
    hidden = keras.layers.Conv2D(_width(UNITS, alpha), x.shape[1], name="block_5_dense")
    return keras.layers.LeakyReLU(0.1, name="block_5_leaky")(hidden(x))


def _width(filters: int, alpha: float) -> int:
    return max(1, round(filters * alpha))
