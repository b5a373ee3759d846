"""Makes the convolutions of an ONNX graph count in 8-bit integers (static quantisation, QDQ)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.scoring.card import Card

COUNTED = ("Conv", "Clip", "Add")
"""Operators that work on integers; what lies behind the feature map stays in floating point."""

CROPS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to quantise: what it is called, and whether the first and the last convolutions stay in floating point."""

    words: str
    floating_edges: bool = False


RECIPES = (
    Recipe("all convolutions before the feature map"),
    Recipe("all but the first and the last convolutions before the feature map", floating_edges=True),
)
"""In the order in which they are tried."""


class Quantisable:
    """A model whose weights lie open, and its nodes that may count in integers. Raises ConfigError if there are none.

    Weights that are stored in half precision are turned back, since ranges are read from stored ones.
    """

    def __init__(self, model: bytes, card: Card) -> None:
        from onnxruntime.quantization.quant_utils import add_pre_process_metadata

        self._model = _with_plain_weights(model)
        add_pre_process_metadata(self._model)  # else it advises to infer shapes and fold constants, which was done
        self._counted = _counted(self._model, card)

    def quantised(self, crops: NDArray[np.uint8], recipe: Recipe) -> bytes:
        """The ONNX model with ranges from these crops (N, S, S, 3), and weights by output channel, in 7 bits.

        The eighth bit overflows the 16-bit sums of processors without VNNI instructions. A range is the mean of those
        of a few crops each: that of all of them is as wide as the oddest crop makes it, and its steps as coarse.
        """
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        with tempfile.TemporaryDirectory() as folder:
            plain, made = Path(folder) / "plain.onnx", Path(folder) / "quantised.onnx"
            onnx.save(self._model, plain)
            quantize_static(
                plain,
                made,
                _reader(self._model.graph.input[0].name, crops),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(COUNTED),
                nodes_to_quantize=sorted(self._counted - self._floating(recipe)),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"CalibMovingAverage": True},
            )
            return _tidied(onnx.load(made))

    def _floating(self, recipe: Recipe) -> frozenset[str]:
        if not recipe.floating_edges:
            return frozenset()
        nodes = self._model.graph.node
        convolutions = [node.name for node in nodes if node.name in self._counted and node.op_type == "Conv"]
        return frozenset([*_first(self._model, convolutions), *_last(self._model, convolutions)])


def _tidied(model: Any) -> bytes:
    """Without the domains that no operator is of, and without what only the making of it needed."""
    import onnx

    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    del model.graph.value_info[:], model.metadata_props[:]
    model.producer_name, model.doc_string = "deepfake-detector", ""
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def _with_plain_weights(model: bytes) -> Any:
    """The model with weights that are stored in half precision turned back, since ranges are read from stored ones."""
    import onnx
    from onnx import numpy_helper

    loaded = onnx.load_model_from_string(model)
    stored = {tensor.name: tensor for tensor in loaded.graph.initializer}
    casts = [node for node in loaded.graph.node if node.op_type == "Cast" and node.input[0] in stored]
    for node in casts:
        array = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
        loaded.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        loaded.graph.initializer.remove(stored[node.input[0]])
        loaded.graph.node.remove(node)
    for number, node in enumerate(loaded.graph.node):
        node.name = node.name or f"node_{number}"
    return onnx.shape_inference.infer_shapes(loaded)


def _counted(model: Any, card: Card) -> frozenset[str]:
    """The nodes from the first convolution to the feature map, whose mean the features are. Raises ConfigError."""
    maker = {output: node for node in model.graph.node for output in node.output}
    features = maker.get(card.outputs.features or "")
    if features is None or features.op_type not in ("ReduceMean", "GlobalAveragePool"):
        raise ConfigError(f"the features of {card.name} are not the mean of a map; only such networks can be quantised")
    before, waiting = set[str](), [features.input[0]]
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and node.name not in before:
            before.add(node.name)
            waiting += node.input
    behind_convolution = set[str]()
    found = set[str]()
    for node in model.graph.node:
        if node.op_type == "Conv" or behind_convolution.intersection(node.input):
            behind_convolution.update(node.output)
            if node.name in before and node.op_type in COUNTED:
                found.add(node.name)
    if not found:
        raise ConfigError(f"{card.name} has no convolutions before its feature map; there is nothing to quantise")
    return frozenset(found)


def _first(model: Any, convolutions: Sequence[str]) -> Iterator[str]:
    """The convolutions that no other one lies before."""
    reached = set[str]()
    for node in model.graph.node:
        behind = bool(reached.intersection(node.input))
        if node.name in convolutions and not behind:
            yield node.name
        if behind or node.name in convolutions:
            reached.update(node.output)


def _last(model: Any, convolutions: Sequence[str]) -> Iterator[str]:
    """The convolutions that no other of them lies behind."""
    leading = set[str]()
    for node in reversed(model.graph.node):
        if node.name in convolutions:
            if not leading.intersection(node.output):
                yield node.name
            leading.update(node.input)
        elif leading.intersection(node.output):
            leading.update(node.input)


def _reader(name: str, crops: NDArray[np.uint8]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc] # ONNX Runtime has no types
        """Gives a few crops at a time."""

        def __init__(self) -> None:
            self._left = iter(np.array_split(crops, max(1, len(crops) // CROPS_AT_ONCE)))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            """The next crops, None at the end."""
            part = next(self._left, None)
            return None if part is None else {name: part}

    return Reader()
