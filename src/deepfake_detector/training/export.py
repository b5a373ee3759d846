"""Turns a trained Keras network into a bundle, and refuses if the two do not answer the same."""

from __future__ import annotations

import gc
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError, ExportError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.scoring.bundle import HASH_TO_BE_SET, write_bundle
from deepfake_detector.scoring.card import CardOutputs
from deepfake_detector.training.cards import make_card
from deepfake_detector.training.checkpoint import FINAL_FILE
from deepfake_detector.training.models.network import (
    FAKE,
    FEATURE_MAP,
    FEATURES,
    VOICES,
    activation_map,
    has_activation_map,
    joined,
    linear_head,
)
from deepfake_detector.training.run import RunFolder
from deepfake_detector.training.steps import predictor

if TYPE_CHECKING:
    import keras

OPSET = 18
TOLERANCE = 1e-4
INPUT = "image"
WORTH_HALVING = 1024
"""Weights in an array from which storing them in half precision pays."""


def export_run(run: RunFolder, destination: Path | None = None) -> Path:
    """Write the bundle of a finished run, by default into the run's own folder, and return where it is.

    Raises ExportError if Keras and ONNX differ, or if the destination exists; ConfigError if the run is not finished.
    """
    run.config()  # raises if this is no run at all
    file = run.checkpoints / FINAL_FILE
    if not file.is_file():
        raise ConfigError(f"{run.path} is not finished; go on with: deepfake train --resume {run.path}")
    import keras  # which takes seconds

    network = keras.models.load_model(file, compile=False)
    crops = np.load(run.sample_file, allow_pickle=False)
    model = to_onnx(network)
    check_parity(network, model, crops)
    return write_bundle(destination or run.bundle, model, make_card(run, outputs_of(network), HASH_TO_BE_SET))


def to_onnx(network: keras.Model) -> bytes:
    """The network as one ONNX file: "image" (N, S, S, 3) uint8 → the outputs of ``outputs_of``, all float32.

    ``cam`` is the map of ``models.network.activation_map``.
    """
    import tensorflow as tf
    import tf2onnx

    size = network.input_shape[1]
    signature = (tf.TensorSpec((None, size, size, 3), tf.uint8, name=INPUT),)
    # It logs a traceback for each simplification that it gives up, as on hard swish; parity is checked in any case.
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    with _copies_freed():
        model, _ = tf2onnx.convert.from_function(
            tf.function(_outputs(network), input_signature=signature),
            input_signature=signature,
            opset=OPSET,
            custom_op_handlers={"Erfc": (_without_erfc, ["Erf"])},
        )
    return _simplified(model.SerializeToString(), _shapes(network))


def outputs_of(network: keras.Model) -> CardOutputs:
    """The names of the outputs; a head with hidden layers has no activation map."""
    cam = "cam" if has_activation_map(network) else None
    voices = VOICES if joined(network) else None
    return CardOutputs(fake_logit="fake_logit", kind_logit="kind_logit", cam=cam, features="features", voices=voices)


def check_parity(network: keras.Model, model: bytes, crops: NDArray[np.uint8]) -> float:
    """The largest difference between the logits of Keras and of ONNX on crops (N, S, S, 3).

    Where there is an activation map, its mean (with a linear head: plus the bias) must be the fake logit, too, and so
    must be the log-sum-exp of a joined network's voices.
    Raises ExportError if it is above ``TOLERANCE``, or if there are no crops.
    """
    if not len(crops):
        raise ExportError("there are no crops to compare Keras and ONNX on")
    session = open_session(model, "the exported network")
    expected = predictor(network)([(crops[begin : begin + 16],) for begin in range(0, len(crops), 16)])
    fake, kind = session.run(["fake_logit", "kind_logit"], {INPUT: crops})
    difference = max(
        float(np.abs(fake - expected.fake).max(initial=0.0)), float(np.abs(kind - expected.kind).max(initial=0.0))
    )
    if has_activation_map(network):
        (cam,) = session.run(["cam"], {INPUT: crops})
        bias = float(network.get_layer(FAKE).bias.numpy()[0]) if linear_head(network) else 0.0
        mapped = cam.mean(axis=(1, 2)) + bias
        difference = max(difference, float(np.abs(mapped - fake).max(initial=0.0)))
    if joined(network):
        (voices,) = session.run([VOICES], {INPUT: crops})
        together = np.logaddexp.reduce(voices, axis=1)
        difference = max(difference, float(np.abs(together - fake).max(initial=0.0)))
    if not difference <= TOLERANCE:
        raise ExportError(
            f"Keras and ONNX differ by {difference:.2g} in a logit ({TOLERANCE:g} is allowed); the bundle is not "
            "written. An operator was converted wrongly: try another version of tf2onnx or TensorFlow"
        )
    return difference


