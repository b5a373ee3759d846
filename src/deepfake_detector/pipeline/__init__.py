"""The online conductor: from a picture to its report."""

from __future__ import annotations

from deepfake_detector.pipeline.detector import DEFAULT_BATCH_SIZE, DEFAULT_WORKERS, Detector

__all__ = ["DEFAULT_BATCH_SIZE", "DEFAULT_WORKERS", "Detector"]
