"""What a report says of how its verdict came about."""

from __future__ import annotations

from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Decision, Doubt
from deepfake_detector.scoring.calibration import p_fake
from deepfake_detector.verdict.decide import Bounds


def decision_of(bounds: Bounds, settings: AnalysisSettings, doubts: tuple[Doubt, ...] = ()) -> Decision:
    """The bounds as probabilities at the prior of the settings, and the doubts that were looked for."""
    return Decision(
        operating_point=settings.operating_point,
        fpr=settings.fpr,
        threshold=p_fake(bounds.fake_from, settings.prior),
        real_below=p_fake(bounds.real_below, settings.prior),
        prior=settings.prior,
        faces=bounds.faces,
        all_faces=settings.all_faces,
        doubts=doubts,
    )
