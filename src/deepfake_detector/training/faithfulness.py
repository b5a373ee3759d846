"""Is a heat map true? Deletion, insertion, pointing and overlap, against maps that know nothing; and sanity checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.explanation import MapMethod
from deepfake_detector.core.types import FloatArray, ImageArray
from deepfake_detector.explain.maps import Crops, Logits, blurred, enlarged, smoothed
from deepfake_detector.training.intervals import (
    DEFAULT_RESAMPLING,
    MIN_GROUPS,
    Estimate,
    Resampling,
    bootstrap,
    percentile,
)
from deepfake_detector.training.models.network import fake_head, features_model, has_activation_map
from deepfake_detector.training.saliency import KerasMaps

if TYPE_CHECKING:
    import keras

FRACTIONS = (0.05, 0.1, 0.2, 0.4, 0.7)
"""Shares of the pixels that are deleted or inserted, the most telling ones first."""

GAUSSIAN_SIGMA = 0.25
"""Of the centred Gaussian, as a share of the side: it covers a face in a face crop."""

FIGURES = ("deletion", "insertion", "both", "pointing", "iou")
"""What ``compare`` compares: each is an attribute of ``Marks``."""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_] | None
"""Where a crop was altered, (S, S), or None where that is not known."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What one kind of map reaches on N fakes, one number each (N,).

    ``deletion``: the mean fall of the fake logit while the most telling pixels are blurred away; ``insertion``: the
    mean rise while they come back into a blurred picture (both Petsiuk et al. 2018, on logits, so that they do not
    saturate; higher is better; NaN where they were not measured). ``pointing``: 1 if the map's highest pixel was
    altered (Zhang et al. 2018). ``iou``: the overlap of the altered pixels with as many of the highest ones. The last
    two are NaN without a mask.
    """

    deletion: Floats
    insertion: Floats
    pointing: Floats
    iou: Floats

    @property
    def both(self) -> Floats:
        """The mean of deletion and insertion, in which a pattern that disturbs or restores the whole face cancels out.

        Scattered blur makes any logit fall, and a whole patch of the middle makes any rise: by itself the one
        flatters random maps, the other those that look at the middle.
        """
        return (self.deletion + self.insertion) / 2.0


def gaussian_map(cells: int) -> FloatArray:
    """The map that looks at the middle, (cells, cells)."""
    places = (np.arange(cells) + 0.5) / cells - 0.5
    along = np.exp(-0.5 * (places / GAUSSIAN_SIGMA) ** 2)
    return np.outer(along, along).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Suspects:
    """N crops, uint8 RGB (S, S, 3), and where each was altered; ``whole`` and ``blank`` (N,) are the logits of the
    crop and of what is left of it when it is blurred, NaN where deletion and insertion are not measured.
    """

    crops: Sequence[ImageArray]
    masks: Sequence[Mask]
    whole: Floats
    blank: Floats

    @classmethod
    def of(cls, logits: Logits, crops: Sequence[ImageArray], masks: Sequence[Mask], curves: int | None = None) -> Self:
        """With the logits that they have. At most ``curves`` of them, evenly chosen, get deletion and insertion."""
        whole, blank = (np.full(len(crops), np.nan) for _ in range(2))
        number = len(crops) if curves is None else min(len(crops), curves)
        for place in np.unique(np.linspace(0, len(crops) - 1, number).astype(int)):
            whole[place], blank[place] = logits(np.stack([crops[place], blurred(crops[place])]))
        return cls(crops, masks, whole, blank)


def mark(logits: Logits, suspects: Suspects, maps: FloatArray) -> Marks:
    """How true the maps (N, h, w) of N crops are."""
    rows = []
    ends = zip(suspects.whole, suspects.blank, strict=True)
    for crop, mask, end, values in zip(suspects.crops, suspects.masks, ends, maps, strict=True):
        fine = enlarged(values, crop.shape[0])
        pointing, iou = (np.nan, np.nan) if mask is None else (points_into(fine, mask), overlap(fine, mask))
        curves = removal(logits, crop, end, fine) if np.isfinite(end).all() else (np.nan, np.nan)
        rows.append((*curves, pointing, iou))
    return Marks(*np.asarray(rows, dtype=np.float64).reshape(-1, len(Marks.__slots__)).T)


def random_maps(number: int, cells: int, seed: int) -> FloatArray:
    """Maps (N, cells, cells) of random cells."""
    return np.random.default_rng(seed).random((number, cells, cells), dtype=np.float32)


def removal(logits: Logits, crop: ImageArray, ends: tuple[float, float], values: FloatArray) -> tuple[float, float]:
    """Deletion and insertion of one crop with a map of its size; see ``Marks``.

    ``ends`` are the logits of the whole crop and of the blurred one.
    """
    cover = blurred(crop)
    order = np.argsort(-values, axis=None, kind="stable")
    steps = []
    for fraction in FRACTIONS:
        chosen = np.zeros(values.size, dtype=bool)
        chosen[order[: round(fraction * values.size)]] = True
        first = chosen.reshape(values.shape)[..., None]
        steps += [np.where(first, cover, crop), np.where(first, crop, cover)]
    found = logits(np.stack(steps)).astype(np.float64)
    whole, blank = ends
    return float(whole - found[::2].mean()), float(found[1::2].mean() - blank)


def points_into(values: FloatArray, mask: NDArray[np.bool_]) -> float:
    """1 if the highest value lies in the mask; where several are highest, their share that does."""
    return float(mask[values == values.max()].mean())


def overlap(values: FloatArray, mask: NDArray[np.bool_]) -> float:
    """Intersection over union of the mask and as many of the highest pixels as it has; 0–1."""
    size = int(mask.sum())
    top = np.zeros(mask.size, dtype=bool)
    top[np.argsort(-values, axis=None, kind="stable")[:size]] = True
    both = int((top.reshape(mask.shape) & mask).sum())
    return both / max(2 * size - both, 1)


def mean_of(values: Floats, groups: Sequence[str], resampling: Resampling = DEFAULT_RESAMPLING) -> Estimate:
    """The mean with its interval, whole groups drawn again; values that are NaN do not count."""
    known = np.isfinite(values)
    numbers = np.unique(np.asarray(groups)[known], return_inverse=True)[1].astype(np.int64)
    found = values[known]
    if len(np.unique(numbers)) < MIN_GROUPS:
        return Estimate(float(found.mean()), reason=f"no interval: fewer than {MIN_GROUPS} photos")

    def mean(counts: Floats) -> Floats:
        total = counts.sum()
        return np.array([(counts * found).sum() / total if total else np.nan])

    return percentile(float(found.mean()), bootstrap(mean, numbers, resampling)[0], resampling)


def compare(
    marks: Marks, others: Mapping[str, Marks], groups: Sequence[str], resampling: Resampling = DEFAULT_RESAMPLING
) -> dict[str, dict[str, Estimate]]:
    """Each figure of a map, and by how much it is higher than that of each other one, on the same fakes."""
    found = {}
    for name in FIGURES:
        own: Floats = getattr(marks, name)
        if not np.isfinite(own).any():
            continue
        found[name] = {"value": mean_of(own, groups, resampling)}
        for other, theirs in others.items():
            found[name][f"more than {other}"] = mean_of(own - getattr(theirs, name), groups, resampling)
    return found


@dataclass(frozen=True, slots=True)
class Sanity:
    """How much a map stays as it was when what it explains is destroyed: rank correlations, (N,) each.

    After Adebayo et al. 2018. ``weights``: by the part of the network that was drawn anew, from the output downwards;
    ``labels``: a head that was fitted to labels in random order. ``others``: the map of another crop, which is what all
    maps have in common: as much as this says nothing of a face.
    """

    weights: Mapping[str, Floats]
    labels: Floats
    others: Floats


def sanity(network: keras.Model, crops: Crops, seed: int, shares: Sequence[float] = (0.25, 0.5, 0.75)) -> Sanity:
    """The sanity checks of LayerCAM of a Keras network that has activation maps, too.

    ``shares`` of its layers, counted from the output, are drawn anew after the head and before everything.
    """
    import keras

    original = _maps(network, crops)
    broken = keras.models.clone_model(network)
    broken.set_weights(network.get_weights())
    keras.utils.set_random_seed(seed)
    fresh = keras.models.clone_model(network)
    layers = list(zip(broken.layers, fresh.layers, strict=True))[::-1]
    stages = {"head": [pair for pair in layers if pair[0].name == fake_head(network).name]}
    stages |= {f"last {share:.0%} of the layers": layers[: round(share * len(layers))] for share in shares}
    stages["everything"] = layers
    weights = {}
    for stage, pairs in stages.items():
        for layer, new in pairs:
            layer.set_weights(new.get_weights())
        weights[stage] = rank_correlations(original, _maps(broken, crops))
    labels = rank_correlations(original, _with_random_labels(network, crops, seed))
    return Sanity(weights, labels, rank_correlations(original, np.roll(original, 1, axis=0)))


def rank_correlations(maps: FloatArray, others: FloatArray) -> Floats:
    """Spearman's correlation of each pair of maps (N, h, w); 0 where one of them is flat."""
    from scipy.stats import rankdata

    ranks, theirs = (rankdata(each.reshape(len(each), -1), axis=1) for each in (maps, others))
    ranks, theirs = (each - each.mean(axis=1, keepdims=True) for each in (ranks, theirs))
    norms = np.linalg.norm(ranks, axis=1) * np.linalg.norm(theirs, axis=1)
    products = (ranks * theirs).sum(axis=1)
    return np.asarray(np.divide(products, norms, out=np.zeros(len(maps)), where=norms > 0), dtype=np.float64)


def _maps(network: keras.Model, crops: Crops) -> FloatArray:
    return smoothed(KerasMaps(network, MapMethod.LAYER_CAM).maps(crops))


def _with_random_labels(network: keras.Model, crops: Crops, seed: int) -> FloatArray:
    """The maps of a linear head that was fitted to random labels of the same crops."""
    import keras
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not has_activation_map(network):
        raise ValueError("only a linear head has an activation map")
    upto = features_model(network)
    features = np.concatenate(
        [upto(crops[begin : begin + 16], training=False).numpy() for begin in range(0, len(crops), 16)]
    )
    labels = np.random.default_rng(seed).permutation(np.arange(len(crops)) % 2)
    fitted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(features, labels)
    head = keras.layers.Dense(1, use_bias=False)
    other = keras.Model(network.input, {"fake": head(upto.output)})
    head.set_weights([(fitted[-1].coef_[0] / fitted[0].scale_)[:, None]])
    return _maps(other, crops)
