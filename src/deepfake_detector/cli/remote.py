"""A service in the place of the detector: ``deepfake detect --server URL``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from deepfake_detector.core.errors import InputError, ServiceError
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import ModelInfo
from deepfake_detector.core.video import AnyOutcome
from deepfake_detector.media.image import ImageSource
from deepfake_detector.scoring.calibration import p_fake, threshold_logit
from deepfake_detector.scoring.card import Card
from deepfake_detector.service.client import DeepfakeDetectorClient
from deepfake_detector.verdict.decide import Policy, bounds_for

KEY_VARIABLE = "DEEPFAKE_KEY"
"""The environment variable with the API key; an option would show it to everybody on the machine."""


class RemoteDetector:
    """Answers as ``Detector`` does, by asking a service."""

    def __init__(self, client: DeepfakeDetectorClient, settings: AnalysisSettings) -> None:
        self.settings = settings
        self._client = client
        said = client.model()
        try:
            self.card = Card.model_validate(said["card"])
            self.info = ModelInfo(**said["model"])
        except (ValidationError, KeyError, TypeError) as error:
            raise ServiceError("the service says of its model what this version does not understand") from error

    def analyze_many(self, sources: Iterable[ImageSource]) -> Iterator[AnyOutcome]:
        """One outcome for each source (paths and bytes), in order."""
        return self._client.analyze_many(_sendable(source) for source in sources)

    def threshold(self, faces: int = 1) -> float:
        """As ``Detector.threshold``, by what the service says of its model."""
        calibration = self.card.calibration
        policy = Policy(self.settings.fpr, lambda fpr: threshold_logit(calibration, fpr), calibration.band_below)
        return p_fake(bounds_for(faces, policy).fake_from, self.settings.prior)


@contextmanager
def open_remote(address: str, settings: AnalysisSettings) -> Iterator[RemoteDetector]:
    """The detector at an address. Raises ServiceError, or MissingExtraError without the extra [client]."""
    with DeepfakeDetectorClient(address, os.environ.get(KEY_VARIABLE) or None, settings) as client:
        yield RemoteDetector(client, settings)


def _sendable(source: ImageSource) -> str | bytes:
    if isinstance(source, bytes):
        return source
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    raise InputError(f"cannot send an object of type {type(source).__name__}; give a path or bytes")
