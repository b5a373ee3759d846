"""The networks that can be trained, by name; each is a function from a ``BackboneSpec`` to a Keras model, and facts."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.models import applications as keras_applications
from deepfake_detector.training.models import mesonet, mobilenetv2, traces, vit
from deepfake_detector.training.models.applications import Application
from deepfake_detector.training.models.spec import BackboneSpec

if TYPE_CHECKING:
    import keras

Build = Callable[[BackboneSpec], "keras.Model"]
"""From a spec to a model whose input "image" is uint8 RGB (N, S, S, 3), and whose output is a map (N, h, w, c)."""

ALL = "all"
BLOCK = r"(block_\d+)_"
"""How the layers of a block are named in this project's own networks."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A network and what has to be known of it.

    ``blocks`` is a pattern whose first group is the name of the block that a layer's name belongs to; ``from_block`` is
    where fine-tuning begins by default; ``widths`` are the least and the largest ``alpha``. ``application`` says where
    ImageNet weights come from, if Keras has them. ``residual_norms`` matches the names of the last BatchNorm of each
    residual branch, of networks that need it to start from nothing (``models.network.begin_as_identity``).
    """

    build: Build
    blocks: str = BLOCK
    from_block: str = ALL
    widths: tuple[float, float] = (1.0, 1.0)
    application: Application | None = None
    residual_norms: str | None = None


def _of(application: Application, blocks: str, from_block: str) -> Backbone:
    return Backbone(application.build, blocks, from_block, (0.35, 2.0) if application.wide else (1.0, 1.0), application)


_EXPANDED = r"(expanded_conv(?:_\d+)?)_"
_LETTERED = r"(block\d+[a-z]+)_"
_CONV = r"(conv\d_block\d+)_"

BACKBONES: Mapping[str, Backbone] = {
    "mobilenetv2": Backbone(mobilenetv2.build, BLOCK, "block_13", (0.1, 2.0), keras_applications.MOBILENETV2),
    "mobilenetv2-levels": Backbone(
        mobilenetv2.build_levels, BLOCK, "block_13", (0.1, 2.0), keras_applications.MOBILENETV2
    ),
    "mobilenetv3-small": _of(keras_applications.MOBILENETV3_SMALL, _EXPANDED, "expanded_conv_8"),
    "mobilenetv3-large": _of(keras_applications.MOBILENETV3_LARGE, _EXPANDED, "expanded_conv_12"),
    **{
        f"efficientnet-{size.lower()}": _of(application, _LETTERED, "block6a")
        for size, application in keras_applications.EFFICIENTNET.items()
    },
    **{
        f"efficientnetv2-{size.lower()}": _of(application, _LETTERED, "block6a")
        for size, application in keras_applications.EFFICIENTNETV2.items()
    },
    "resnet50": replace(
        _of(keras_applications.RESNET50, _CONV, "conv5_block1"), residual_norms=r"conv\d_block\d+_3_bn"
    ),
    "convnext-tiny": _of(keras_applications.CONVNEXT_TINY, r".*(stage_\d+_block_\d+)_", "stage_3_block_0"),
    "xception": _of(keras_applications.XCEPTION, r"(block\d+)_", "block13"),
    "densenet121": _of(keras_applications.DENSENET121, _CONV, "conv5_block1"),
    "vit-tiny": Backbone(vit.TINY.build, BLOCK, "block_9"),
    "vit-small": Backbone(vit.SMALL.build, BLOCK, "block_9"),
    "vit-base": Backbone(vit.BASE.build, BLOCK, "block_9"),
    "mesonet": Backbone(mesonet.build, widths=(0.1, 8.0)),
    "mesoinception": Backbone(mesonet.build_inception, widths=(0.1, 8.0)),
    "traces": Backbone(traces.build, widths=(0.1, 8.0)),
}


def find_backbone(name: str) -> Backbone:
    """A backbone of this project by its name, or one of your own as ``package.module:function``.

    Raises ConfigError if there is none, or if the function does not give what ``Build`` says.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    module, colon, function = name.partition(":")
    if not colon:
        raise ConfigError(
            f"there is no backbone {name!r}; choose one of {', '.join(BACKBONES)}, or give a function of your own as "
            "package.module:function"
        )
    try:
        build = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"cannot import the backbone {name!r}: {error}. Install its package, or add its folder to PYTHONPATH"
        ) from error
    return Backbone(lambda spec: _checked(build(spec), spec, name), widths=(0.0, float("inf")))


def _checked(model: keras.Model, spec: BackboneSpec, name: str) -> keras.Model:
    entry, exit_ = getattr(model, "input", None), getattr(model, "output", None)
    if entry is None or entry.shape != (None, spec.size, spec.size, 3) or entry.dtype != "uint8":
        got = "no Keras model" if entry is None else f"{entry.dtype} {entry.shape}"
        raise ConfigError(
            f"the backbone {name!r} must take uint8 pictures (None, {spec.size}, {spec.size}, 3), got {got}"
        )
    if exit_ is None or len(exit_.shape) != 4 or None in exit_.shape[1:]:
        raise ConfigError(f"the backbone {name!r} must give a map (None, h, w, channels), got {exit_}")
    return model
