"""What one frame cannot show: how the score, the features, the landmarks and the border of a face change over time.

Each signal is a curve over the frames of one person, and its mean. None of them is learnt; NumPy is all that they need.
Flicker is how far a frame lies off the straight line between the analysed ones beside it (a second difference), so that
what moves steadily does not count. Frames that are analysed may lie a second apart, in which a face turns and speaks;
what is painted anew into each frame shows from one frame to the very next. For this there are traces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import FloatArray
from deepfake_detector.core.video import Curve, Observation, Trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_GAP = 1.5
"""Frames further apart than this (seconds) are no neighbours: what lies between them is anybody's guess."""

ANGLES = 48
RADII = np.linspace(0.7, 1.3, 13)
INSIDE, RING = RADII < 0.85, (RADII >= 0.9) & (RADII <= 1.15)
BORDER_CENTRE, BORDER_AXES = (0.5, 0.54), (0.28, 0.32)
"""The ellipse in which a swapped face usually ends, in shares of the side of what ``faces.align.patch`` cuts."""

LEAST_CHANGE = 0.05
"""Grey levels; two frames that differ less on average are one frame that is shown twice."""

LOOK_SIDE = 16


def trace(patch: NDArray[np.uint8], following: NDArray[np.uint8] | None = None) -> Trace:
    """What is kept of a face: grey patches (S, S), uint8, by ``faces.align.patch``, of its frame and the next one.

    Both are cut with the landmarks of the first frame. ``unrest`` is how much more the inside of the face changes than
    the ring around it (log ratio): a head that moves takes its border along; of a face that is painted anew into each
    frame the inside changes by itself, and the border of the blend (Li et al. 2020, Face X-ray) parts the two.
    ``wander`` is how far the border, which is the centre of gravity of the squared steps of brightness on each ray,
    moves, in shares of the radius, beyond what a shift and a zoom of the whole head do to it.
    """
    look = coarse_look(patch)
    if following is None or np.abs(following.astype(np.int16) - patch).mean() < LEAST_CHANGE:
        return Trace(look)
    first, second = _rays(patch), _rays(following)
    change = np.abs(second - first)
    unrest = math.log((change[:, INSIDE].mean() + 0.5) / (change[:, RING].mean() + 0.5))
    return Trace(look, unrest, _wander(_border(second) - _border(first)))


def coarse_look(patch: NDArray[np.uint8]) -> FloatArray:
    """A vector (256,) of length 1: block means of the middle of a patch, free of brightness and contrast."""
    side = patch.shape[0]
    edge, block = side // 8, (side - 2 * (side // 8)) // LOOK_SIDE
    inner = patch[edge : edge + LOOK_SIDE * block, edge : edge + LOOK_SIDE * block].astype(np.float64)
    blocks = inner.reshape(LOOK_SIDE, block, LOOK_SIDE, block).mean(axis=(1, 3)).reshape(-1)
    return _unit(blocks - blocks.mean()).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class TrackSeries:
    """What was seen of one person in T frames, the earliest first.

    ``times`` (T,) in seconds, rising; ``logits`` (T,) calibrated; ``landmarks`` (T, K, 2) in pixels, the first two
    being the eyes; ``features`` (T, d) of the network; ``looks`` (T, 256), ``unrest`` and ``wander`` (T,), NaN where
    there is none, of the traces. All but the first two may be None.
    """

    times: Floats
    logits: Floats
    landmarks: Floats | None = None
    features: Floats | None = None
    looks: Floats | None = None
    unrest: Floats | None = None
    wander: Floats | None = None

    @classmethod
    def of(cls, observations: Sequence[Observation], logits: Floats) -> TrackSeries:
        """Those of a person, with their calibrated logits (T,); what one frame lacks is left out for all."""
        marks = [None if one.landmarks is None else one.landmarks.as_array() for one in observations]
        features = [one.features for one in observations]
        traces = [one.trace for one in observations if one.trace is not None]
        whole = len(traces) == len(observations)
        return cls(
            times=np.array([one.time for one in observations]),
            logits=logits,
            landmarks=_stacked(marks),
            features=_stacked(features),
            looks=_stacked([one.look for one in traces]) if whole else None,
            unrest=np.array([one.unrest for one in traces], dtype=np.float64) if whole else None,
            wander=np.array([one.wander for one in traces], dtype=np.float64) if whole else None,
        )


