"""Several trained networks side by side on one picture; the most suspicious voice among them speaks for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError, WeightsError
from deepfake_detector.training.models.network import (
    BRANCH_MAPS,
    FAKE,
    FEATURE_MAP,
    FEATURES,
    KIND,
    VOICES,
    linear_head,
)
from deepfake_detector.training.models.softness import Softness

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mixture:
    """How B logits become one logit: the sum of ``weights`` (B,) times them, plus ``bias``."""

    weights: Floats
    bias: float

    def of(self, logits: Floats) -> Floats:
        """Logits (N, B) → (N,)."""
        mixed: Floats = logits @ self.weights + self.bias
        return mixed


@dataclass(frozen=True, slots=True)
class SoftMaximum:
    """How B logits become V voices, logits · ``weights`` (B, V) + ``offsets`` (V,), and these one: log of sum of exp.

    If each voice alone gave the odds of one kind of fake against a photo, these would be the odds of any of them.
    """

    weights: Floats
    offsets: Floats

    def of(self, logits: Floats, less: Floats | float = 0.0) -> Floats:
        """Logits (N, B) → (N,); ``less`` (N, V) is taken from the voices."""
        found: Floats = np.logaddexp.reduce(logits @ self.weights + self.offsets - less, axis=1)
        return found


def joined_network(
    branches: Sequence[keras.Model], fake: SoftMaximum, kind: Mixture, soft: Softness | None = None
) -> keras.Model:
    """One network: its fake logit is the soft maximum of its branches', its kind logit a mixture of them.

    The branches must have linear heads and take pictures of one size. The channels of their feature maps are put behind
    each other; the cells of a smaller map are repeated, which leaves its mean, and so the logit, as it is. The layer
    ``branch_maps`` (N, h, w, V) has the activation map of each voice, whose mean, in the layer ``voices`` (N, V), is
    the voice, less what ``soft`` takes from it.
    BatchNormalization is folded into the convolution before it, and weights are rounded to half precision (they stay
    float32 variables), so that a model file can keep them in half the space. Raises ConfigError.
    """
    import keras

    _check(branches)
    image = keras.Input(branches[0].input_shape[1:], dtype="uint8", name="image")
    parts = [_folded(branch, image, f"branch_{number}") for number, branch in enumerate(branches, 1)]
    side = max(found.shape[1] for found in parts)
    feature_map = keras.layers.Concatenate(name=FEATURE_MAP)([_repeated(found, side) for found in parts])
    features = keras.layers.GlobalAveragePooling2D(name=FEATURES)(feature_map)
    maps = keras.layers.Conv2D(len(fake.offsets), 1, name=BRANCH_MAPS)
    evidence = maps(feature_map)
    if soft:
        cost = keras.layers.Dense(len(fake.offsets), use_bias=False, name="softness")
        less = keras.layers.Reshape((1, 1, len(fake.offsets)))(cost(soft.share(image)))
        evidence = keras.layers.Subtract()([evidence, less])
        cost.set_weights([np.array([soft.cost(len(fake.offsets))], dtype=np.float32)])
    logits = keras.layers.GlobalAveragePooling2D(name=VOICES)(evidence)
    head = keras.layers.Dense(1, name=KIND)
    outputs = {
        "fake": keras.ops.logsumexp(logits, axis=1),
        "kind": keras.layers.Reshape((), name=f"{KIND}_flat")(head(features)),
    }
    maps.set_weights(_voices(branches, fake))
    head.set_weights(_mixed_head(branches, kind))
    return keras.Model(image, outputs, name="joined_detector")


def _voices(branches: Sequence[keras.Model], fake: SoftMaximum) -> list[NDArray[np.float32]]:
    """Kernel (1, 1, channels of all branches, V), and bias (V,)."""
    heads = [branch.get_layer(FAKE).get_weights() for branch in branches]
    kernel = np.concatenate([own * weights for (own, _), weights in zip(heads, fake.weights, strict=True)])
    bias = np.concatenate([own for _, own in heads]) @ fake.weights + fake.offsets
    return [kernel[None, None].astype(np.float32), bias.astype(np.float32)]


def _check(branches: Sequence[keras.Model]) -> None:
    if not all(linear_head(branch) for branch in branches):
        raise ConfigError("only networks with a linear head can be joined; train the branches with head: linear")
    inputs = sorted({branch.input_shape[1] for branch in branches})
    if len(inputs) != 1:
        raise ConfigError(
            f"the branches take pictures of {inputs} px; train them with one data.size (see model.shrink)"
        )
    sides = sorted({branch.get_layer(FEATURE_MAP).output.shape[1] for branch in branches})
    if any(sides[-1] % side for side in sides):
        raise ConfigError(f"the branches' feature maps have the sides {sides}; the largest must be a multiple of all")


def _repeated(feature_map: keras.KerasTensor, side: int) -> keras.KerasTensor:
    import keras

    times = side // feature_map.shape[1]
    return keras.layers.UpSampling2D(times)(feature_map) if times > 1 else feature_map


def _mixed_head(branches: Sequence[keras.Model], mixture: Mixture) -> list[NDArray[np.float32]]:
    kernels, bias = [], mixture.bias
    for branch, weight in zip(branches, mixture.weights, strict=True):
        kernel, own_bias = branch.get_layer(FAKE).get_weights()
        kernels.append(weight * kernel)
        bias += float(weight * own_bias[0])
    return [np.concatenate(kernels).astype(np.float32), np.array([bias], dtype=np.float32)]


def _folded(branch: keras.Model, image: keras.KerasTensor, prefix: str) -> keras.KerasTensor:
    """The branch's feature map of ``image``, built anew from layers of its own without BatchNormalization."""
    import keras

    after = {id(convolution): norm for norm, convolution in _norms(branch)}
    body = keras.Model(branch.input, branch.get_layer(FEATURE_MAP).output)
    made = {id(body.inputs[0]): image}
    for layer in body.layers:  # in the order of the graph
        if isinstance(layer, keras.layers.InputLayer):
            continue
        entry = [made[id(tensor)] for tensor in _listed(layer.input)]
        if isinstance(layer, keras.layers.BatchNormalization):
            made[id(layer.output)] = entry[0]
            continue
        norm = after.get(id(layer))
        changed = {"name": f"{prefix}_{layer.name}"} | ({"use_bias": True} if norm else {})
        copy = type(layer).from_config({**layer.get_config(), **changed})
        made[id(layer.output)] = copy(entry if len(entry) > 1 else entry[0])
        copy.set_weights([_half(array) for array in (_with_norm(layer, norm) if norm else layer.get_weights())])
    return made[id(body.outputs[0])]


def _listed(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _norms(branch: keras.Model) -> list[tuple[Any, Any]]:
    """Each BatchNormalization and the convolution that it follows. Raises WeightsError if it follows anything else."""
    import keras

    found = []
    for layer in branch.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        before = layer.input._keras_history.operation
        if not isinstance(before, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) or before.activation not in (
            None,
            keras.activations.linear,
        ):
            raise WeightsError(f"{layer.name} does not follow a plain convolution; this backbone cannot be joined")
        found.append((layer, before))
    return found


def _with_norm(convolution: keras.Layer, norm: keras.layers.BatchNormalization) -> list[NDArray[np.float32]]:
    """Kernel and bias of the convolution that does what both layers do (in inference mode)."""
    import keras

    gamma, beta, mean, variance = (np.asarray(array, dtype=np.float64) for array in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    kernel, *bias = convolution.get_weights()
    depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
    shaped = scale[:, None] if depthwise else scale  # kernels: height, width, channel, 1; or height, width, in, out
    return [kernel * shaped, beta + ((bias[0] if bias else 0.0) - mean) * scale]


def _half(array: NDArray[Any]) -> NDArray[np.float32]:
    return array.astype(np.float16).astype(np.float32)
