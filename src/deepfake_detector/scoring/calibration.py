"""From a raw logit to a calibrated one, to a probability at a prior, and to the threshold for a false-positive rate."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.scoring.card import Calibration

Logits = NDArray[np.float64]


@overload
def calibrated_logit(raw: float, calibration: Calibration) -> float: ...
@overload
def calibrated_logit(raw: NDArray[Any], calibration: Calibration) -> Logits: ...
def calibrated_logit(raw: float | NDArray[Any], calibration: Calibration) -> float | Logits:
    """The log-odds of fake at prior 0.5, ``raw / temperature + bias``, for one raw fake logit or an array of them."""
    calibrated = np.asarray(raw, dtype=np.float64) / calibration.temperature + calibration.bias
    return _like(raw, calibrated)


@overload
def p_fake(logit: float, prior: float) -> float: ...
@overload
def p_fake(logit: NDArray[Any], prior: float) -> Logits: ...
def p_fake(logit: float | NDArray[Any], prior: float) -> float | Logits:
    """The probability of fake, 0–1, of a calibrated logit where a share ``prior`` of all inputs is fake.

    By Bayes' theorem a prior only shifts the log-odds: ``sigmoid(logit + log(prior / (1 - prior)))``.
    ``prior`` lies between 0 and 1, both excluded.
    """
    odds = np.asarray(logit, dtype=np.float64) + math.log(prior) - math.log1p(-prior)
    # exp(-log(1 + exp(-x))) is the sigmoid without overflow, exact also where it is tiny.
    return _like(logit, np.exp(-np.logaddexp(0.0, -odds)))


def threshold_logit(calibration: Calibration, fpr: float) -> float:
    """The calibrated logit from which on a face is called fake, so that a share ``fpr`` of real faces is.

    Linear in log(fpr) between the points of the card's curve, and beyond its strictest one by the last slope that
    rises: a flat end only says that the faces were too few to tell such rates apart. A rate looser than all of the
    curve gets the loosest threshold that was measured. ``fpr`` is above 0 and at most 1.
    """
    strictness = [-math.log(point.fpr) for point in calibration.fpr_curve]
    logits = [point.logit for point in calibration.fpr_curve]
    wanted = -math.log(fpr)
    if wanted > strictness[-1]:
        steps = zip(pairwise(logits), pairwise(strictness), strict=True)
        rising = [(up - low) / (strict - loose) for (low, up), (loose, strict) in steps if up > low]
        return logits[-1] + (rising[-1] if rising else 0.0) * (wanted - strictness[-1])
    return float(np.interp(wanted, strictness, logits))


def conformal_rank(number: int, fpr: float) -> int:
    """Which of ``number`` ordered scores the threshold for this rate lies just above, counted from 1.

    ⌈(n + 1)(1 − fpr)⌉: the next score exceeds it with a probability of at most ``fpr``, whatever their distribution
    (split conformal prediction, Vovk et al. 2005). Above ``number`` where the scores are too few for the rate.
    """
    return math.ceil((number + 1) * (1.0 - fpr) - 1e-9)


def just_above(ordered: Logits, rank: int) -> float:
    """A threshold that the score of this rank (from 1) does not reach, and the next larger one does.

    It lies clear of rounding. ``ordered`` are scores of shape (n,), the smallest first.
    """
    value = float(ordered[rank - 1])
    larger = ordered[ordered > value]
    margin = 1e-3 * max(1.0, abs(value))
    return value + (min(margin, float(larger[0] - value) / 2.0) if len(larger) else margin)


def _like(given: float | NDArray[Any], result: Any) -> float | Logits:
    return np.asarray(result) if isinstance(given, np.ndarray) else float(result)
