import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deepfake_detector.core import onnx as core_onnx
from deepfake_detector.core.errors import ModelNotFoundError, ModelTamperedError, UnsafeModelError
from deepfake_detector.core.onnx import open_session, read_model, refuse_unsafe

INFO = helper.make_tensor_value_info
OPSETS = [helper.make_opsetid("", 17)]


def model_of(nodes, initializers=(), functions=(), opsets=OPSETS):
    graph = helper.make_graph(
        nodes, "g", [INFO("x", TensorProto.FLOAT, [1])], [INFO("y", TensorProto.FLOAT, [1])], list(initializers)
    )
    return helper.make_model(graph, functions=list(functions), opset_imports=opsets, ir_version=8)


def external(tensor, location="/etc/passwd"):
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    return tensor


def tensor(name="w"):
    return numpy_helper.from_array(np.ones(1, np.float32), name)


def if_node(then_nodes, initializers=()):
    branch = helper.make_graph(then_nodes, "branch", [], [INFO("b", TensorProto.FLOAT, [1])], list(initializers))
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["b"])], "o", [], [INFO("b", TensorProto.FLOAT, [1])]
    )
    return helper.make_node("If", ["condition"], ["y"], then_branch=branch, else_branch=other)


def function_of(nodes, domain="local"):
    return helper.make_function(domain, "F", ["x"], ["y"], nodes, OPSETS)


def test_a_plain_model_passes_and_runs():
    data = model_of([helper.make_node("Add", ["x", "w"], ["y"])], [tensor()]).SerializeToString()
    refuse_unsafe(data, "plain")
    (answer,) = open_session(data, "plain", threads=1).run(None, {"x": np.ones(1, np.float32)})
    assert answer.tolist() == [2.0]


def external_models():
    identity = helper.make_node("Identity", ["w"], ["y"])
    constant = helper.make_node("Constant", [], ["y"], value=external(tensor()))
    inside = helper.make_node("Constant", [], ["b"], value=external(tensor()))
    sparse = helper.make_sparse_tensor(external(tensor("values")), numpy_helper.from_array(np.zeros(1, np.int64)), [1])
    sparse_constant = helper.make_node("Constant", [], ["y"], sparse_value=sparse)
    many = onnx.AttributeProto(name="many", type=onnx.AttributeProto.TENSORS, tensors=[external(tensor())])
    listed = helper.make_node("Identity", ["x"], ["y"])
    listed.attribute.append(many)
    stored_sparse = model_of([identity])
    stored_sparse.graph.sparse_initializer.append(sparse)
    only_a_place = tensor()
    only_a_place.external_data.add(key="location", value="weights.bin")
    return {
        "initializer": model_of([identity], [external(tensor())]),
        "place without the flag": model_of([identity], [only_a_place]),
        "constant": model_of([constant]),
        "constant in a subgraph": model_of([if_node([inside])]),
        "initializer of a subgraph": model_of(
            [if_node([helper.make_node("Identity", ["w"], ["b"])], [external(tensor())])]
        ),
        "constant in a local function": model_of([identity], functions=[function_of([constant])]),
        "constant in a subgraph of a local function": model_of(
            [identity], functions=[function_of([if_node([inside])])]
        ),
        "list of tensors": model_of([listed]),
        "sparse constant": model_of([sparse_constant]),
        "sparse initializer": stored_sparse,
    }


@pytest.mark.parametrize("place", external_models())
def test_data_outside_of_the_file_is_refused_wherever_it_is_named(place):
    with pytest.raises(UnsafeModelError, match="in another file"):
        refuse_unsafe(external_models()[place].SerializeToString(), "model.onnx")


def custom_models():
    custom = helper.make_node("Backdoor", ["x"], ["y"], domain="evil")
    inside = helper.make_node("Backdoor", ["x"], ["b"], domain="evil")
    identity = helper.make_node("Identity", ["x"], ["y"])
    return {
        "node": model_of([custom]),
        "subgraph": model_of([if_node([inside])]),
        "subgraph of a subgraph": model_of([if_node([if_node([inside])])]),
        "local function": model_of([identity], functions=[function_of([custom])]),
        "subgraph of a local function": model_of([identity], functions=[function_of([if_node([inside])])]),
        "call of a local function": model_of(
            [helper.make_node("F", ["x"], ["y"], domain="local")], functions=[function_of([identity])]
        ),
        "runtime's own": model_of([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")]),
        "import": model_of([identity], opsets=[*OPSETS, helper.make_opsetid("evil", 1)]),
    }


@pytest.mark.parametrize("place", custom_models())
def test_custom_operators_are_refused_wherever_they_are(place):
    with pytest.raises(UnsafeModelError, match="custom operator"):
        refuse_unsafe(custom_models()[place].SerializeToString(), "model.onnx")


@pytest.mark.parametrize("data", [b"\xff" * 64, b"PK\x03\x04" + bytes(100), "ünïcode".encode() * 9, b"GIF89a" * 30])
def test_bytes_that_are_no_model_are_refused(data):
    with pytest.raises(UnsafeModelError, match=r"m\.onnx is not an ONNX file"):
        refuse_unsafe(data, "m.onnx")


def test_a_truncated_model_is_refused(tiny_model):
    data = tiny_model()
    for end in range(1, len(data), 97):
        with pytest.raises(UnsafeModelError):
            open_after_check(data[:end])


def open_after_check(data):
    refuse_unsafe(data, "cut.onnx")
    open_session(data, "cut.onnx")


@pytest.mark.parametrize("data", [b"", b"\x08\x08", b"\xff" * 64])
def test_the_runtime_refuses_what_it_cannot_open(data):
    with pytest.raises(UnsafeModelError, match="cannot open"):
        open_session(data, "m.onnx")


def test_an_operator_that_does_not_exist_is_refused():
    data = model_of([helper.make_node("Abracadabra", ["x"], ["y"])]).SerializeToString()
    with pytest.raises(UnsafeModelError, match="Abracadabra"):
        open_session(data, "m.onnx")


def test_reading_checks_the_hash(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert read_model(path, digest) == b"weights"
    path.write_bytes(b"weightz")
    with pytest.raises(ModelTamperedError, match=digest):
        read_model(path, digest)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(ModelNotFoundError, match="No such file"):
        read_model(tmp_path / "none.onnx", "0" * 64)
    with pytest.raises(ModelNotFoundError, match="cannot read"):
        read_model(tmp_path, "0" * 64)


def test_a_file_beyond_the_limit_is_not_even_read(tmp_path, monkeypatch):
    monkeypatch.setattr(core_onnx, "MAX_MODEL_BYTES", 10)
    path = tmp_path / "model.onnx"
    path.write_bytes(bytes(11))
    with pytest.raises(UnsafeModelError, match="larger than 10 bytes"):
        read_model(path, "0" * 64)
