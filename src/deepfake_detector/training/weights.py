"""Pretrained weights: from keras.applications, from torchvision's port, from a file, an earlier run, or a bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import WeightsError
from deepfake_detector.training.models.spec import SHRINK

if TYPE_CHECKING:
    import keras

    from deepfake_detector.training.models.applications import Application
    from deepfake_detector.training.models.network import HeadSpec
    from deepfake_detector.training.models.spec import BackboneSpec

IMAGENET = "imagenet"
TORCHVISION = "imagenet-torchvision"
RANDOM = "random"
CACHE_VARIABLE = "DEEPFAKE_DETECTOR_WEIGHTS"
PORTED_FILE = "mobilenet_v2_imagenet_torchvision.npz"
PORTED = ("mobilenetv2", "mobilenetv2-levels")
OWN = "own"
TOP = "predictions"
BLOCKS_OF_TORCHVISION = 17

Arrays = dict[str, NDArray[np.float32]]
"""Weights by "layer/variable" with Keras' names and shapes, such as "block_3_expand/kernel"."""


def cache_folder() -> Path:
    """Where ported weights are kept: $DEEPFAKE_DETECTOR_WEIGHTS, or ~/.cache/deepfake-detector/weights."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path.home() / ".cache" / "deepfake-detector" / "weights"


def network_with_weights(
    backbone: str, weights: str, size: int, alpha: float, head: HeadSpec, shrink: int = 1
) -> keras.Model:
    """The network, its backbone filled from ``weights``; the heads are new unless the weights are a whole network.

    A whole network keeps its width, and is put to pictures of ``size`` pixels and to ``shrink`` (which, for a bundle,
    must be what it was trained with).

    ``weights`` is "imagenet" (keras.applications, needs the internet once), "imagenet-torchvision" (the ported file
    in the cache), a .npz that was ported, a .h5 of keras.applications, a .keras checkpoint, a run folder, a bundle
    (see ``bundle_weights``), or "random", which has to be asked for by that word; "own" are those that a backbone of
    one's own comes with. Raises WeightsError, and ConfigError for a backbone that does not exist.
    """
    from deepfake_detector.training.bundle_weights import is_bundle, network_of_bundle
    from deepfake_detector.training.models.network import build_network
    from deepfake_detector.training.models.spec import BackboneSpec

    if is_bundle(weights):
        network = network_of_bundle(backbone, weights, BackboneSpec(size, alpha, shrink=shrink), head)
        return network if network.input_shape[1] == size else _looking_at(network, size, shrink)

    path = Path(weights).expanduser()
    if weights not in {IMAGENET, TORCHVISION, RANDOM, OWN} and (path.is_dir() or path.suffix == ".keras"):
        return _continued(path, size, shrink)
    spec = replace(conventions(weights, size, alpha), shrink=shrink)
    if weights == IMAGENET or path.suffix == ".h5":
        application = _application(backbone, weights)
        network = build_network(backbone, spec, head)
        copy_in_order(_pretrained(application, backbone, weights, spec), network, application.bgr)
        return network
    if weights == OWN and ":" not in backbone:
        raise WeightsError(f"only a backbone of your own (package.module:function) has weights 'own', not {backbone}")
    if weights == TORCHVISION and backbone not in PORTED:
        raise WeightsError(f"{TORCHVISION!r} are weights of {PORTED[0]}; {_what_else(backbone)}")
    network = build_network(backbone, spec, head)
    if weights not in {RANDOM, OWN}:
        if alpha != 1.0:
            raise WeightsError(f"the ported weights are for alpha 1.0, not {alpha}; set model.alpha to 1.0")
        load_arrays(network, read_arrays(ported_file() if weights == TORCHVISION else path))
    return network


def conventions(weights: str, size: int, alpha: float) -> BackboneSpec:
    """How a network must pad and normalise for these weights."""
    from deepfake_detector.training.models.spec import PLUS_MINUS_ONE, BackboneSpec, Padding

    if weights == IMAGENET or weights.endswith(".h5"):
        return BackboneSpec(size, alpha, Padding.SAME, PLUS_MINUS_ONE, epsilon=1e-3)
    return BackboneSpec(size, alpha)


def ported_file() -> Path:
    """The ported ImageNet weights in the cache; raises WeightsError, which says how to get them."""
    path = cache_folder() / PORTED_FILE
    if not path.is_file():
        raise WeightsError(
            f"there are no ported ImageNet weights at {path}. Make them once, in any environment that has PyTorch: "
            "'pip install torch numpy && python scripts/port_imagenet_weights.py'; or set model.weights to 'imagenet', "
            "which downloads those of keras.applications"
        )
    return path


def read_arrays(path: Path) -> Arrays:
    """Read a .npz of weights; raises WeightsError if it is missing or is not one."""
    if path.suffix != ".npz":
        raise WeightsError(f"cannot take weights from {path}: give a .npz, .h5 or .keras file, or a run folder")
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if "/" in name}
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read weights from {path}: {error}") from error


def load_arrays(network: keras.Model, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Fill every layer of the backbone; raises WeightsError if one lacks its weights or their shapes differ."""
    from deepfake_detector.training.models.network import head_layers

    heads = {layer.name for layer in head_layers(network)}
    for layer in network.layers:
        if layer.name in heads:
            continue
        for variable in layer.weights:
            name = f"{layer.name}/{variable.name}"
            if name not in arrays:
                raise WeightsError(f"the weights have no {name!r}; they are for another network")
            if tuple(variable.shape) != arrays[name].shape:
                raise WeightsError(
                    f"{name!r} has shape {arrays[name].shape}, the network wants {tuple(variable.shape)}"
                )
            variable.assign(arrays[name])


