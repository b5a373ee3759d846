"""MobileNetV2 (Sandler et al. 2018): uint8 RGB in, a feature map out, normalisation included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepfake_detector.training.models.spec import LEVELS, SHRINK, BackboneSpec, Normalisation, Padding

if TYPE_CHECKING:
    import keras

# Expansion, channels, repeats and first stride of each stage: table 2 of the paper.
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

ENDS = ("expanded_conv_project_BN", "block_2_add", "block_5_add", "block_9_add", "block_12_add", "out_relu")
"""Ends of stages, from half of the input's resolution to a thirty-second."""


def build(spec: BackboneSpec) -> keras.Model:
    """The backbone: input "image" (N, size, size, 3) uint8 RGB, output (N, h, h, channels), h = size / shrink / 32.

    Layers are named as in ``keras.applications.MobileNetV2``, so that its weights fit by name; blocks are
    "block_1" … "block_16". ``Padding.SYMMETRIC`` pads strided convolutions by one pixel on every side, as
    torchvision does, and ``Padding.SAME`` on the far side only, as ``keras.applications`` does: weights fit only
    the padding that they were trained with.
    """
    import keras

    image = keras.Input((spec.size, spec.size, 3), dtype="uint8", name="image")
    x = normalise(image, spec.normalisation)
    if spec.shrink > 1:
        x = keras.layers.AveragePooling2D(spec.shrink, name=SHRINK)(x)
    x = _convolve(x, "Conv1", spec, filters=_divisible(32 * spec.alpha), stride=2)
    x = _normalised(x, "bn_Conv1", spec, relu="Conv1_relu")
    number = 0
    for expansion, channels, repeats, first_stride in STAGES:
        for repeat in range(repeats):
            name = f"block_{number}" if number else "expanded_conv"
            stride = first_stride if repeat == 0 else 1
            x = _block(x, name, spec, (expansion, _divisible(channels * spec.alpha), stride))
            number += 1
    last = keras.layers.Conv2D(_divisible(1280 * max(1.0, spec.alpha)), 1, use_bias=False, name="Conv_1")
    x = _normalised(last(x), "Conv_1_bn", spec, relu="out_relu")
    return keras.Model(image, x, name="mobilenetv2")


def build_levels(spec: BackboneSpec) -> keras.Model:
    """The same network, whose map has six of its levels, from early to last, averaged to the cells of the last one.

    (N, h, h, 1512) at full width. For a linear head on a frozen network: what the late levels have dropped, the early
    ones still say.
    """
    import keras

    body = build(spec)
    side = body.output.shape[1]
    maps = [
        keras.layers.AveragePooling2D(found.shape[1] // side, name=f"level_{number}")(found)
        for number, found in enumerate((body.get_layer(name).output for name in ENDS), 1)
    ]
    return keras.Model(body.input, keras.layers.Concatenate(name=LEVELS)(maps), name="mobilenetv2_levels")


def normalise(image: keras.KerasTensor, how: Normalisation) -> keras.KerasTensor:
    """Turn uint8 RGB, 0–255, into what the weights were trained on, inside the graph."""
    import keras

    scale = [1.0 / (255.0 * deviation) for deviation in how.deviation]
    offset = [-mean / deviation for mean, deviation in zip(how.mean, how.deviation, strict=True)]
    return keras.layers.Rescaling(scale, offset, name="normalise")(image)


def _block(x: keras.KerasTensor, name: str, spec: BackboneSpec, shape: tuple[int, int, int]) -> keras.KerasTensor:
    """An inverted residual: expand, filter each channel by itself, project; ``shape``: expansion, channels, stride."""
    import keras

    expansion, channels, stride = shape
    inside = x
    if expansion != 1:
        expand = keras.layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}_expand")
        inside = _normalised(expand(x), f"{name}_expand_BN", spec, relu=f"{name}_expand_relu")
    inside = _convolve(inside, f"{name}_depthwise", spec, filters=None, stride=stride)
    inside = _normalised(inside, f"{name}_depthwise_BN", spec, relu=f"{name}_depthwise_relu")
    project = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")
    inside = _normalised(project(inside), f"{name}_project_BN", spec, relu=None)
    if stride == 1 and x.shape[-1] == channels:
        inside = keras.layers.Add(name=f"{name}_add")([x, inside])
    return inside


def _convolve(
    x: keras.KerasTensor, name: str, spec: BackboneSpec, filters: int | None, stride: int
) -> keras.KerasTensor:
    """A 3 × 3 convolution; depthwise where ``filters`` is None."""
    import keras

    padding = "same"
    if stride == 2 and spec.padding is Padding.SYMMETRIC:
        x = keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        padding = "valid"
    if filters is None:
        return keras.layers.DepthwiseConv2D(3, stride, padding=padding, use_bias=False, name=name)(x)
    return keras.layers.Conv2D(filters, 3, stride, padding=padding, use_bias=False, name=name)(x)


def _normalised(x: keras.KerasTensor, name: str, spec: BackboneSpec, relu: str | None) -> keras.KerasTensor:
    import keras

    x = keras.layers.BatchNormalization(epsilon=spec.epsilon, momentum=0.999, name=name)(x)
    return x if relu is None else keras.layers.ReLU(6.0, name=relu)(x)


def _divisible(channels: float, by: int = 8) -> int:
    """The nearest multiple of ``by`` that is no more than a tenth below, as the paper's authors round."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded
