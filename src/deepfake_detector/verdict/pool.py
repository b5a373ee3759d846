"""From the frames of a person to one logit: named ways to pool, and how much each frame counts.

All of them take calibrated logits, and give one. Where a network has several voices, each of which looks for its own
kind of fake, each voice is pooled by itself, and then the odds add up, as they do in the network: what one voice says
at random in single frames then does not drown what another says in all of them.

The threshold of a single picture holds for a pooled logit as far as pooling does not look for the worst: the mean over
frames of a real face is at most as spread as one frame. A way that picks the most suspicious part gets several chances
to be wrong, and says how many; the threshold is corrected for them as it is for several faces in a picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import Quality

Floats = NDArray[np.float64]

TRIM = 0.2
"""The share of the weight that the trimmed mean leaves out at either end."""

TOP = 0.2
"""The share of the weight, the most suspicious frames first, that ``top`` looks at."""

STEADY, LOWER = 0.75, 0.5
"""The share of the weight, the least suspicious frames first, that ``steady`` and ``lower`` look at."""

SURE = math.log(0.8 / 0.2)
"""A frame is sure of itself from this logit on (a probability of .8), or below its negative (.2)."""

SURE_FAKE, SURE_REAL = 0.4, 0.9
"""The share of the weight that frames sure of a fake, or of a real face, must have for ``confident``."""

SHARPNESS = 0.5
"""Of the soft maximum, per logit: 0 were the mean, infinity the maximum."""

FULL_SIZE, FULL_SHARPNESS = 96.0, 40.0
"""From this size (pixels) and sharpness on a frame has its full weight."""

LEAST_WEIGHT = 0.05


def frame_weight(quality: Quality) -> float:
    """How much a frame counts, 0–1: 0 if its face cannot be judged, less than 1 if it is small or soft."""
    if not quality.usable:
        return 0.0
    return max(LEAST_WEIGHT, min(1.0, quality.size / FULL_SIZE) * min(1.0, quality.sharpness / FULL_SHARPNESS))


@dataclass(frozen=True, slots=True)
class Pooling:
    """A way to pool; ``pool`` takes calibrated logits (n,) and their weights (n,), which sum to 1.

    ``chances`` is in how many places it looks for a fake: what the threshold must be corrected for, 1 for a mean.
    """

    pool: Callable[[Floats, Floats], float]
    chances: int = 1
    words: str = ""


def check_pooling(name: str) -> None:
    """Raise ConfigError if there is no such way to pool."""
    if name not in POOLINGS:
        raise ConfigError(f"pooling is {name!r}; give one of {', '.join(POOLINGS)}")


def pooled(name: str, logits: Floats, weights: Floats, voices: Floats | None = None) -> float:
    """The logit of a person from those of their frames (n,), n ≥ 1, by a way of ``POOLINGS``.

    ``weights`` (n,) are 0 or more; frames of weight 0 are left out unless all have it. ``voices`` (n, V), whose
    log-sum-exp is the logit before calibration, say how the odds of each frame are shared out among the voices.
    Raises ValueError for no frame.
    """
    if not len(logits):
        raise ValueError("there is no frame to pool")
    weights = weights if weights.any() else np.ones(len(logits))
    counted = weights > 0.0
    pool, counting = POOLINGS[name].pool, weights[counted] / weights.sum()
    each = [pool(voice, counting) for voice in heard(logits, voices)[counted].T]
    return float(np.logaddexp.reduce(each))


def heard(logits: Floats, voices: Floats | None) -> Floats:
    """What each voice says of each frame (n, V) after calibration: the log-sum-exp is the logit of the frame (n,)."""
    parts = np.zeros((len(logits), 1)) if voices is None else voices
    return logits[:, None] + (parts - np.logaddexp.reduce(parts, axis=1, keepdims=True))


def _mean(logits: Floats, weights: Floats) -> float:
    return float(logits @ weights)


def _trimmed(logits: Floats, weights: Floats) -> float:
    return _between(logits, weights, TRIM, 1.0 - TRIM)


def _steady(logits: Floats, weights: Floats) -> float:
    return _between(logits, weights, 0.0, STEADY)


def _lower(logits: Floats, weights: Floats) -> float:
    return _between(logits, weights, 0.0, LOWER)


def _top(logits: Floats, weights: Floats) -> float:
    return _between(logits, weights, 1.0 - TOP, 1.0)


def _between(logits: Floats, weights: Floats, low: float, high: float) -> float:
    """The mean of the frames whose weight lies between two shares of all, counted from the least suspicious one."""
    order = np.argsort(logits, kind="stable")
    edges = np.concatenate([[0.0], np.cumsum(weights[order])])
    kept = np.clip(edges[1:], low, high) - np.clip(edges[:-1], low, high)
    return float(logits[order] @ kept / kept.sum())


def _confident(logits: Floats, weights: Floats) -> float:
    for sure, share in ((logits >= SURE, SURE_FAKE), (logits <= -SURE, SURE_REAL)):
        if weights[sure].sum() >= share:
            return float(logits[sure] @ weights[sure] / weights[sure].sum())
    return _mean(logits, weights)


def _soft_maximum(logits: Floats, weights: Floats) -> float:
    highest = logits.max()
    return float(highest + math.log(weights @ np.exp(SHARPNESS * (logits - highest))) / SHARPNESS)


POOLINGS: Mapping[str, Pooling] = MappingProxyType(
    {
        "mean": Pooling(_mean, words="the mean of all frames"),
        "trimmed": Pooling(_trimmed, words="the mean without the highest and the lowest fifth"),
        "steady": Pooling(_steady, words="the mean without the most suspicious quarter"),
        "lower": Pooling(_lower, words="the mean of the less suspicious half"),
        "top": Pooling(_top, chances=round(1.0 / TOP), words="the mean of the most suspicious fifth"),
        "confident": Pooling(_confident, chances=2, words="the frames that are sure, if they are many"),
        "soft_maximum": Pooling(_soft_maximum, chances=2, words="a mean in which suspicious frames count more"),
    }
)
"""Top-k and the mean are common; "confident" is that of the winner of the DFDC (Seferbekov 2020), in shares.
``docs/results.md`` has what each is worth on whole clips, beside one that is learned."""