def copy_in_order(source: keras.Model, network: keras.Model, bgr: bool = False) -> None:
    """Copy the weights of a network of keras.applications into the backbone, which was made by the same builder.

    Some of its layers have names that differ each time, but their order is the same. ``bgr``: the first kernel of
    ``source`` wants blue first. Raises WeightsError if the two do not fit.
    """
    import keras

    from deepfake_detector.training.models.network import head_layers

    heads = {layer.name for layer in head_layers(network)}
    ours = [layer for layer in network.layers if layer.weights and layer.name not in heads]
    # What is normalised in the graph is not normalised again.
    theirs = [one for one in source.layers if one.weights and not isinstance(one, keras.layers.Normalization)]
    if len(ours) != len(theirs):
        raise WeightsError(f"the weights are of {len(theirs)} layers, the network has {len(ours)}; they do not fit")
    for place, (one, layer) in enumerate(zip(theirs, ours, strict=True)):
        arrays = one.get_weights()
        if isinstance(layer, keras.layers.DepthwiseConv2D) and isinstance(one, keras.layers.Conv2D):
            arrays[0] = arrays[0].transpose(0, 1, 3, 2)  # one group for each channel; see models.applications
        shapes = [array.shape for array in arrays], [tuple(variable.shape) for variable in layer.weights]
        if shapes[0] != shapes[1]:
            raise WeightsError(f"{layer.name!r} has weights of shapes {shapes[0]}, the network wants {shapes[1]}")
        if bgr and place == 0:
            arrays[0] = arrays[0][:, :, ::-1]
        layer.set_weights(arrays)


def from_torchvision(state: Mapping[str, NDArray[np.float32]]) -> Arrays:
    """Rename and transpose the state of torchvision's MobileNetV2; its classifier becomes "predictions"."""
    arrays: Arrays = {}
    for theirs, ours in _torchvision_layers().items():
        if f"{theirs}.running_mean" in state:
            parts = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
            arrays |= {f"{ours}/{mine}": np.asarray(state[f"{theirs}.{part}"]) for mine, part in parts.items()}
            continue
        kernel = np.asarray(state[f"{theirs}.weight"])
        if ours == TOP:
            arrays[f"{ours}/bias"] = np.asarray(state[f"{theirs}.bias"])
            arrays[f"{ours}/kernel"] = np.ascontiguousarray(kernel.T)
        else:  # PyTorch: out, in, height, width; Keras: height, width, in, out; depthwise: height, width, channel, 1
            order = (2, 3, 0, 1) if ours.endswith("_depthwise") else (2, 3, 1, 0)
            arrays[f"{ours}/kernel"] = np.ascontiguousarray(kernel.transpose(order))
    return arrays


