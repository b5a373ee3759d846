"""Fits the network over frames to windows of the training clips, and keeps the best state on the validation clips."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfake_detector.core.types import FloatArray
from deepfake_detector.training.intervals import Floats, Ints
from deepfake_detector.training.video.clips import Clip
from deepfake_detector.training.video.config import SequencePhase
from deepfake_detector.training.video.network import NORMALISE

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

Answer = Callable[[FloatArray], Any]
"""Takes rows (N, T, channels) of N clips, and gives their fake logits (N,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What the best state says of the validation clips.

    ``logits`` (N,) are the raw ones of the whole clips, ``labels`` (N,) 0 real or 1 fake; the losses are balanced
    cross-entropies in nats, ``loss_before`` that of the mean frame logit, from which training started.
    """

    logits: Floats
    labels: Ints
    loss: float
    loss_before: float
    epoch: int


def fit_sequences(
    network: keras.Model, train: Sequence[Clip], val: Sequence[Clip], config: SequencePhase, seed: int
) -> Fitted:
    """Train in place; both classes weigh the same. Ends with the weights of the epoch with the least validation loss.

    Epoch 0, plain pooling, counts as well: a network that learns nothing that holds on other clips adds nothing.
    """
    import keras

    frames = np.concatenate([clip.rows for clip in train])
    network.get_layer(NORMALISE).set_weights([frames.mean(axis=0), frames.var(axis=0)])
    optimizer = keras.optimizers.AdamW(config.lr, weight_decay=config.weight_decay)
    network.compile(optimizer, keras.losses.BinaryCrossentropy(from_logits=True))
    rng = np.random.default_rng(seed)
    labels = _labels(train)
    weights = (len(labels) / (2.0 * np.maximum(np.bincount(labels, minlength=2), 1)))[labels]
    answer = compiled(network)
    logits = clip_logits(answer, val)
    before = _balanced_loss(logits, _labels(val))
    best = Fitted(logits, _labels(val), before, before, 0)
    kept = network.get_weights()
    for epoch in range(1, config.epochs + 1):
        loss = _epoch(network, train, (labels, weights), config, rng)
        logits = clip_logits(answer, val)
        val_loss = _balanced_loss(logits, best.labels)
        logger.info("epoch %d: loss %.4f, validation loss %.4f", epoch, loss, val_loss)
        if val_loss < best.loss:
            best = Fitted(logits, best.labels, val_loss, best.loss_before, epoch)
            kept = network.get_weights()
        elif epoch - best.epoch >= config.patience:
            break
    network.set_weights(kept)
    return best


def compiled(network: keras.Model) -> Answer:
    """The network as one graph for clips of any number and length: called often, that is many times faster."""
    import tensorflow as tf

    signature = (tf.TensorSpec((None, None, network.input_shape[-1]), tf.float32),)
    answer: Answer = tf.function(lambda frames: network(frames, training=False), input_signature=signature)
    return answer


def clip_logits(answer: Answer, clips: Sequence[Clip]) -> Floats:
    """The raw fake logits (N,) of whole clips; those of one length are asked together."""
    found = np.zeros(len(clips))
    lengths = np.array([len(clip.rows) for clip in clips])
    for length in np.unique(lengths):
        own = [clip.rows for clip in clips if len(clip.rows) == length]
        found[lengths == length] = np.asarray(answer(np.stack(own)))
    return found


def windows(clips: Sequence[Clip], length: int, rng: np.random.Generator) -> FloatArray:
    """A stretch of each clip, (N, length, channels); of shorter clips the whole, there and back until it is full."""
    return np.stack([_window(clip.rows, length, rng) for clip in clips])


def _window(rows: FloatArray, length: int, rng: np.random.Generator) -> FloatArray:
    if len(rows) < length:
        return np.pad(rows, ((0, length - len(rows)), (0, 0)), mode="reflect")
    start = int(rng.integers(len(rows) - length + 1))
    return rows[start : start + length]


def _epoch(
    network: keras.Model,
    clips: Sequence[Clip],
    targets: tuple[Ints, Floats],
    config: SequencePhase,
    rng: np.random.Generator,
) -> float:
    labels, weights = targets
    order = rng.permutation(len(clips))
    losses = []
    for begin in range(0, len(order), config.batch_size):
        batch = order[begin : begin + config.batch_size]
        shown = windows([clips[index] for index in batch], config.window, rng)
        losses.append(float(network.train_on_batch(shown, labels[batch].astype(np.float32), weights[batch])))
    return float(np.mean(losses))


def _labels(clips: Sequence[Clip]) -> Ints:
    return np.array([int(clip.sample.label) for clip in clips], dtype=np.int64)


def _balanced_loss(logits: Floats, labels: Ints) -> float:
    losses = np.logaddexp(0.0, logits) - labels * logits
    return float(np.mean([losses[labels == label].mean() for label in (0, 1)]))
