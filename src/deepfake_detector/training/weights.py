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

if TYPE_CHECKING:
    import keras

    from deepfake_detector.training.models.network import HeadSpec
    from deepfake_detector.training.models.spec import BackboneSpec

IMAGENET = "imagenet"
TORCHVISION = "imagenet-torchvision"
RANDOM = "random"
CACHE_VARIABLE = "DEEPFAKE_DETECTOR_WEIGHTS"
PORTED_FILE = "mobilenet_v2_imagenet_torchvision.npz"
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

    A whole network keeps its ``shrink`` and its width, and is put to pictures of ``size`` pixels.

    ``weights`` is "imagenet" (keras.applications, needs the internet once), "imagenet-torchvision" (the ported file
    in the cache), a .npz that was ported, a .h5 of keras.applications, a .keras checkpoint, a run folder, a bundle
    (see ``bundle_weights``), or "random", which has to be asked for by that word. Raises WeightsError.
    """
    from deepfake_detector.training.bundle_weights import is_bundle, network_of_bundle
    from deepfake_detector.training.models.network import build_network
    from deepfake_detector.training.models.spec import BackboneSpec

    if is_bundle(weights):
        network = network_of_bundle(backbone, weights, BackboneSpec(size, alpha, shrink=shrink), head)
        return network if network.input_shape[1] == size else _at_size(network, size)

    path = Path(weights).expanduser()
    if weights not in {IMAGENET, TORCHVISION, RANDOM} and (path.is_dir() or path.suffix == ".keras"):
        return _continued(path, size)
    network = build_network(backbone, replace(conventions(weights, size, alpha), shrink=shrink), head)
    if weights == RANDOM:
        return network
    if weights == IMAGENET or path.suffix == ".h5":
        copy_by_name(_keras_application(backbone, weights, size, alpha), network)
    else:
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


def copy_by_name(source: keras.Model, network: keras.Model) -> None:
    """Copy the weights of all layers that both networks have by name; raises WeightsError as ``load_arrays`` does."""
    arrays = {
        f"{layer.name}/{variable.name}": np.asarray(variable.numpy(), dtype=np.float32)
        for layer in source.layers
        for variable in layer.weights
    }
    load_arrays(network, arrays)


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


def _continued(path: Path, size: int) -> keras.Model:
    """A whole network from a checkpoint file or from the best checkpoint of a run folder."""
    import keras

    file = path / "checkpoints" / "best.keras" if path.is_dir() else path
    if not file.is_file():
        raise WeightsError(f"there is no checkpoint at {file}")
    try:
        network: keras.Model = keras.models.load_model(file, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"cannot read the checkpoint {file}: {error}") from error
    return network if network.input_shape[1] == size else _at_size(network, size)


def _at_size(network: keras.Model, size: int) -> keras.Model:
    """The same network, with its weights, for pictures of another side; all its layers take any."""
    config = network.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = (None, size, size, 3)
    resized: keras.Model = type(network).from_config(config)
    resized.set_weights(network.get_weights())
    return resized


def _keras_application(backbone: str, weights: str, size: int, alpha: float) -> keras.Model:
    """The network of keras.applications with its weights, downloaded (and then cached by Keras) or from a file."""
    import keras

    applications = {"mobilenetv2": keras.applications.MobileNetV2}
    try:
        return applications[backbone](
            weights=weights, include_top=False, alpha=alpha, input_shape=(size, size, 3), name=backbone
        )
    except Exception as error:
        raise WeightsError(
            f"cannot get the weights {weights!r} of keras.applications for {backbone}: {error}. Go online once, give "
            f"the path of a file instead, or set model.weights to {TORCHVISION!r}, whose file "
            "scripts/port_imagenet_weights.py makes"
        ) from error
