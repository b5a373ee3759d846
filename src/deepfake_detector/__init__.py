"""Deepfake detection for faces: a photo in, a calibrated verdict out.

::

    from deepfake_detector import Detector

    report = Detector().analyze("photo.jpg")
    print(report.verdict, report.p_fake)

The names below are imported when they are first used, so that ``import deepfake_detector`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from deepfake_detector._version import __version__

if TYPE_CHECKING:
    from deepfake_detector.core.errors import (
        DeepfakeDetectorError,
        InputError,
        MissingExtraError,
        ModelError,
        ServiceError,
    )
    from deepfake_detector.core.settings import AnalysisSettings, Limits, VideoLimits
    from deepfake_detector.core.types import (
        Box,
        Face,
        Failure,
        Kind,
        OperatingPoint,
        Outcome,
        QualityIssue,
        Report,
        Verdict,
    )
    from deepfake_detector.core.video import Person, Segment, VideoReport
    from deepfake_detector.media.sampling import Sampling
    from deepfake_detector.pipeline import Detector
    from deepfake_detector.scoring.bundle import Bundle
    from deepfake_detector.scoring.bundle import load_bundle as load_model
    from deepfake_detector.service.client import AsyncDeepfakeDetectorClient, DeepfakeDetectorClient

__all__ = [
    "AnalysisSettings",
    "AsyncDeepfakeDetectorClient",
    "Box",
    "Bundle",
    "DeepfakeDetectorClient",
    "DeepfakeDetectorError",
    "Detector",
    "Face",
    "Failure",
    "InputError",
    "Kind",
    "Limits",
    "MissingExtraError",
    "ModelError",
    "OperatingPoint",
    "Outcome",
    "Person",
    "QualityIssue",
    "Report",
    "Sampling",
    "Segment",
    "ServiceError",
    "Verdict",
    "VideoLimits",
    "VideoReport",
    "__version__",
    "load_model",
]

_HOMES = {
    "core.errors": ("DeepfakeDetectorError", "InputError", "MissingExtraError", "ModelError", "ServiceError"),
    "core.settings": ("AnalysisSettings", "Limits", "VideoLimits"),
    "core.types": (
        "Box", "Face", "Failure", "Kind", "OperatingPoint", "Outcome", "QualityIssue", "Report", "Verdict",
    ),
    "core.video": ("Person", "Segment", "VideoReport"),
    "media.sampling": ("Sampling",),
    "pipeline": ("Detector",),
    "scoring.bundle": ("Bundle", "load_bundle"),
    "service.client": ("AsyncDeepfakeDetectorClient", "DeepfakeDetectorClient"),
}  # fmt: skip
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}
_NAMES_AT_HOME = {"load_model": "load_bundle"}


def __getattr__(name: str) -> object:
    own_name = _NAMES_AT_HOME.get(name, name)
    if name not in __all__ or own_name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[own_name]}"), own_name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
