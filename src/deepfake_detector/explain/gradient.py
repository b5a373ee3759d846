"""Makes a finer map of the fake logit in an ONNX graph: what speaks for fake, as it lies before the last feature map.

Activations times the gradient of the logit where that is positive, summed over the channels (LayerCAM, Jiang et al.
2021). Before the last halving of the picture, cells are half as wide as those of the class-activation map, and see less
of what surrounds them. The graph computes the gradient by itself: that of a convolution is the transposed convolution
with the same weights, and a clipped value passes none on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

PREFIX = "layer_cam"
VOICES = "voices"
"""The output of a joined network (N, V) that has them."""

OPSET = 18
"""From it on a reduction takes its axes as an input."""

LAYOUT = frozenset({"Transpose", "Reshape", "Tile", "Unsqueeze", "Squeeze", "Resize", "Identity"})
"""What moves or repeats cells, and leaves the mean of a channel as it is."""


class _NoPathError(Exception):
    """The gradient of this graph cannot be computed with the rules that are known here."""


def with_fine_map(model: bytes, cam: str) -> tuple[bytes, str] | None:
    """The model with a finer map as one more output, and that output's name; None where its graph does not allow it.

    ``cam`` names the output (N, h, w) with the activation map; the finer one, (N, H, W) float32, has the same mean:
    what speaks for fake stands where it lies, what speaks against it is spread evenly.
    The feature map may be the branches' feature maps behind each other. Between it and the strided convolution before
    it there may be convolutions, (clipped) rectifiers and sums, as in MobileNetV2. What branches of other kinds say is
    spread evenly; there must be one of this kind.
    """
    import onnx

    loaded = onnx.load_model_from_string(model)
    if any(entry.domain in ("", "ai.onnx") and entry.version < OPSET for entry in loaded.opset_import):
        return None
    try:
        name = _FineMap(loaded).add(cam)
    except _NoPathError:
        return None
    onnx.checker.check_model(loaded)
    data: bytes = loaded.SerializeToString()
    return data, name


class _FineMap:
    """Adds the nodes of a finer map to a model."""

    def __init__(self, model: Any) -> None:
        import onnx
        from onnx import numpy_helper

        self._graph = model.graph
        known = onnx.shape_inference.infer_shapes(model).graph
        self._shapes = {
            value.name: [side.dim_value for side in value.type.tensor_type.shape.dim]
            for value in (*known.value_info, *known.output)
        }
        self._maker = {name: node for node in self._graph.node for name in node.output}
        self._arrays = {stored.name: numpy_helper.to_array(stored) for stored in self._graph.initializer}
        for node in self._graph.node:  # weights that are stored in half precision
            if node.op_type == "Cast" and node.input[0] in self._arrays:
                self._arrays[node.output[0]] = self._arrays[node.input[0]].astype(np.float32)
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def add(self, cam: str) -> str:
        """Add it, and return the name of the output. Raises _NoPathError, and leaves the graph as it was."""
        from onnx import TensorProto, helper

        head = self._head(cam)
        kernel = self._arrays[head.input[1]]
        # How far each voice speaks: the gradient of their soft maximum; 1 for a single one.
        given = any(output.name == VOICES for output in self._graph.output)
        mean = VOICES if given else self._node("ReduceMean", head.output[0], self._numbers(2, 3), keepdims=0)
        voices = self._node("Softmax", mean, axis=1)
        maps, first = [], 0
        for source in self._sources(head):
            last = first + self._shapes[source][1]
            with suppress(_NoPathError):  # what such a branch says is spread evenly, with all that is missing
                maps.append(self._evidence(source, voices, kernel[:, first:last, 0, 0]))
            first = last
        if not maps:
            raise _NoPathError
        name, side = self._joined(maps, cam)
        self._graph.node.extend(self._nodes)
        self._graph.initializer.extend(self._constants)
        self._graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", side, side]))
        return name

    def _head(self, cam: str) -> Any:
        """The convolution that makes evidence of the feature map: the first one on the way back."""
        queue = [cam]
        while queue:
            node = self._maker.get(queue.pop(0))
            if node is not None and node.op_type == "Conv":
                return node
            queue += [] if node is None else node.input
        raise _NoPathError

    def _sources(self, head: Any) -> list[str]:
        """The last feature map of each branch, before its cells are repeated."""
        joint = self._maker.get(head.input[0])
        names = list(joint.input) if joint is not None and joint.op_type == "Concat" else [head.input[0]]
        return [self._unmoved(name) for name in names]

    def _unmoved(self, name: str) -> str:
        while (node := self._maker.get(name)) is not None and node.op_type in LAYOUT:
            name = node.input[0]
        if len(self._shapes.get(name, ())) != 4:
            raise _NoPathError
        return name

    def _evidence(self, source: str, voices: str, kernel: NDArray[np.float32]) -> tuple[str, int]:
        """The map (N, 1, H, W) of a branch and H; ``kernel`` (V, C) makes voices of the mean of ``source``."""
        nodes, target = self._way_back(source)
        _, _, height, width = self._shapes[source]
        each = self._node("MatMul", voices, self._constant(np.ascontiguousarray(kernel / (height * width))))
        each = self._node("Unsqueeze", each, self._numbers(2, 3))
        gradients = {source: [self._node("Expand", each, self._node("Shape", source))]}
        for node in nodes:
            for name, passed in self._passed_on(node, self._sum(gradients[node.output[0]])):
                gradients.setdefault(name, []).append(passed)
        product = self._node("Mul", target, self._node("Relu", self._sum(gradients[target])))
        total = self._node("ReduceSum", product, self._numbers(1), keepdims=1)
        _, _, height, width = self._shapes[target]
        return self._node("Mul", total, self._constant(np.float32(height * width))), height

    def _way_back(self, source: str) -> tuple[list[Any], str]:
        """The nodes from a feature map back to the strided convolution before it, and what that one takes."""
        found, targets, queue = set(), set(), [source]
        while queue:
            node = self._maker.get(queue.pop())
            if node is None or node.op_type not in {"Conv", "Clip", "Relu", "Add"}:
                raise _NoPathError
            found.add(node.output[0])
            if max(_attributes(node).get("strides", [1])) > 1:
                targets.add(node.input[0])
            else:
                queue += [name for name in self._data_of(node) if name not in found]
        if len(targets) != 1:
            raise _NoPathError
        return [node for node in reversed(self._graph.node) if node.output[0] in found], targets.pop()

    def _data_of(self, node: Any) -> list[str]:
        """The inputs that a gradient flows to."""
        names = node.input if node.op_type == "Add" else node.input[:1]
        return [name for name in names if name not in self._arrays]

    def _passed_on(self, node: Any, gradient: str) -> Iterator[tuple[str, str]]:
        """Each input of a node with its gradient."""
        for name in self._data_of(node):
            if node.op_type == "Conv":
                yield name, self._through_convolution(node, gradient)
            else:
                yield name, gradient if node.op_type == "Add" else self._unclipped(node, gradient)

    def _through_convolution(self, node: Any, gradient: str) -> str:
        given = _attributes(node)
        if given.get("auto_pad", b"NOTSET") != b"NOTSET":
            raise _NoPathError
        strides, pads = given.get("strides", [1, 1]), given.get("pads", [0, 0, 0, 0])
        dilations = given.get("dilations", [1, 1])
        kernel = self._arrays[node.input[1]].shape[2:]
        before, after = self._shapes[node.input[0]][2:], self._shapes[node.output[0]][2:]
        # What the strides cut off at the far end comes back as zeros.
        more = [
            before[axis]
            - ((after[axis] - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1)
            + (pads[axis] + pads[axis + 2])
            for axis in (0, 1)
        ]
        options = {"strides": strides, "pads": pads, "dilations": dilations, "group": given.get("group", 1)}
        return self._node("ConvTranspose", gradient, node.input[1], output_padding=more, **options)

    def _unclipped(self, node: Any, gradient: str) -> str:
        nothing = self._constant(np.float32(0.0))
        bounds = [nothing] if node.op_type == "Relu" else node.input[1:]
        for name, comparison in zip(bounds, ("Greater", "Less"), strict=False):
            inside = self._node(comparison, node.output[0], name)
            gradient = self._node("Where", inside, gradient, nothing)
        return gradient

    def _joined(self, maps: Sequence[tuple[str, int]], cam: str) -> tuple[str, int]:
        """The sum of the branches' maps, moved so that its mean is that of the coarse map; and its side."""
        side = max(height for _, height in maps)
        if any(side % height for _, height in maps):
            raise _NoPathError
        total = self._sum([self._repeated(name, side // height) for name, height in maps])
        fine = self._node("Squeeze", total, self._numbers(1))
        mean, wanted = (self._node("ReduceMean", name, self._numbers(1, 2), keepdims=1) for name in (fine, cam))
        return self._node("Add", fine, self._node("Sub", wanted, mean)), side

    def _repeated(self, name: str, times: int) -> str:
        """A map (N, 1, H, W) whose cells are squares of so many cells to a side."""
        if times == 1:
            return name
        scales = self._constant(np.array([1, 1, times, times], np.float32))
        places = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self._node("Resize", name, "", scales, mode="nearest", **places)

    def _sum(self, names: Sequence[str]) -> str:
        return names[0] if len(names) == 1 else self._node("Sum", *names)

    def _node(self, kind: str, *inputs: str, **attributes: object) -> str:
        from onnx import helper

        name = f"{PREFIX}/{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def _numbers(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"{PREFIX}/constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