def curves(observations: Sequence[Observation], logits: Floats) -> tuple[Curve, ...]:
    """What can be measured of a person from frame to frame, in the order of ``SIGNALS``.

    ``logits`` (T,) are calibrated. What is about a frame and the very next one is left out where there are no such
    frames, flicker where fewer than three frames are near each other.
    """
    series, found = TrackSeries.of(observations, logits), []
    for name, (unit, needs, measure) in SIGNALS.items():
        if getattr(series, needs) is None:
            continue
        places, values = measure(series)
        if len(places):
            times = tuple(float(time) for time in series.times[places])
            found.append(Curve(name, times, tuple(round(float(value), 6) for value in values), unit))
    return tuple(found)


def score_flicker(series: TrackSeries) -> tuple[Ints, Floats]:
    """How far the calibrated logit lies off the line between its neighbours."""
    places, before, after, share = _triples(series.times)
    logits = series.logits
    return places, np.abs(logits[places] - (1.0 - share) * logits[before] - share * logits[after])


def feature_flicker(series: TrackSeries) -> tuple[Ints, Floats]:
    """One minus the cosine between the network's features and those on the line between its neighbours.

    Fakes made frame by frame lack coherence of features over time (Gu et al. 2021, STIL; Zheng et al. 2021, FTCN).
    """
    assert series.features is not None
    places, before, after, share = _triples(series.times)
    features = _unit(series.features)
    line = _unit((1.0 - share)[:, None] * features[before] + share[:, None] * features[after])
    return places, 1.0 - np.einsum("td,td->t", features[places], line)


def landmark_jitter(series: TrackSeries) -> tuple[Ints, Floats]:
    """How far the landmarks lie off the line between their neighbours, as a share of the distance of the eyes.

    Position, size and lean of the head are taken out first, by a similarity transform onto the mean shape (Procrustes,
    Gower 1975). Landmarks of fakes made frame by frame tremble (Sun et al. 2021, LRNet).
    """
    assert series.landmarks is not None
    places, before, after, share = _triples(series.times)
    shapes = aligned_shapes(series.landmarks)
    weight = share[:, None, None]
    off = shapes[places] - (1.0 - weight) * shapes[before] - weight * shapes[after]
    return places, np.sqrt((off**2).sum(axis=2).mean(axis=1))


def inner_unrest(series: TrackSeries) -> tuple[Ints, Floats]:
    """``Trace.unrest``, where there is one."""
    return _known(series.unrest)


def border_jitter(series: TrackSeries) -> tuple[Ints, Floats]:
    """``Trace.wander``, where there is one."""
    return _known(series.wander)


def identity_drift(series: TrackSeries) -> tuple[Ints, Floats]:
    """One minus the correlation of the face's coarse look with that person's mean look.

    No network that knows identities ships; this notices a face that becomes another one, and a turned head as well.
    """
    assert series.looks is not None
    looks = series.looks
    return np.arange(len(looks)), 1.0 - looks @ _unit(looks.mean(axis=0))


