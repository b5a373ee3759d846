"""The network over the frames of one person: plain pooling of the frame logits, plus what a small net adds to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepfake_detector.scoring.sequence import FAKE_CHANNEL, INPUT, OUTPUT
from deepfake_detector.training.video.config import Net, SequenceModelConfig

if TYPE_CHECKING:
    import keras

NORMALISE = "normalise"


def build_network(config: SequenceModelConfig, channels: int) -> keras.Model:
    """ "frames" (N, T, channels) float32 → the fake logit (N,), for any T ≥ 1; weights are drawn by Keras' seed.

    The last layer begins at zero, so that training starts from the mean of the frame logits and learns only what that
    misses. ``normalise`` is to be given mean and variance of the training frames.
    """
    import keras

    layers = keras.layers
    frames = keras.Input((None, channels), dtype="float32", name=INPUT)
    # Statistics of the training frames, which stay as they are; keras.layers.Normalization does not export.
    found = layers.BatchNormalization(center=False, scale=False, trainable=False, name=NORMALISE)(frames)
    found = layers.Dropout(config.dropout)(found)
    found = layers.Dense(config.units, activation="relu", name="embed")(found)
    if config.net is Net.GRU:
        pooled = layers.GRU(config.units, name="gru")(found)
    else:
        for number, dilation in enumerate((1, 2), 1):
            found = layers.Conv1D(
                config.units, 3, padding="same", dilation_rate=dilation, activation="relu", name=f"conv_{number}"
            )(found)
        pooled = layers.GlobalAveragePooling1D()(found)
    pooled = layers.Dropout(config.dropout)(pooled)
    added = layers.Dense(1, kernel_initializer="zeros", name="added")(pooled)
    mean = keras.ops.mean(frames[:, :, FAKE_CHANNEL], axis=1, keepdims=True)
    logit = layers.Reshape((), name=OUTPUT)(layers.Add()([mean, added]))
    return keras.Model(frames, logit, name=f"sequence_{config.net.value}")
