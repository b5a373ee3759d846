"""One tree of errors; each has a stable code, and a message that says what was got and what to do.

::

    DeepfakeDetectorError
    ├── InputError                 one file could not be analysed; the others go on
    │   ├── UnreadableInputError       missing, no permission, not a file
    │   ├── EmptyInputError            no bytes, or no pixels
    │   ├── UnsupportedFormatError     not a format on the allow-list
    │   │   └── UnsupportedCodecError      a video whose codec is not on the allow-list, or not in this FFmpeg
    │   ├── DamagedInputError          truncated or corrupt
    │   ├── LimitExceededError         larger than the limits allow
    │   │   └── DecodeTimeoutError         a video that takes longer to decode than the limits allow
    │   ├── NoVideoStreamError         a video file without moving pictures, such as sound alone
    │   ├── NoFramesError              a video of which no frame can be decoded
    │   └── NoPicturesError            a folder or pattern without a picture
    ├── ModelError                 a bundle could not be used
    │   ├── ModelNotFoundError
    │   ├── ModelTamperedError         a hash does not match
    │   ├── UnsafeModelError           external data, custom operators, not ONNX
    │   └── ModelSchemaError           a card that is broken, or newer than this version
    ├── MissingExtraError          an optional dependency is not installed
    ├── ConfigError                an experiment file or a setting is wrong
    │   └── ThresholdModelError        a threshold of one's own was set for another model
    ├── DataError                  a training or evaluation set cannot be used
    ├── ServiceError               a service on the network cannot be reached, or refused
    ├── ClusterError               the workers of a training in several processes failed
    ├── WeightsError               pretrained weights cannot be had
    └── ExportError                Keras and ONNX do not agree, or the conversion failed
"""

from __future__ import annotations

from typing import ClassVar


class DeepfakeDetectorError(Exception):
    """The root of all errors that this package raises on purpose. ``code`` is stable across versions."""

    code: ClassVar[str] = "error"


class InputError(DeepfakeDetectorError):
    """One input could not be analysed."""

    code = "input_error"


class UnreadableInputError(InputError):
    """The input does not exist, may not be read, or is not a file."""

    code = "unreadable"


class EmptyInputError(InputError):
    """The input has no bytes, or decodes to no pixels."""

    code = "empty"


class UnsupportedFormatError(InputError):
    """The input is not one of the formats that this package opens."""

    code = "unsupported_format"


class UnsupportedCodecError(UnsupportedFormatError):
    """The pictures of a video are packed by a codec that is not opened here, or that this FFmpeg was built without."""

    code = "unsupported_codec"


class DamagedInputError(InputError):
    """The input has the mark of a known format, but cannot be decoded whole."""

    code = "damaged"


class LimitExceededError(InputError):
    """The input is larger than the limits in the settings."""

    code = "too_large"


class DecodeTimeoutError(LimitExceededError):
    """A video takes longer to decode than the limits in the settings allow."""

    code = "decode_timeout"


class NoVideoStreamError(InputError):
    """A file of a video format holds no moving pictures, only sound, text or a cover."""

    code = "no_video"


class NoFramesError(InputError):
    """A video holds a stream of pictures, but not one frame that can be decoded."""

    code = "no_frames"


class NoPicturesError(InputError):
    """A folder or pattern holds no picture."""

    code = "no_pictures"


class ModelError(DeepfakeDetectorError):
    """A model bundle could not be used."""

    code = "model_error"


class ModelNotFoundError(ModelError):
    """There is no bundle at the place, or by the name, that was given."""

    code = "model_not_found"


class ModelTamperedError(ModelError):
    """The bytes of a bundle are not those that its card, or this version's pins, name."""

    code = "model_tampered"


class UnsafeModelError(ModelError):
    """The ONNX file reaches outside of itself, or needs code that ONNX Runtime does not ship."""

    code = "model_unsafe"


class ModelSchemaError(ModelError):
    """The card is broken, or was written by a newer version."""

    code = "model_schema"


class MissingExtraError(DeepfakeDetectorError):
    """An optional dependency is needed and not installed."""

    code = "missing_extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f'{what} needs the extra [{extra}]: pip install "deepfake-detector[{extra}]"')
        self.extra = extra


class ConfigError(DeepfakeDetectorError):
    """An experiment file, an override or a setting is wrong."""

    code = "config"


class ClusterError(DeepfakeDetectorError):
    """A training in several processes failed, and starting it again did not help."""

    code = "cluster"


class ThresholdModelError(ConfigError):
    """A threshold of one's own was set for another model than the one that is to answer."""

    code = "threshold_model"


class DataError(DeepfakeDetectorError):
    """A training or evaluation set cannot be used as it is."""

    code = "data"


class ServiceError(DeepfakeDetectorError):
    """A service on the network could not be reached, or refused a request.

    ``status`` is that of HTTP, None if there was no answer; ``problem`` the code in the service's problem document.
    """

    code = "service"

    def __init__(self, message: str, status: int | None = None, problem: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problem = problem


class WeightsError(DeepfakeDetectorError):
    """Pretrained weights cannot be had; nothing is ever started from random weights in their place."""

    code = "weights"


class ExportError(DeepfakeDetectorError):
    """A trained network could not be turned into a bundle that answers the same."""

    code = "export"