def aligned_shapes(landmarks: NDArray[np.floating]) -> Floats:
    """Shapes (T, K, 2) without position, size and lean; the eyes of their mean are 1 apart."""
    points = landmarks.astype(np.float64)
    flat = points[..., 0] + 1j * points[..., 1]
    flat = flat - flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.abs(flat).mean(axis=1, keepdims=True), 1e-9)
    mean = flat[0]
    for _ in range(3):  # to the mean of what was turned onto the last mean
        turns = (np.conj(flat) * mean).sum(axis=1) / np.maximum((np.abs(flat) ** 2).sum(axis=1), 1e-12)
        turned = flat * turns[:, None]
        mean = turned.mean(axis=0)
    scale = max(abs(mean[1] - mean[0]), 1e-9)
    return np.asarray(np.stack([turned.real, turned.imag], axis=2) / scale)


def _known(values: Floats | None) -> tuple[Ints, Floats]:
    assert values is not None
    places = np.flatnonzero(~np.isnan(values))
    return places, values[places]


def _triples(times: Floats) -> tuple[Ints, Ints, Ints, Floats]:
    """Frames with a near neighbour on either side: their places, the neighbours', and the share of the way between."""
    gaps = np.diff(times)
    inner = np.arange(1, max(len(times) - 1, 1))
    places = inner[(gaps[:-1] <= MAX_GAP) & (gaps[1:] <= MAX_GAP)] if len(inner) else inner
    before, after = places - 1, places + 1
    span = np.maximum(times[after] - times[before], 1e-9)
    return places, before, after, (times[places] - times[before]) / span


def _rays(patch: NDArray[np.uint8]) -> Floats:
    """Brightness (ANGLES, len(RADII)) along rays from the middle of the face, bilinear."""
    side = patch.shape[0]
    angles = np.arange(ANGLES) * (2.0 * math.pi / ANGLES)
    x = (BORDER_CENTRE[0] + BORDER_AXES[0] * np.outer(np.cos(angles), RADII)) * (side - 1)
    y = (BORDER_CENTRE[1] + BORDER_AXES[1] * np.outer(np.sin(angles), RADII)) * (side - 1)
    left, top = x.astype(int), y.astype(int)
    across, down = x - left, y - top
    grey = patch.astype(np.float64)
    upper = grey[top, left] * (1.0 - across) + grey[top, left + 1] * across
    lower = grey[top + 1, left] * (1.0 - across) + grey[top + 1, left + 1] * across
    return np.asarray(upper * (1.0 - down) + lower * down)


def _border(rays: Floats) -> Floats:
    """The place of the border on each ray, (ANGLES,), in shares of the radius."""
    steps = np.diff(rays, axis=1) ** 2 + 1.0
    middles = (RADII[1:] + RADII[:-1]) / 2.0
    return np.asarray((steps * middles).sum(axis=1) / steps.sum(axis=1))


def _wander(moved: Floats) -> float:
    """How far the border moved beyond a constant, a cosine and a sine: what zoom and shift do to the radii."""
    angles = np.arange(ANGLES) * (2.0 * math.pi / ANGLES)
    common = np.linalg.qr(np.column_stack([np.ones(ANGLES), np.cos(angles), np.sin(angles)]))[0]
    return float(np.abs(moved - common @ (common.T @ moved)).mean())


def _unit(vectors: Floats) -> Floats:
    lengths: Floats = np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return vectors / lengths


def _stacked(rows: Sequence[FloatArray | None]) -> Floats | None:
    known = [row for row in rows if row is not None]
    return np.stack(known).astype(np.float64) if known and len(known) == len(rows) else None


SIGNALS: Mapping[str, tuple[str, str, Callable[[TrackSeries], tuple[Ints, Floats]]]] = MappingProxyType(
    {
        "score_flicker": ("logits", "logits", score_flicker),
        "feature_flicker": ("1 − cosine", "features", feature_flicker),
        "landmark_jitter": ("eye distances", "landmarks", landmark_jitter),
        "inner_unrest": ("log ratio", "unrest", inner_unrest),
        "border_jitter": ("radii", "wander", border_jitter),
        "identity_drift": ("1 − correlation", "looks", identity_drift),
    }
)
"""Name → unit, the field that it needs, and the function."""