def _outputs(network: keras.Model) -> Any:
    import keras
    import tensorflow as tf

    names = [FEATURE_MAP, FEATURES, *([VOICES] if joined(network) else [])]
    parts = keras.Model(network.input, [network.output, *(network.get_layer(name).output for name in names)])

    def outputs(image: tf.Tensor) -> dict[str, tf.Tensor]:
        logits, feature_map, features, *voices = parts(image, training=False)
        found = {"fake_logit": logits["fake"], "kind_logit": logits["kind"], "features": features}
        found |= dict(zip([VOICES], voices, strict=False))
        return found | ({"cam": activation_map(network, feature_map, *voices)} if has_activation_map(network) else {})

    return outputs


@contextmanager
def _copies_freed() -> Iterator[None]:
    """Collect garbage often, and do not look at what is alive already.

    tf2onnx copies the graph with all weights for each simplification, some fifty times, and the copies are cycles. They
    hold too few objects for Python to look for them soon: those of vit-base take more than ten gigabytes.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.collect()  # so that few objects count as old: Python waits with the oldest generation until a quarter is new
    gc.set_threshold(before[0], 1, 1)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _without_erfc(graph: Any, node: Any, name: str, _: Any) -> None:
    """Write erfc(x), of which TensorFlow makes GELU and which ONNX does not have, as 1 − erf(x)."""
    erf = graph.make_node("Erf", [node.input[0]])
    one = graph.make_const(f"{name}/one", np.ones((), np.float32))
    shape, dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    graph.remove_node(name)
    graph.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=[node.output[0]],
        name=name,
        shapes=[shape],
        dtypes=[dtype],
    )


def _shapes(network: keras.Model) -> dict[str, list[str | int]]:
    _, height, width, channels = network.get_layer(FEATURE_MAP).output.shape
    voices = network.get_layer(VOICES).output.shape[-1] if joined(network) else 1
    return {
        "fake_logit": ["N"],
        "kind_logit": ["N"],
        "cam": ["N", height, width],
        "features": ["N", channels],
        VOICES: ["N", voices],
    }


def _simplified(model: bytes, shapes: dict[str, list[str | int]]) -> bytes:
    """Fold padding, scaling and constants with ONNX Runtime's own basic rules, which use standard operators only."""
    import onnx
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "simplified.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(file)
        options.log_severity_level = 3
        ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        simplified = onnx.load(file)
    used = {node.domain for node in simplified.graph.node}
    kept = [opset for opset in simplified.opset_import if opset.domain in used]
    del simplified.opset_import[:]
    simplified.opset_import.extend(kept)
    del simplified.graph.value_info[:]
    for value in (*simplified.graph.input, *simplified.graph.output):
        shape = shapes.get(value.name, ["N"])
        for place, side in enumerate(shape):
            dimension = value.type.tensor_type.shape.dim[place]
            if isinstance(side, str):
                dimension.dim_param = side
            else:
                dimension.dim_value = side
    _store_in_half(simplified.graph)
    simplified.producer_name, simplified.doc_string = "deepfake-detector", ""
    onnx.checker.check_model(simplified, full_check=True)
    data: bytes = simplified.SerializeToString()
    return data


def _store_in_half(graph: Any) -> None:
    """Store the arrays of weights that half precision holds exactly in it; a Cast turns them back when loaded."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for place, stored in enumerate(graph.initializer):
        weights = numpy_helper.to_array(stored)
        if weights.dtype != np.float32 or weights.size < WORTH_HALVING:
            continue
        half = weights.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), weights):
            continue
        name = f"{stored.name}/half"
        casts.append(onnx.helper.make_node("Cast", [name], [stored.name], to=onnx.TensorProto.FLOAT))
        graph.initializer[place].CopyFrom(numpy_helper.from_array(half, name))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