def _torchvision_layers() -> dict[str, str]:
    """Names of torchvision's layers → names of ours."""
    names = {"features.0.0": "Conv1", "features.0.1": "bn_Conv1"}
    for number in range(1, BLOCKS_OF_TORCHVISION + 1):
        theirs, ours = f"features.{number}.conv", f"block_{number - 1}" if number > 1 else "expanded_conv"
        parts = ["expand", "depthwise"] if number > 1 else ["depthwise"]
        for position, part in enumerate(parts):
            names[f"{theirs}.{position}.0"] = f"{ours}_{part}"
            names[f"{theirs}.{position}.1"] = f"{ours}_{part}_BN"
        names[f"{theirs}.{len(parts)}"] = f"{ours}_project"
        names[f"{theirs}.{len(parts) + 1}"] = f"{ours}_project_BN"
    return names | {"features.18.0": "Conv_1", "features.18.1": "Conv_1_bn", "classifier.1": TOP}


def _continued(path: Path, size: int, shrink: int) -> keras.Model:
    """A whole network from a checkpoint file or from the best checkpoint of a run folder."""
    import keras

    file = path / "checkpoints" / "best.keras" if path.is_dir() else path
    if not file.is_file():
        raise WeightsError(f"there is no checkpoint at {file}")
    try:
        network: keras.Model = keras.models.load_model(file, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"cannot read the checkpoint {file}: {error}") from error
    now = _shrink(network)
    if now == 1 and shrink > 1:
        raise WeightsError(
            f"the network of {file} looks at all pixels (shrink 1), not at blocks of {shrink}; set model.shrink to 1"
        )
    return network if (network.input_shape[1], now) == (size, shrink) else _looking_at(network, size, shrink)


def _shrink(network: keras.Model) -> int:
    """The side of the blocks of pixels that the network begins by averaging; 1 if it does not."""
    sides = [layer.pool_size[0] for layer in network.layers if layer.name == SHRINK]
    return int(sides[0]) if sides else 1


def _looking_at(network: keras.Model, size: int, shrink: int) -> keras.Model:
    """The same network, with its weights, for pictures of another side, or of which it averages other blocks.

    Raises WeightsError if it takes no other.
    """
    from deepfake_detector.training.models.vit import POSITIONS, resize_layer, resized_positions

    config, factor = network.get_config(), size / shrink / (network.input_shape[1] / _shrink(network))
    for layer in config["layers"]:
        layer.pop("build_config", None)  # the shapes of the old size
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = (None, size, size, 3)
        if layer["config"]["name"] == SHRINK:
            layer["config"] |= {"pool_size": (shrink, shrink), "strides": (shrink, shrink)}
        resize_layer(layer, factor)
    try:
        resized: keras.Model = type(network).from_config(config)
        for layer, old in zip(resized.layers, network.layers, strict=True):
            arrays = old.get_weights()
            if layer.name == POSITIONS:
                arrays[1] = resized_positions(arrays[1], layer.weights[1].shape[0])
            layer.set_weights(arrays)
    except ValueError as error:
        raise WeightsError(
            f"this network is for pictures of {network.input_shape[1]} px and cannot take {size} ({error}); set "
            f"data.size to {network.input_shape[1]} and model.shrink to {_shrink(network)}, or begin from other weights"
        ) from error
    return resized


def _application(backbone: str, weights: str) -> Application:
    """Which network of keras.applications the weights are of. Raises WeightsError if Keras has none."""
    from deepfake_detector.training.models import find_backbone

    application = find_backbone(backbone).application
    if application is None:
        raise WeightsError(
            f"keras.applications has no {backbone}, so there are no weights {weights!r} for it; {_what_else(backbone)}"
        )
    return application


def _what_else(backbone: str) -> str:
    ported = f"{TORCHVISION!r} (scripts/port_imagenet_weights.py makes the file), " * (backbone in PORTED)
    return f"set model.weights to {ported}a file, the folder of an earlier run, or 'random' to begin from nothing"


def _pretrained(application: Application, backbone: str, weights: str, spec: BackboneSpec) -> keras.Model:
    """The network of keras.applications with its weights, downloaded (and then cached by Keras) or from a file."""
    try:
        return application.pretrained(weights, spec)
    except Exception as error:
        raise WeightsError(
            f"cannot get the weights {weights!r} of keras.applications for {backbone}: {error}. Go online once, or "
            f"{_what_else(backbone)}"
        ) from error
