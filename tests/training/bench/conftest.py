"""Answers of a model that was never asked."""

import pytest

from deepfake_detector.core.types import Verdict
from deepfake_detector.training.data.samples import Sample
from deepfake_detector.training.predict import Answer, Prediction


@pytest.fixture(scope="session")
def predictions():
    """``predictions(folder, set, label, logits)``: one picture for each logit."""

    def _predictions(folder, set_, label, logits):
        return [
            Prediction(
                Sample(folder / f"{set_}-{label.name}-{number}.png", label, set=set_),
                Answer(float(logit), float(logit), 0.5, None, Verdict.REAL, ()),
            )
            for number, logit in enumerate(logits)
        ]

    return _predictions
