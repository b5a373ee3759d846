"""Who does the work of an analysis; the ``Detector`` chooses them, pictures and videos share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.faces.find import Finder
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.verdict.decide import Policy

if TYPE_CHECKING:
    from deepfake_detector.pipeline.explainer import Explainer
    from deepfake_detector.scoring.sequence import SequenceScorer


@dataclass(frozen=True, slots=True)
class Crew:
    """What is opened once and used for all inputs, by any number of threads.

    ``finder`` is None where the network looks at whole pictures, ``explainer`` where nobody asked for reasons, and
    ``sequence`` where frames are pooled.
    """

    scorer: Scorer
    settings: AnalysisSettings
    policy: Policy
    finder: Finder | None = None
    explainer: Explainer | None = None
    sequence: SequenceScorer | None = None
