"""The networks of ``keras.applications`` as data: which builder, what its weights want to see, where it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from deepfake_detector.training.models.mobilenetv2 import normalise
from deepfake_detector.training.models.spec import IMAGENET, PLUS_MINUS_ONE, SHRINK, BackboneSpec, Normalisation

if TYPE_CHECKING:
    import keras

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_WITHOUT_PREPROCESSING = MappingProxyType({"include_preprocessing": False})

NORMALISE = "normalise"

CAFFE = Normalisation((123.68 / 255.0, 116.779 / 255.0, 103.939 / 255.0), (1.0 / 255.0,) * 3)
"""The mean of ImageNet's colours is taken off, and they stay on a scale of 0–255."""


@dataclass(frozen=True, slots=True)
class Application:
    """One builder of ``keras.applications`` and the conventions of its ImageNet weights.

    ``rebuilt``: some layers are exchanged, see ``_exchanged``. ``bgr``: the weights want blue first, so their first
    kernel is turned round when it is loaded. ``wide``: the builder takes a width multiplier.
    """

    builder: str
    normalisation: Normalisation
    options: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    rebuilt: bool = False
    bgr: bool = False
    wide: bool = False

    def build(self, spec: BackboneSpec) -> keras.Model:
        """Input "image" (N, size, size, 3) uint8 RGB, output (N, h, h, channels), with random weights.

        Layers have the names that ``keras.applications`` gives them.
        """
        import keras

        image = keras.Input((spec.size, spec.size, 3), dtype="uint8", name="image")
        x = normalise(image, self.normalisation)
        if spec.shrink > 1:
            x = keras.layers.AveragePooling2D(spec.shrink, name=SHRINK)(x)
        body = self._make(spec, weights=None, input_tensor=x)
        network = keras.Model(image, body.output, name=self.builder.lower())
        return keras.models.clone_model(network, clone_function=_exchanged) if self.rebuilt else network

    def pretrained(self, weights: str, spec: BackboneSpec) -> keras.Model:
        """The network of ``keras.applications`` itself, with ``weights``: "imagenet" (downloaded) or a .h5 file."""
        side = spec.size // spec.shrink
        return self._make(spec, weights=weights, input_shape=(side, side, 3))

    def _make(self, spec: BackboneSpec, **arguments: Any) -> keras.Model:
        import keras

        width = {"alpha": spec.alpha} if self.wide else {}
        make = getattr(keras.applications, self.builder)
        made: keras.Model = make(include_top=False, **arguments, **width, **self.options)
        return made


def _exchanged(layer: keras.Layer) -> keras.Layer:
    """A new layer in the place of this one.

    Preprocessing inside of a network that cannot be asked to leave it out does nothing. A convolution with a group for
    each channel becomes a depthwise one: the same sums, but Keras hands the former to XLA, which cannot be exported.
    """
    import keras

    config = layer.get_config()
    inside = isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) and layer.name != NORMALISE
    if inside:
        return keras.layers.Identity(name=layer.name)
    if isinstance(layer, keras.layers.Conv2D) and layer.groups == layer.filters > 1:
        kept = ("name", "kernel_size", "strides", "padding", "use_bias")
        return keras.layers.DepthwiseConv2D(**{key: config[key] for key in kept})
    same: keras.Layer = type(layer).from_config(config)
    return same


MOBILENETV2 = Application("MobileNetV2", PLUS_MINUS_ONE, wide=True)
MOBILENETV3_SMALL = Application("MobileNetV3Small", PLUS_MINUS_ONE, _WITHOUT_PREPROCESSING, wide=True)
MOBILENETV3_LARGE = Application("MobileNetV3Large", PLUS_MINUS_ONE, _WITHOUT_PREPROCESSING, wide=True)
EFFICIENTNET = {
    size: Application(f"EfficientNet{size}", IMAGENET, rebuilt=True) for size in ("B0", "B1", "B2", "B3", "B4")
}
EFFICIENTNETV2 = {
    size: Application(f"EfficientNetV2{size}", IMAGENET, _WITHOUT_PREPROCESSING) for size in ("B0", "B1", "B2", "B3")
}
RESNET50 = Application("ResNet50", CAFFE, bgr=True)
CONVNEXT_TINY = Application("ConvNeXtTiny", IMAGENET, _WITHOUT_PREPROCESSING, rebuilt=True)
XCEPTION = Application("Xception", PLUS_MINUS_ONE)
DENSENET121 = Application("DenseNet121", IMAGENET)
