"""What the HTML report says of the model, from its card; for the command line and the service."""

from __future__ import annotations

from deepfake_detector.report.html import Figure, ModelSummary, TrainingSet
from deepfake_detector.scoring.card import Card, Metric

MOST_FIGURES = 12
"""More would make the report a table of numbers; the rest stands on the card."""


def model_summary(card: Card) -> ModelSummary:
    """The summary of a card."""
    return ModelSummary(
        name=card.name,
        version=card.version,
        sha256=card.onnx_sha256,
        description=card.description,
        architecture=card.architecture,
        license=card.license,
        limits=card.limits,
        data=tuple(TrainingSet(item.name, item.real, item.fake, item.terms) for item in card.data),
        figures=tuple(_figure(metric) for metric in card.metrics[:MOST_FIGURES]),
    )


def _figure(metric: Metric) -> Figure:
    value = f"{metric.value:.3f}"
    if metric.low is not None and metric.high is not None:
        value += f" ({metric.low:.3f} to {metric.high:.3f})"
    if metric.used_for_selection:
        value += ", used to choose the model"
    return Figure(metric.name, metric.on, value)
