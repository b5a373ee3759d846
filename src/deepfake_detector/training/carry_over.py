"""Carries a card's calibration, thresholds and limits over to a model that answers nearly like the card's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepfake_detector.core.errors import DataError, ExportError
from deepfake_detector.core.types import Scores
from deepfake_detector.scoring.calibration import calibrated_logit, threshold_logit
from deepfake_detector.scoring.card import Calibration, Card, Doubts, FprPoint
from deepfake_detector.scoring.own_threshold import BAND_RATE
from deepfake_detector.training.calibrate import MIN_PER_CLASS, RatePoint, fpr_points, set_weights
from deepfake_detector.training.data.samples import Sample
from deepfake_detector.training.familiarity import limit_of
from deepfake_detector.training.intervals import Floats


def carried_over(card: Card, before: Scores, after: Scores, samples: Sequence[Sample]) -> Card:
    """The card as the new model needs it; ``before`` and ``after`` are what both say of the same N validation pictures.

    Temperature and bias give the old calibrated logit as well as a line can (least squares, sets and classes weighing
    as in ``calibrate``). On that scale thresholds stay where they are, unless a source of these reals would exceed the
    rate, and further than it did: then they are raised (``calibrate.fpr_points``). The limit of far faces is set on the
    known sets again.
    Raises DataError for too few pictures, ExportError if the two have nothing to do with each other.
    """
    labels = np.array([int(one.label) for one in samples])
    counts = np.bincount(labels, minlength=2)
    if counts.min() < MIN_PER_CLASS:
        raise DataError(
            f"{counts[0]} real and {counts[1]} fake validation pictures are too few to set thresholds again; "
            f"give at least {MIN_PER_CLASS} of each"
        )
    calibration = _calibration(card.calibration, (before, after), labels, [one.set for one in samples])
    return card.model_copy(update={"calibration": calibration, "doubts": _doubts(card, after, samples)})


def _calibration(
    old: Calibration, scores: tuple[Scores, Scores], labels: np.ndarray, sets: Sequence[str]
) -> Calibration:
    before, after = scores
    wanted, raw = calibrated_logit(before.fake_logit, old), after.fake_logit.astype(np.float64)
    slope, bias = _line(raw, wanted, set_weights(labels, sets))
    found = raw * slope + bias
    reals, sources = labels == 0, np.asarray(sets)[labels == 0]
    needed = [{point.fpr: point for point in fpr_points(one[reals], sources)} for one in (wanted, found)]
    logits = [_raised(point, *(one.get(point.fpr) for one in needed)) for point in old.fpr_curve]
    curve = tuple(
        FprPoint(fpr=point.fpr, logit=float(logit))
        for point, logit in zip(old.fpr_curve, np.maximum.accumulate(logits), strict=True)
    )
    made = old.model_copy(
        update={
            "temperature": 1.0 / slope,
            "bias": bias,
            "kind_temperature": _kind_temperature(old, before, after, labels),
            "fpr_curve": curve,
            "fitted_on": f"{old.fitted_on}; carried over to this model on {len(labels)} validation faces",
        }
    )
    # Under the band a face is called real: from the same calibrated logit on as before.
    edge = threshold_logit(old, BAND_RATE) - old.band_below
    return made.model_copy(update={"band_below": max(0.0, threshold_logit(made, BAND_RATE) - edge)})


def _raised(point: FprPoint, before: RatePoint | None, after: RatePoint | None) -> float:
    """The threshold of the new model; ``before`` and ``after`` are those that the reals at hand ask for."""
    if before is None or after is None or not after.measured:
        return point.logit
    excess = max(0.0, before.logit - point.logit)  # what these reals exceeded the rate by before is no fault of now
    return max(point.logit, after.logit - excess)


def _line(raw: Floats, wanted: Floats, weights: Floats) -> tuple[float, float]:
    """Slope and offset of the line that gives ``wanted`` (N,) of ``raw`` (N,) with the least squares."""
    weights = weights / weights.sum()
    centre, middle = float(weights @ raw), float(weights @ wanted)
    spread = float(weights @ (raw - centre) ** 2)
    slope = float(weights @ ((raw - centre) * (wanted - middle))) / spread if spread else 0.0
    if not slope > 0.0:
        raise ExportError("what the new model says has nothing to do with what the old one says; use the old one")
    return slope, middle - slope * centre


def _kind_temperature(old: Calibration, before: Scores, after: Scores, labels: np.ndarray) -> float:
    if before.kind_logit is None or after.kind_logit is None:
        return old.kind_temperature
    first, second = (logits[labels == 1].astype(np.float64) for logits in (before.kind_logit, after.kind_logit))
    both = float(first @ second)
    return old.kind_temperature * float(second @ second) / both if both > 0.0 else old.kind_temperature


def _doubts(card: Card, after: Scores, samples: Sequence[Sample]) -> Doubts:
    far = card.doubts.far
    known = {one.name for one in card.data}
    chosen = [place for place, one in enumerate(samples) if one.set in known or not one.set]
    if far is None or after.distance is None or not chosen:
        return card.doubts
    limit = limit_of(after.distance[chosen].astype(np.float64), [samples[place] for place in chosen], far.beyond)
    words = f"{far.fitted_on}; the limit for this model on {len(chosen)} of the validation split"
    return card.doubts.model_copy(update={"far": far.model_copy(update={"limit": limit, "fitted_on": words})})
