"""The stretches of time in which a person looks fake."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SMOOTHED = 3
"""Frames of which the middle logit is taken, so that a single frame makes no stretch."""


def suspicious(times: Floats, logits: Floats, fake_from: float) -> Iterator[tuple[float, float, NDArray[np.bool_]]]:
    """Each stretch: its start and end in seconds, and which of the n frames lie in it.

    ``times`` (n,) rise; ``logits`` (n,) are calibrated, NaN where a frame cannot be judged. A stretch holds two frames
    in a row or more (frames that cannot be judged do not count) whose median with both neighbours is ``fake_from`` or
    more. It begins and ends half way to the neighbouring frames, but not outside of the track.
    """
    judged = np.flatnonzero(~np.isnan(logits))
    high = _medians(logits[judged]) >= fake_from
    edges = np.diff(np.concatenate([[0], high.astype(int), [0]]))
    for first, stop in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
        if stop - first < min(2, len(judged)):
            continue
        inside = judged[first:stop]
        before, after = inside[0], inside[-1]
        start = times[before] if first == 0 else (times[judged[first - 1]] + times[before]) / 2.0
        end = times[after] if stop == len(judged) else (times[after] + times[judged[stop]]) / 2.0
        yield float(start), float(end), np.isin(np.arange(len(times)), inside)


def _medians(values: Floats) -> Floats:
    """Of each value with its neighbours; the outermost ones are repeated."""
    if len(values) < SMOOTHED:
        return values
    half = SMOOTHED // 2
    return np.asarray(
        np.median(np.lib.stride_tricks.sliding_window_view(np.pad(values, half, "edge"), SMOOTHED), axis=1)
    )
