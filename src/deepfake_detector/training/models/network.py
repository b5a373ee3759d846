"""Backbone, pooling and heads: the network that is trained, and its parts by name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.models import ALL, BACKBONES, Backbone, find_backbone
from deepfake_detector.training.models.spec import BackboneSpec

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

FEATURE_MAP = "feature_map"
FEATURES = "features"
FAKE = "fake_logit"
KIND = "kind_logit"
BRANCH_MAPS, VOICES = "branch_maps", "voices"
SUFFIX = "_detector"
OWN = "own"
SETTLING_BATCHES = 24
SETTLING_MOMENTUM = 0.8


@dataclass(frozen=True, slots=True)
class HeadSpec:
    """Hidden layers between pooling and logits (none: a linear head), dropout before each layer, weight decay (L2)."""

    dense: tuple[int, ...] = ()
    dropout: float = 0.2
    l2: float = 0.0


def build_network(backbone: str, spec: BackboneSpec, head: HeadSpec) -> keras.Model:
    """Image (N, S, S, 3) uint8 RGB → {"fake": (N,), "kind": (N,)} logits; positive is fake, and generated.

    Raises ConfigError for a backbone that does not exist, or not in this width.
    """
    import keras

    found = find_backbone(backbone)
    least, most = found.widths
    if not least <= spec.alpha <= most:
        widths = "has one width only; set model.alpha to 1" if least == most else f"takes {least:g}–{most:g}"
        raise ConfigError(f"model.alpha is {spec.alpha:g}, but the backbone {backbone} {widths}")
    body = found.build(spec)
    feature_map = keras.layers.Identity(name=FEATURE_MAP)(body.output)
    x = keras.layers.GlobalAveragePooling2D(name=FEATURES)(feature_map)
    if head.dropout:
        x = keras.layers.Dropout(head.dropout, name="dropout")(x)
    decay = keras.regularizers.L2(head.l2) if head.l2 else None
    for number, units in enumerate(head.dense, 1):
        dense = keras.layers.Dense(units, "relu", kernel_regularizer=decay, name=f"dense_{number}")
        x = dense(x)
        if head.dropout:
            x = keras.layers.Dropout(head.dropout, name=f"dropout_{number}")(x)
    outputs = {}
    for key, name in (("fake", FAKE), ("kind", KIND)):
        logit = keras.layers.Dense(1, kernel_regularizer=decay, name=name)(x)
        outputs[key] = keras.layers.Reshape((), name=f"{name}_flat")(logit)
    name = backbone if backbone in BACKBONES else OWN
    return keras.Model(body.input, outputs, name=f"{name}{SUFFIX}")


def features_model(network: keras.Model) -> keras.Model:
    """The part from the image to the pooled features (N, d)."""
    import keras

    return keras.Model(network.input, network.get_layer(FEATURES).output, name="features_model")


def head_model(network: keras.Model) -> keras.Model:
    """The part from the pooled features (N, d) to the logits; it shares its layers with the network."""
    import keras

    return keras.Model(network.get_layer(FEATURES).output, network.output, name="head_model")


def head_layers(network: keras.Model) -> list[keras.Layer]:
    """The layers behind the pooling; none for a backbone by itself."""
    names = [layer.name for layer in network.layers]
    return list(network.layers[names.index(FEATURES) + 1 :]) if FEATURES in names else []


def linear_head(network: keras.Model) -> bool:
    """True if nothing but dropout lies between the pooled features and the logits."""
    return not any(layer.name.startswith("dense_") or layer.name == BRANCH_MAPS for layer in network.layers)


def joined(network: keras.Model) -> bool:
    """True if the fake logit is the soft maximum of branches; see ``models.joined``."""
    return any(layer.name == BRANCH_MAPS for layer in network.layers)


def has_activation_map(network: keras.Model) -> bool:
    """True if the fake logit is made of the feature map's cells; not so behind hidden layers."""
    return linear_head(network) or joined(network)


def fake_head(network: keras.Model) -> keras.Layer:
    """The layer whose weights turn features into the fake logit, or into those of the branches."""
    return network.get_layer(BRANCH_MAPS if joined(network) else FAKE)


