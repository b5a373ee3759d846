"""What a caller may choose about an analysis, with the defaults that the command line shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import OperatingPoint


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an input may be before it is refused: bytes of the file, pixels after decoding, pixels of one side."""

    max_bytes: int = 256 * 1024 * 1024
    max_pixels: int = 120_000_000
    max_side: int = 32_768


@dataclass(frozen=True, slots=True)
class AnalysisSettings:
    """How to analyse.

    ``prior`` is the share of fakes expected among the inputs, 0–1 exclusive; it moves ``p_fake`` and not the
    verdict. ``threads`` is for each ONNX session; 0 lets ONNX Runtime choose.
    """

    operating_point: OperatingPoint = OperatingPoint.FPR5
    prior: float = 0.5
    all_faces: bool = False
    threads: int = 0
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.prior) and 0.0 < self.prior < 1.0):
            raise ConfigError(f"prior is {self.prior}; give a share of fakes between 0 and 1, both excluded")
        if self.threads < 0:
            raise ConfigError(f"threads is {self.threads}; give 0 (automatic) or a positive number")
