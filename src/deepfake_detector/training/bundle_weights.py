"""Weights out of a bundle: an exported network, or one branch of a joined one, becomes a network that is trained on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ModelError, WeightsError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.scoring.shipped import SHIPPED

if TYPE_CHECKING:
    import keras

    from deepfake_detector.training.models.network import HeadSpec
    from deepfake_detector.training.models.spec import BackboneSpec

Array = NDArray[np.float32]
BRANCH_MARK = "#"
TOLERANCE = 1e-3
"""Largest difference of a feature, as a share of the largest feature."""


def is_bundle(weights: str) -> bool:
    """Whether ``weights`` is a bundle's folder or a shipped model's name, with or without "#" and a branch."""
    name = weights.partition(BRANCH_MARK)[0]
    return name in SHIPPED or (Path(name).expanduser() / "card.json").is_file()


def network_of_bundle(backbone: str, weights: str, spec: BackboneSpec, head: HeadSpec) -> keras.Model:
    """The network whose ONNX file is in the bundle ``weights`` ("folder"; of a joined one "folder#2", from 1).

    In an exported file BatchNormalization is part of the convolution before it. Here it is put back as a mere scale
    for each channel, under which the kernels have the size of freshly initialised ones, so that learning rates mean
    what they mean elsewhere. How the network pads and normalises (``models.spec``) is found by comparing its features
    with the file's; ``spec`` says the rest. Its head must be linear. Raises WeightsError.
    """
    from deepfake_detector.training.models.network import FAKE, KIND, build_network
    from deepfake_detector.training.models.spec import PLUS_MINUS_ONE, Padding

    if head.dense:
        raise WeightsError(f"{weights} has a linear head; set model.head to 'linear' to go on from it")
    graph, branch = _read(weights)
    conventions = (spec, replace(spec, padding=Padding.SAME, normalisation=PLUS_MINUS_ONE, epsilon=1e-3))
    for convention in conventions:
        network = build_network(backbone, replace(convention, size=graph.size), head)
        _fill(network, graph.branches[branch], weights)
        if _agrees(network, graph, branch):
            break
    else:
        raise WeightsError(
            f"the network {backbone} does not see what {weights} sees; set model.backbone and model.shrink as they "
            "were when it was trained"
        )
    own = graph.channels(branch)
    for name, (kernel, bias) in ((FAKE, graph.head(branch)), (KIND, graph.kind)):
        network.get_layer(name).set_weights([kernel[own] if len(kernel) > own.stop - own.start else kernel, bias])
    return network


@dataclass(frozen=True, slots=True)
class _Convolution:
    """Kernel (out, in, height, width) and bias (out,)."""

    kernel: Array
    bias: Array


class _Graph:
    """What of an exported file is needed: the convolutions of each branch, in order, and the heads."""

    def __init__(self, model: bytes, weights: str) -> None:
        import onnx
        from onnx import numpy_helper

        self.model = model
        loaded = onnx.load_from_string(model)
        graph = loaded.graph
        self.size = int(graph.input[0].type.tensor_type.shape.dim[1].dim_value)
        self._nodes = list(graph.node)
        self._arrays = {stored.name: numpy_helper.to_array(stored) for stored in graph.initializer}
        for node in self._nodes:
            if node.op_type == "Cast" and node.input[0] in self._arrays:
                self._arrays[node.output[0]] = self._arrays[node.input[0]].astype(np.float32)
        self._joint: Any = None
        self.branches = self._branches()
        self._heads = self._weights_of("branch_maps") or self._weights_of("fake_logit")
        kind = self._weights_of("kind_logit")
        if self._heads is None or kind is None:
            raise WeightsError(f"{weights} has no linear heads of this project; give a bundle that it exported")
        self.kind = kind
        self._counts = [len(self._heads[0])] if self._joint is None else self._channels(loaded)

    def head(self, branch: int) -> tuple[Array, Array]:
        """Kernel (channels of all branches, 1) and bias (1,) of a branch's part of its voice.

        The logits of the branches of one voice add up to it; its bias goes to the first of them.
        """
        assert self._heads is not None
        kernel, bias = self._heads
        voice = self._voice(branch)
        first = all(self._voice(earlier) != voice for earlier in range(branch))
        return kernel[:, voice : voice + 1], bias[voice : voice + 1] * first

    def _voice(self, branch: int) -> int:
        """In which voice a branch has its part."""
        assert self._heads is not None
        return int(np.abs(self._heads[0][self.channels(branch)]).sum(axis=0).argmax())

    def channels(self, branch: int) -> slice:
        """Where the features of a branch stand among those of all."""
        return slice(sum(self._counts[:branch]), sum(self._counts[: branch + 1]))

    def _branches(self) -> list[list[_Convolution]]:
        """A branch begins with a convolution that stands behind no other one, and ends where all come together."""
        origin: dict[str, int] = {}
        found: list[list[_Convolution]] = []
        order: list[int] = []
        for node in self._nodes:
            origins = {origin[name]: None for name in node.input if name in origin}
            if node.op_type == "Concat" and len(origins) > 1:
                order, self._joint = list(origins), node
            if node.op_type == "Conv" and not self._is_head(node):
                if not origins:
                    origins = {len(found): None}
                    found.append([])
                kernel = self._arrays[node.input[1]]
                bias = self._arrays[node.input[2]] if len(node.input) > 2 else np.zeros(len(kernel), np.float32)
                found[min(origins)].append(_Convolution(kernel, bias))
            for name in node.output:
                origin |= {name: min(origins)} if origins else {}
        return [found[place] for place in order or range(len(found))]

    def _channels(self, model: Any) -> list[int]:
        """How many features each branch brings to where all come together.

        As many as its last convolution has channels, where the shapes in the file do not say.
        """
        import onnx

        values = onnx.shape_inference.infer_shapes(model).graph.value_info
        shapes = {value.name: [side.dim_value for side in value.type.tensor_type.shape.dim] for value in values}
        (axis,) = (attribute.i for attribute in self._joint.attribute if attribute.name == "axis")
        found = [shapes.get(name, [0] * (axis + 1))[axis] for name in self._joint.input]
        return [count or len(convolutions[-1].bias) for count, convolutions in zip(found, self.branches, strict=True)]

    def _is_head(self, node: Any) -> bool:
        """Activation maps come from convolutions, too: of all branches, or to a single channel."""
        return "branch_maps" in node.input[1] or len(self._arrays[node.input[1]]) == 1

    def _weights_of(self, layer: str) -> tuple[Array, Array] | None:
        """Kernel (in, out) and bias (out,) of a head, whether it became a convolution or a matrix product."""
        for node in self._nodes:
            kernel = next((name for name in node.input if name in self._arrays and layer in name), None)
            if kernel is None or node.op_type not in {"Conv", "Gemm", "MatMul"}:
                continue
            array = self._arrays[kernel]
            array = array.reshape(array.shape[:2]).T if node.op_type == "Conv" else array
            bias = self._arrays.get(node.input[2]) if len(node.input) > 2 else self._added_to(node.output[0])
            if bias is not None:
                return array, bias.reshape(-1)
        return None

    def _added_to(self, name: str) -> Array | None:
        for node in self._nodes:
            if node.op_type == "Add" and name in node.input:
                return next((self._arrays[other] for other in node.input if other in self._arrays), None)
        return None


def _read(weights: str) -> tuple[_Graph, int]:
    name, mark, number = weights.partition(BRANCH_MARK)
    try:
        bundle = load_bundle(name)
    except ModelError as error:
        raise WeightsError(f"cannot take weights from {name}: {error}") from error
    graph = _Graph(bundle.model, name)
    count = len(graph.branches)
    if not mark and count > 1:
        raise WeightsError(f"{name} has {count} branches; say which, such as {name}{BRANCH_MARK}1")
    if mark and not (number.isdigit() and 1 <= int(number) <= count):
        raise WeightsError(f"{name} has no branch {number!r}; its branches are 1 to {count}")
    return graph, int(number) - 1 if mark else 0


def _fill(network: keras.Model, convolutions: list[_Convolution], weights: str) -> None:
    """Give every convolution of the backbone its kernel, and the BatchNormalization behind it scale and bias."""
    import keras

    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    layers = [layer for layer in network.layers if isinstance(layer, kinds)]
    norms = [layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not len(layers) == len(norms) == len(convolutions):
        raise WeightsError(
            f"{weights} has {len(convolutions)} convolutions, and {network.name} {len(layers)}, with {len(norms)} "
            "BatchNormalizations; set model.backbone to the network that was exported"
        )
    for layer, norm, convolution in zip(layers, norms, convolutions, strict=True):
        depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
        kernel = convolution.kernel.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
        if tuple(layer.kernel.shape) != kernel.shape:
            raise WeightsError(
                f"{layer.name} wants a kernel of {tuple(layer.kernel.shape)}, {weights} has {kernel.shape}"
            )
        scale = np.sqrt((convolution.kernel.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))
        scale[scale == 0.0] = 1.0
        layer.set_weights([kernel / (scale[:, None] if depthwise else scale)])
        values: Mapping[str, Any] = {
            "gamma": scale,
            "beta": convolution.bias,
            "moving_mean": np.zeros_like(scale),
            "moving_variance": np.full_like(scale, 1.0 - norm.epsilon),
        }
        norm.set_weights([values[variable.name] for variable in norm.weights])


def _agrees(network: keras.Model, graph: _Graph, branch: int) -> bool:
    """Whether the network computes the file's features of a random picture."""
    from deepfake_detector.training.models.network import features_model

    shape = (1, graph.size, graph.size, 3)
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (expected,) = open_session(graph.model, "the bundle").run(["features"], {"image": picture})
    expected = expected[:, graph.channels(branch)]
    found = np.asarray(features_model(network)(picture, training=False))
    if found.shape != expected.shape:
        return False
    return bool(np.abs(found - expected).max() <= TOLERANCE * np.abs(expected).max())
