"""Reports that tests of the package ``report`` share."""

from collections.abc import Callable

import pytest

from deepfake_detector.core.types import (
    Box,
    Decision,
    Face,
    InputInfo,
    Kind,
    Landmarks,
    ModelInfo,
    OperatingPoint,
    Quality,
    QualityIssue,
    Report,
    Verdict,
)

LANDMARKS = Landmarks((30.0, 40.0), (60.0, 40.5), (45.0, 55.0), (35.0, 70.0), (55.0, 70.0))


def _face(p_fake: float = 0.9, verdict: Verdict = Verdict.FAKE, **changes: object) -> Face:
    values: dict[str, object] = {
        "box": Box(20.5, 25.0, 50.0, 60.25),
        "landmarks": LANDMARKS,
        "confidence": 0.999,
        "quality": Quality(50.0, 120.0, 101.5),
        "logit": 2.25,
        "p_fake": p_fake,
        "verdict": verdict,
        "kind": Kind.GENERATED if verdict is Verdict.FAKE else None,
    }
    return Face(**(values | changes))


def _report(verdict: Verdict = Verdict.FAKE, p_fake: float | None = 0.9, **changes: object) -> Report:
    faces = () if p_fake is None else (_face(p_fake, verdict),)
    values: dict[str, object] = {
        "input": InputInfo("photos/a.jpg", "ab" * 32, 12_345, "JPEG", 120, 100),
        "model": ModelInfo("tiny", "0.0.1", "cd" * 32, "MIT"),
        "verdict": verdict,
        "p_fake": p_fake,
        "kind": Kind.GENERATED if verdict is Verdict.FAKE else None,
        "decision": Decision(OperatingPoint.FPR5, 0.05, 0.8, 0.4, 0.5, len(faces), False),
        "faces": faces,
        "warnings": ("only the first of 3 frames was analysed",),
        "timings": {"decode": 0.01, "find": 0.2, "score": 0.03},
    }
    return Report(**(values | changes))


@pytest.fixture
def make_face() -> Callable[..., Face]:
    """``make_face(p_fake=0.9, verdict=FAKE, **fields)``."""
    return _face


@pytest.fixture
def make_report() -> Callable[..., Report]:
    """``make_report(verdict=FAKE, p_fake=0.9, **fields)``: a picture of 120 × 100 pixels with one face, or none."""
    return _report


@pytest.fixture
def unsure_report() -> Report:
    """Three faces: one between the limits, one too blurred and dark, one in the background and too small."""
    bad = Quality(50.0, 1.0, 9.0, (QualityIssue.TOO_BLURRED, QualityIssue.TOO_DARK))
    small = Quality(8.0, 90.0, 90.0, (QualityIssue.TOO_SMALL,))
    faces = (
        _face(0.6, Verdict.UNCERTAIN),
        _face(0.3, Verdict.UNCERTAIN, quality=bad, box=Box(-5.0, -5.0, 50.0, 50.0)),
        _face(0.97, Verdict.UNCERTAIN, quality=small, box=Box(112.0, 90.0, 8.0, 9.0), considered=False),
    )
    decision = Decision(OperatingPoint.FPR1, 0.01, 0.9, 0.4, 0.1, 2, False)
    return _report(Verdict.UNCERTAIN, 0.6, faces=faces, decision=decision, kind=None)