def activation_map(network: keras.Model, feature_map: tf.Tensor, voices: tf.Tensor | None = None) -> tf.Tensor:
    """Where the fake logit comes from: feature map (N, h, w, c) → (N, h, w); after Zhou et al. 2016.

    With a linear head its mean is the logit without the bias. In a joined network, whose ``voices`` (N, V) are needed,
    it is made of the voices' maps, each as far as its voice speaks, and moved so that its mean is the logit.
    """
    import tensorflow as tf

    if not joined(network):
        # A 1 × 1 convolution stays in the layout of the others; a matrix product would cost transposes.
        kernel = tf.convert_to_tensor(fake_head(network).kernel)[None, None]
        return tf.squeeze(tf.nn.conv2d(feature_map, kernel, 1, "VALID"), axis=3)
    maps = fake_head(network)(feature_map)
    mixed = tf.reduce_sum(maps * tf.nn.softmax(voices)[:, None, None, :], axis=3)
    missing = tf.reduce_logsumexp(voices, axis=1) - tf.reduce_mean(mixed, axis=(1, 2))
    return mixed + missing[:, None, None]


def freeze_all_but_heads(network: keras.Model) -> None:
    """Only the layers behind the pooling learn."""
    heads = {layer.name for layer in head_layers(network)}
    for layer in network.layers:
        layer.trainable = layer.name in heads


def unfreeze_from(network: keras.Model, block: str | None) -> None:
    """The block of this name ("block_13", or "all") and what follows learn; BatchNorm never does.

    None takes the block that is the backbone's default. A BatchNormalization that is not trainable also runs in
    inference mode, so its statistics stay those of the pretrained weights. Raises ConfigError if there is no such
    block.
    """
    import keras

    backbone = backbone_of(network)
    block = backbone.from_block if block is None else block
    members = [_block(layer.name, backbone) for layer in network.layers]
    if block != ALL and (not block or block not in members):
        raise ConfigError(f"there is no block {block!r}; choose {ALL!r} or one of {', '.join(blocks(network))}")
    first = 0 if block == ALL else members.index(block)
    for index, layer in enumerate(network.layers):
        layer.trainable = index >= first and not isinstance(layer, keras.layers.BatchNormalization)


def freeze_all_but_norms(network: keras.Model) -> None:
    """Of the layers that learn, only the LayerNormalizations go on to, and the heads (Basu et al. 2023).

    Raises ConfigError if none of them does.
    """
    import keras

    heads = {layer.name for layer in head_layers(network)}
    norms = 0
    for layer in _leaves(layer for layer in network.layers if layer.name not in heads):
        if isinstance(layer, keras.layers.LayerNormalization):
            norms += bool(layer.trainable)
        else:
            layer.trainable = False
    if not norms:
        raise ConfigError(
            "no LayerNormalization learns; train.tune: norms is for transformers and ConvNeXt, from an early block on"
        )


def _leaves(layers: Iterable[keras.Layer]) -> Iterator[keras.Layer]:
    """The layers, and in place of a model among them those inside of it."""
    import keras

    for layer in layers:
        if isinstance(layer, keras.Model):
            yield from _leaves(layer.layers)
        else:
            yield layer


def begin_as_identity(network: keras.Model) -> None:
    """Switch the residual branches off where the backbone asks for it: each learns by itself how far to come in.

    Only for random weights. Training starts better so (Goyal et al. 2017, section 5.1), and without it fifty random
    layers in a row amplify the rounding of 32-bit arithmetic a thousandfold: logits differ by 1e-4 from one runtime to
    the next, and Keras's as much as ONNX Runtime's from what double precision gives.
    """
    if not (pattern := backbone_of(network).residual_norms):
        return
    import keras

    for layer in network.layers:
        if re.fullmatch(pattern, layer.name):
            layer.gamma.assign(keras.ops.zeros_like(layer.gamma))


def settle_batchnorm(network: keras.Model, batches: Iterable[Any]) -> None:
    """Let BatchNorm measure its inputs on some batches (pictures first) of about 32.

    Only for random weights, with which the statistics that a new layer has would switch the network off.
    """
    import keras
    import tensorflow as tf

    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.trainable, layer.momentum = True, SETTLING_MOMENTUM
    measure = tf.function(lambda images: network(images, training=True), reduce_retracing=True)
    for batch, _ in zip(batches, range(SETTLING_BATCHES), strict=False):
        measure(batch[0])
    for layer, momentum in zip(norms, kept, strict=True):
        layer.trainable, layer.momentum = False, momentum


def backbone_of(network: keras.Model) -> Backbone:
    """The facts about the backbone that a network was built from; its name says which."""
    return BACKBONES.get(network.name.removesuffix(SUFFIX), Backbone(lambda _: network))


def blocks(network: keras.Model) -> list[str]:
    """The names that ``unfreeze_from`` takes, in order."""
    backbone = backbone_of(network)
    found = [_block(layer.name, backbone) for layer in network.layers]
    return list(dict.fromkeys(name for name in found if name))


def _block(layer: str, backbone: Backbone) -> str:
    """The block that a layer belongs to by its name; empty for none."""
    found = re.match(backbone.blocks, layer)
    return found.group(1) if found else ""
