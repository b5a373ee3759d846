"""Heat maps of Keras networks: activation maps, LayerCAM, Grad-CAM, Grad-CAM++, input gradients, attention rollout."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.explanation import MapMethod
from deepfake_detector.core.types import FloatArray
from deepfake_detector.explain.maps import Crops
from deepfake_detector.training.models.network import FEATURE_MAP, VOICES, activation_map, has_activation_map, joined
from deepfake_detector.training.models.spec import LEVELS

if TYPE_CHECKING:
    import keras

AT_ONCE = 16
GRADIENT_CELL = 8
"""Pixels to a side over which input gradients are averaged: single pixels are noise (Smilkov et al. 2017)."""


class KerasMaps:
    """Makes maps of the fake logit with one of the methods below; ``layer`` is the one whose channels are weighted."""

    def __init__(self, network: keras.Model, method: MapMethod, layer: str = FEATURE_MAP) -> None:
        if method not in METHODS:
            raise ConfigError(f"{method.value} is no method for a Keras network; choose one of {', '.join(METHODS)}")
        self.method = method
        self._network = network
        self._layer = layer

    def maps(self, crops: Crops) -> FloatArray:
        """Crops (N, S, S, 3), uint8 RGB → maps (N, h, w), float32."""
        begins = range(0, len(crops), AT_ONCE)
        return np.concatenate(
            [METHODS[self.method](self._network, crops[begin : begin + AT_ONCE], self._layer) for begin in begins]
        )


def network_of(run: Path) -> keras.Model:
    """The final network of a training run. Raises ConfigError if there is none."""
    import keras

    from deepfake_detector.training.checkpoint import FINAL_FILE
    from deepfake_detector.training.run import RunFolder

    file = RunFolder(run).checkpoints / FINAL_FILE
    if not file.is_file():
        raise ConfigError(f"{run} has no finished network ({file.name}); give the folder of a run that is done")
    network: keras.Model = keras.models.load_model(file, compile=False)
    return network


def class_activation(network: keras.Model, crops: Crops, layer: str = FEATURE_MAP) -> FloatArray:
    """The map that the model file has, too; see ``models.network.activation_map``.

    Raises ConfigError for a head with hidden layers.
    """
    if not has_activation_map(network):
        raise ConfigError("an activation map needs a linear head; take grad-cam for this network")
    import keras
    import tensorflow as tf

    names = [layer, *([VOICES] if joined(network) else [])]
    parts = keras.Model(network.input, [network.get_layer(name).output for name in names])
    found = parts(tf.convert_to_tensor(crops), training=False)
    return np.asarray(activation_map(network, *(found if joined(network) else [found])), dtype=np.float32)


def layer_cam(network: keras.Model, crops: Crops, layer: str = FEATURE_MAP) -> FloatArray:
    """Channels times their positive gradients, before the last halving of the picture (LayerCAM, Jiang et al. 2021).

    Of a joined network the sum over its branches. ``explain.gradient`` makes the same of an ONNX graph, moved to the
    mean of the activation map. ``layer`` is not used.
    Raises ConfigError for a network that halves nothing.
    """
    import keras
    import tensorflow as tf

    upto = keras.Model(network.input, [*_before_last_halving(network), network.output["fake"]])
    with tf.GradientTape() as tape:
        *features, logits = upto(tf.convert_to_tensor(crops), training=False)
        total = tf.reduce_sum(logits)
    gradients = tape.gradient(total, features)
    maps = [
        (one * tf.nn.relu(gradient)).numpy().sum(axis=3) * (one.shape[1] * one.shape[2])
        for one, gradient in zip(features, gradients, strict=True)
    ]
    side = max(one.shape[1] for one in maps)
    times = [side // one.shape[1] for one in maps]
    repeated = [one.repeat(by, axis=1).repeat(by, axis=2) for one, by in zip(maps, times, strict=True)]
    return np.asarray(np.sum(repeated, axis=0), dtype=np.float32)


def grad_cam(network: keras.Model, crops: Crops, layer: str = FEATURE_MAP) -> FloatArray:
    """Channels weighted by their mean gradient, negative sums cut off (Selvaraju et al. 2017)."""
    features, gradients = _features_and_gradients(network, crops, layer)
    weights = gradients.mean(axis=(1, 2), keepdims=True)
    return np.asarray(np.maximum((features * weights).sum(axis=3), 0.0), dtype=np.float32)


def grad_cam_plus_plus(network: keras.Model, crops: Crops, layer: str = FEATURE_MAP) -> FloatArray:
    """Channels weighted by their positive gradients, each place by how alone it stands (Chattopadhay et al. 2018)."""
    features, gradients = _features_and_gradients(network, crops, layer)
    squared, cubed = gradients**2, gradients**3
    below = 2.0 * squared + features.sum(axis=(1, 2), keepdims=True) * cubed
    alone = np.divide(squared, below, out=np.zeros_like(below), where=np.abs(below) > np.finfo(np.float32).tiny)
    weights = (alone * np.maximum(gradients, 0.0)).sum(axis=(1, 2), keepdims=True)
    return np.asarray(np.maximum((features * weights).sum(axis=3), 0.0), dtype=np.float32)


def input_gradient(network: keras.Model, crops: Crops, layer: str = FEATURE_MAP) -> FloatArray:
    """How strongly the logit reacts to each place (Simonyan et al. 2014), the mean over squares of 8 × 8 pixels.

    The absolute gradient, the largest of the three channels. ``layer`` is not used: it is the input that counts.
    """
    import tensorflow as tf

    pixels = tf.convert_to_tensor(crops, dtype=tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        logit = tf.reduce_sum(_with_float_input(network)(pixels, training=False)["fake"])
    strength = np.abs(tape.gradient(logit, pixels).numpy()).max(axis=3)
    cells = max(1, crops.shape[1] // GRADIENT_CELL)
    pooled = [cv2.resize(one, (cells, cells), interpolation=cv2.INTER_AREA) for one in strength]
    return np.stack(pooled).astype(np.float32)


def attention_rollout(network: keras.Model, crops: Crops, layer: str = FEATURE_MAP) -> FloatArray:
    """How much of each patch flows into the pooled tokens of a transformer (Abnar & Zuidema 2020); each map sums to 1.

    The attention of a block is the mean over its heads; half of what goes on is the shortcut beside it. A class token
    counts as a way for the others, but is not in the map. It says where the network looks, not which way it decides.
    ``layer`` is the one whose height and width the map has. Raises ConfigError for a network without attention.
    """
    import keras
    import tensorflow as tf

    attentions = [one for one in network.layers if isinstance(one, keras.layers.MultiHeadAttention)]
    if not attentions:
        raise ConfigError("attention rollout needs a transformer, such as vit-tiny; take grad-cam for this network")
    entries = keras.Model(network.input, [one.input[0] for one in attentions])(tf.convert_to_tensor(crops))
    _, height, width, _ = network.get_layer(layer).output.shape
    flow: Any = np.eye(attentions[0].input[0].shape[1], dtype=np.float32)
    for attention, tokens in zip(attentions, _listed(entries), strict=True):
        _, weights = attention(tokens, tokens, return_attention_scores=True)  # (N, heads, tokens, tokens)
        flow = (0.5 * weights.numpy().mean(axis=1) + 0.5 * np.eye(weights.shape[-1], dtype=np.float32)) @ flow
    pooled = flow[:, -height * width :, -height * width :].mean(axis=1)
    return np.asarray((pooled / pooled.sum(axis=1, keepdims=True)).reshape(-1, height, width), dtype=np.float32)


METHODS: Mapping[MapMethod, Callable[..., FloatArray]] = {
    MapMethod.LAYER_CAM: layer_cam,
    MapMethod.CAM: class_activation,
    MapMethod.GRAD_CAM: grad_cam,
    MapMethod.GRAD_CAM_PLUS_PLUS: grad_cam_plus_plus,
    MapMethod.GRADIENT: input_gradient,
    MapMethod.ROLLOUT: attention_rollout,
}
"""Each takes a network, crops (N, S, S, 3), and the name of the layer whose channels are weighted."""


def _listed(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _before_last_halving(network: keras.Model) -> list[Any]:
    """For each branch (one, if the network is not joined) the tensor that its last strided convolution takes.

    Not of branches whose head sees several levels: most of what it sees lies before.
    """
    import keras

    strided: dict[str, Any] = {}
    for layer in network.layers:
        branch = found.group() if (found := re.match(r"branch_\d+_", layer.name)) else ""
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D) and max(layer.strides) > 1:
            strided[branch] = layer
        if layer.name == f"{branch}{LEVELS}":
            strided.pop(branch, None)
    if not strided:
        raise ConfigError("the network has no strided convolution, before which its map could be finer; take cam")
    entries = []
    for layer in strided.values():
        before = layer.input._keras_history.operation
        entries.append(before.input if isinstance(before, keras.layers.ZeroPadding2D) else layer.input)
    return entries


def _features_and_gradients(network: keras.Model, crops: Crops, layer: str) -> tuple[Any, Any]:
    """The layer's output (N, h, w, c) and the fake logit's gradient with respect to it."""
    import keras
    import tensorflow as tf

    upto = keras.Model(network.input, [network.get_layer(layer).output, network.output["fake"]])
    with tf.GradientTape() as tape:
        features, logits = upto(tf.convert_to_tensor(crops), training=False)
        total = tf.reduce_sum(logits)  # each crop's logit depends on its own features only
    gradients = tape.gradient(total, features)
    if gradients is None:
        raise ConfigError(f"the fake logit does not depend on the layer {layer!r}")
    return features.numpy(), gradients.numpy()


def _with_float_input(network: keras.Model) -> keras.Model:
    """A copy whose input is float32: whole numbers have no gradient."""
    import keras

    image = keras.Input(network.input_shape[1:], dtype="float32", name="image")
    copy: keras.Model = keras.models.clone_model(network, input_tensors=image)
    copy.set_weights(network.get_weights())
    return copy
