"""Checks that an ONNX graph has the input and the outputs that its card describes."""

from __future__ import annotations

from typing import Any

from deepfake_detector.core.errors import ModelSchemaError
from deepfake_detector.scoring.card import Card

CHANNELS = 3
OUTPUT_RANKS = {"fake_logit": 1, "kind_logit": 1, "cam": 3, "features": 2, "distance": 1, "voices": 2}
"""Output of the card → number of dimensions; the first one is the batch."""


def check_graph(model: bytes, card: Card) -> None:
    """Compare the graph's signature with the card: uint8 NHWC of the card's size in, float32 of known ranks out.

    Raises ModelSchemaError. ``model`` must have passed ``core.onnx.refuse_unsafe``.
    """
    import onnx

    graph = onnx.load_model_from_string(model).graph
    stored = {tensor.name for tensor in graph.initializer}
    _check_input([value for value in graph.input if value.name not in stored], card)
    outputs = {value.name: value for value in graph.output}
    for role, rank in OUTPUT_RANKS.items():
        name = getattr(card.outputs, role)
        if name is None:
            continue
        if name not in outputs:
            raise ModelSchemaError(
                f"the card says that {role} comes from the output {name!r}; the graph has {sorted(outputs)}"
            )
        _check_output(outputs[name], role, rank)


def _check_input(inputs: list[Any], card: Card) -> None:
    from onnx import TensorProto

    if len(inputs) != 1:
        raise ModelSchemaError(f"the graph has {len(inputs)} inputs; it must have one, the crops")
    tensor = inputs[0].type.tensor_type
    if tensor.elem_type != TensorProto.UINT8:
        raise ModelSchemaError(f"the graph takes {_type_name(tensor.elem_type)}; it must take uint8 RGB crops")
    size = card.input.size
    shape = _shape(tensor)
    if len(shape) != 4 or isinstance(shape[0], int) or shape[1:] != [size, size, CHANNELS]:
        raise ModelSchemaError(
            f"the graph takes the shape {_written(shape)}; the card says (N, {size}, {size}, {CHANNELS}), N being free"
        )


def _check_output(value: Any, role: str, rank: int) -> None:
    from onnx import TensorProto

    tensor = value.type.tensor_type
    if tensor.elem_type != TensorProto.FLOAT:
        raise ModelSchemaError(f"the output {role} is {_type_name(tensor.elem_type)}; it must be float32")
    # A graph may leave the shape of an output open; then the scorer checks what really comes out.
    if tensor.HasField("shape") and len(tensor.shape.dim) != rank:
        raise ModelSchemaError(
            f"the output {role} has the shape {_written(_shape(tensor))}; it must have {rank} dimension(s)"
        )


def _shape(tensor: Any) -> list[int | str]:
    return [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim]


def _written(shape: list[int | str]) -> str:
    return "(" + ", ".join(str(side) for side in shape) + ")"


def _type_name(elem_type: int) -> str:
    from onnx import TensorProto

    return str(TensorProto.DataType.Name(elem_type)).lower()
