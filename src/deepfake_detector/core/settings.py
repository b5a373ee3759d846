"""What a caller may choose about an analysis, with the defaults that the command line shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import Doubt, OperatingPoint


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an input may be before it is refused: bytes of the file, pixels after decoding, pixels of one side."""

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 120_000_000
    max_side: int = 32_768


@dataclass(frozen=True, slots=True)
class VideoLimits:
    """How large a video may be before it is refused, and how long it may be decoded.

    ``max_pixels`` and ``max_side`` are those of one frame; 16K (15360 × 8640) is above them, 8K is not. ``max_frames``
    bounds the frames that are handed out, ``max_decode_seconds`` the wall-clock time spent in the decoder for one
    pass, and ``threads`` the threads of one decoder.
    """

    max_bytes: int = 8 * 1024**3
    max_seconds: float = 4 * 3600.0
    max_pixels: int = 36_000_000
    max_side: int = 8192
    max_frames: int = 20_000
    max_decode_seconds: float = 3600.0
    threads: int = 2

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if not value > 0:
                raise ConfigError(f"{limit.name} is {value}; give a positive number")


@dataclass(frozen=True, slots=True)
class OwnThreshold:
    """A threshold that a user set on real photos of their own; ``scoring.own_threshold`` reads and writes it.

    ``logit`` is the calibrated logit (prior 0.5) from which on a single face is called fake, so that a share ``fpr``
    of such photos is; ``photos`` says on how many it was set. It holds for one model only.
    """

    fpr: float
    logit: float
    photos: int
    model_sha256: str
    model_version: str


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """How to analyse.

    ``prior`` is the share of fakes expected among the inputs, 0–1 exclusive; it moves ``p_fake`` and not the
    verdict. ``threads`` is for each ONNX session; 0 lets ONNX Runtime choose. ``explain`` adds heat maps, cautions and
    provenance to the report, and changes nothing else in it; ``trust_anchors`` is a PEM file with the certificates that
    make the signer of a C2PA manifest trusted. ``own_threshold`` goes with the operating point OWN, and with no other.
    ``doubts`` make a face uncertain beside those that the model's card has in use; the band always does.
    ``video_limits`` and ``pooling``, the name of how the frames of a person are joined, are for videos; so is
    ``temporal_model``, the folder of a model that speaks in the place of pooling, with thresholds of its own.
    """

    operating_point: OperatingPoint = OperatingPoint.FPR5
    prior: float = 0.5
    all_faces: bool = False
    threads: int = 0
    limits: Limits = field(default_factory=Limits)
    explain: bool = False
    trust_anchors: Path | None = None
    own_threshold: OwnThreshold | None = None
    doubts: tuple[Doubt, ...] = ()
    video_limits: VideoLimits = field(default_factory=VideoLimits)
    pooling: str = "mean"
    temporal_model: Path | None = None

    @property
    def fpr(self) -> float:
        """The share of real pictures that may be called fake, 0–1."""
        return self.operating_point.fpr if self.own_threshold is None else self.own_threshold.fpr

    def __post_init__(self) -> None:
        if not (math.isfinite(self.prior) and 0.0 < self.prior < 1.0):
            raise ConfigError(f"prior is {self.prior}; give a share of fakes between 0 and 1, both excluded")
        if self.temporal_model is not None and self.own_threshold is not None:
            raise ConfigError(
                "a threshold of your own holds for pooled frames, and a temporal model has its own; leave one out"
            )
        if self.threads < 0:
            raise ConfigError(f"threads is {self.threads}; give 0 (automatic) or a positive number")
        if (self.operating_point is OperatingPoint.OWN) != (self.own_threshold is not None):
            raise ConfigError(
                f"operating point {self.operating_point.value} and own_threshold {self.own_threshold}: give both "
                "OperatingPoint.OWN and a threshold of your own, or neither"
            )
