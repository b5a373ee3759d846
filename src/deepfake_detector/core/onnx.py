"""The one way to open an ONNX file: bytes that were checked, nothing fetched from beside them, CPU only."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake_detector.core.errors import ModelNotFoundError, ModelTamperedError, UnsafeModelError

if TYPE_CHECKING:
    import onnxruntime

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
MAX_MODEL_BYTES = 1024 * 1024 * 1024


def read_model(path: Path, sha256: str) -> bytes:
    """Read an ONNX file and check its SHA-256 (hexadecimal).

    Raises ModelNotFoundError, ModelTamperedError, or UnsafeModelError for a file that is far too large.
    """
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise UnsafeModelError(f"{path} is larger than {MAX_MODEL_BYTES} bytes; this is not one of our models")
        data = path.read_bytes()
    except OSError as error:
        raise ModelNotFoundError(f"cannot read the model file {path}: {error.strerror or error}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ModelTamperedError(
            f"{path} has SHA-256 {found}, expected {sha256}; get the bundle again from where it came from"
        )
    return data


def refuse_unsafe(data: bytes, name: str) -> None:
    """Refuse a model that names files outside of itself or operators that ONNX Runtime does not ship.

    Walks the graph, its subgraphs and its local functions. Raises UnsafeModelError.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
    except (DecodeError, ValueError) as error:
        raise UnsafeModelError(f"{name} is not an ONNX file: {error}") from error
    for opset in model.opset_import:
        if opset.domain not in STANDARD_DOMAINS:
            raise UnsafeModelError(
                f"{name} needs custom operators (domain {opset.domain!r}); export it with standard ones"
            )
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
            raise UnsafeModelError(f"{name} keeps the tensor {tensor.name!r} in another file; export it as one file")
    for node in _nodes(model):
        if node.domain not in STANDARD_DOMAINS:
            raise UnsafeModelError(
                f"{name} uses the custom operator {node.domain}.{node.op_type}; only standard ones run"
            )


def open_session(data: bytes, name: str, threads: int = 0) -> onnxruntime.InferenceSession:
    """An ONNX Runtime session on the CPU; ``threads`` = 0 lets the runtime choose. Raises UnsafeModelError."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # a plan for each shape of input, no faster, that holds as much memory again
    options.log_severity_level = 3
    # Several sessions live side by side; threads that spin while idle would take the cores from the one that works.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except runtime_errors() as error:
        raise UnsafeModelError(f"ONNX Runtime cannot open {name}: {error}") from error


def runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises when it cannot open or run a model; it has no common base for them."""
    from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

    return (
        ort_errors.Fail,
        ort_errors.InvalidGraph,
        ort_errors.InvalidProtobuf,
        ort_errors.InvalidArgument,
        ort_errors.NotImplemented,
        ort_errors.RuntimeException,
    )


def _graphs(owner: Any) -> list[Any]:
    """A graph or a local function, and all the graphs inside its nodes."""
    found = [owner]
    for node in owner.node:
        for attribute in node.attribute:
            inner = [attribute.g] if attribute.HasField("g") else []
            for sub in [*inner, *attribute.graphs]:
                found.extend(_graphs(sub))
    return found


def _owners(model: Any) -> list[Any]:
    return [graph for root in (model.graph, *model.functions) for graph in _graphs(root)]


def _nodes(model: Any) -> list[Any]:
    return [node for owner in _owners(model) for node in owner.node]


def _tensors(model: Any) -> list[Any]:
    tensors: list[Any] = []
    for owner in _owners(model):
        tensors.extend(getattr(owner, "initializer", ()))
        for sparse in getattr(owner, "sparse_initializer", ()):
            tensors.extend([sparse.values, sparse.indices])
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                tensors.append(attribute.t)
            tensors.extend(attribute.tensors)
            sparse_ones = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in [*sparse_ones, *attribute.sparse_tensors]:
                tensors.extend([sparse.values, sparse.indices])
    return tensors
