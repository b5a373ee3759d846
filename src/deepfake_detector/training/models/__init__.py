"""The networks that can be trained, by name: ``BACKBONES[name](spec)`` gives a Keras model from image to features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from deepfake_detector.training.models import mesonet, mobilenetv2, traces
from deepfake_detector.training.models.spec import BackboneSpec

if TYPE_CHECKING:
    import keras

BACKBONES: Mapping[str, Callable[[BackboneSpec], keras.Model]] = {
    "mobilenetv2": mobilenetv2.build,
    "mesonet": mesonet.build,
    "traces": traces.build,
}
