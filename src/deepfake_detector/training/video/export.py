"""Turns a trained sequence network into its bundle, and refuses if ONNX does not answer the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.core.errors import ExportError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.scoring.sequence import INPUT, OUTPUT
from deepfake_detector.training.export import OPSET, TOLERANCE
from deepfake_detector.training.video.clips import Clip
from deepfake_detector.training.video.fit import clip_logits, compiled

if TYPE_CHECKING:
    import keras


def sequence_to_onnx(network: keras.Model) -> bytes:
    """The network as one ONNX file: "frames" (N, T, channels) float32 → "fake_logit" (N,)."""
    import tensorflow as tf
    import tf2onnx

    channels = network.input_shape[-1]
    signature = (tf.TensorSpec((None, None, channels), tf.float32, name=INPUT),)

    def answer(frames: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: network(frames, training=False)}

    model, _ = tf2onnx.convert.from_function(
        tf.function(answer, input_signature=signature), input_signature=signature, opset=OPSET
    )
    data: bytes = model.SerializeToString()
    return data


def check_sequence_parity(network: keras.Model, model: bytes, clips: Sequence[Clip]) -> float:
    """The largest difference between the logits of Keras and of ONNX on whole clips. Raises ExportError."""
    session = open_session(model, "the exported network")
    found = [float(session.run([OUTPUT], {INPUT: clip.rows[None]})[0].reshape(-1)[0]) for clip in clips]
    difference = float(np.abs(np.array(found) - clip_logits(compiled(network), clips)).max(initial=0.0))
    if not clips or not difference <= TOLERANCE:
        raise ExportError(
            f"Keras and ONNX differ by {difference:.2g} in the logit of {len(clips)} clips ({TOLERANCE:g} is allowed); "
            "the bundle is not written. Try another version of tf2onnx or TensorFlow, or model.net: conv"
        )
    return difference
