"""Measures how far a face lies from those that a model knows, and puts that measure into the model's own graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deepfake_detector.core.errors import ConfigError, DataError, ExportError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.core.types import Doubt
from deepfake_detector.scoring.bundle import HASH_TO_BE_SET, Bundle
from deepfake_detector.scoring.card import Card, Doubts, FarFaces
from deepfake_detector.training.calibrate import set_weights
from deepfake_detector.training.data.samples import Sample, Split, class_of
from deepfake_detector.training.intervals import Floats
from deepfake_detector.training.predict import Progress, Scored, score_crops

DIMENSIONS = 64
"""Principal components that are kept; there must be many more faces than that."""

MIN_FACES = 2 * DIMENSIONS
MIN_GROUP = 20
"""Faces of a set and class from which it gets a centre of its own."""

BEYOND = 0.02
"""The share of known faces that may lie beyond the limit."""

DISTANCE = "distance"
TOLERANCE = 1e-3
AXES_ARE_AN_INPUT = 18
"""From this opset of ONNX on, a reduction takes its axes as an input."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """The faces that a model knows, as centres (J, k) in a space where each spreads as a unit Gaussian.

    Features (N, d) get there by ``(features - mean) @ axes``, with ``mean`` (d,) and ``axes`` (d, k).
    """

    mean: Floats
    axes: Floats
    centres: Floats

    def distance(self, features: ArrayLike) -> Floats:
        """Features (N, d) → how far each lies from the nearest centre (N,); a face of its group has about 1."""
        placed = (np.asarray(features, dtype=np.float64) - self.mean) @ self.axes
        squares = ((placed[:, None, :] - self.centres[None]) ** 2).mean(axis=2)
        nearest: Floats = np.sqrt(squares.min(axis=1))
        return nearest


@dataclass(frozen=True, slots=True)
class Choice:
    """How to learn what a model knows: of how many training pictures at most, and what makes a face uncertain then."""

    most: int = 3000
    seed: int = 0
    in_use: tuple[Doubt, ...] = ()


def fit_known(features: NDArray[np.float32], groups: Sequence[str], dimensions: int = DIMENSIONS) -> Known:
    """The Mahalanobis distance of features (N, d) to the centre of the nearest group, in their principal components.

    One covariance for all groups, shrunk as by Ledoit and Wolf (2004), after Lee et al. 2018, "A simple unified
    framework for detecting out-of-distribution samples". A group is a set and class; small ones have no centre.
    Raises DataError if there are too few faces.
    """
    from sklearn.covariance import ledoit_wolf

    names, places, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts >= MIN_GROUP)
    chosen = np.isin(places, kept)
    if chosen.sum() < MIN_FACES or not len(kept):
        raise DataError(
            f"{int(chosen.sum())} faces of {len(kept)} groups (of {len(names)}) say too little of what a model knows; "
            f"give at least {MIN_FACES}, {MIN_GROUP} of a set and class"
        )
    data, places = features[chosen].astype(np.float64), places[chosen]
    mean, scale = data.mean(axis=0), data.std(axis=0)
    scale[scale < 1e-6] = np.inf  # a feature that never moves says nothing
    standard = (data - mean) / scale
    values, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    number = min(dimensions, int((values > 1e-8 * values[-1]).sum()))
    axes = vectors[:, ::-1][:, :number]
    placed = standard @ axes
    centres = np.stack([placed[places == group].mean(axis=0) for group in kept])
    within = placed - centres[np.searchsorted(kept, places)]
    spread, _ = ledoit_wolf(within, assume_centered=True)
    whitening = np.linalg.inv(np.linalg.cholesky(spread)).T
    return Known(mean, (axes @ whitening) / scale[:, None], centres @ whitening)


def limit_of(distances: Floats, samples: Sequence[Sample], beyond: float = BEYOND) -> float:
    """The distance that a share ``beyond`` of these faces exceeds; each set of a class weighs the same."""
    weights = set_weights(np.array([int(one.label) for one in samples]), [one.set for one in samples])
    order = np.argsort(distances)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(distances[order][min(int(np.searchsorted(reached, 1.0 - beyond)), len(order) - 1)])


def familiarise(
    bundle: Bundle,
    samples: Sequence[Sample],
    cache: Path,
    choice: Choice | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[bytes, Card]:
    """The bundle's graph with the output ``distance``, and its card with the limit beyond which a face is far.

    Learnt on pictures of the training split, the limit is set on the validation split, both of the sets on the card.
    Raises ConfigError for a model without features or with a distance, DataError for too few faces, ExportError.
    """
    choice = choice or Choice()
    card = bundle.card
    if card.outputs.features is None or card.outputs.distance is not None:
        state = "gives no features" if card.outputs.features is None else "has a distance already"
        raise ConfigError(f"the model {card.name} {state}; give one that deepfake export wrote")
    known_sets = {one.name for one in card.data}
    of_known = [one for one in samples if one.set in known_sets or (not one.set and "pictures" in known_sets)]
    rng = np.random.default_rng(choice.seed)
    training = [one for one in of_known if one.split is Split.TRAIN]
    training = [training[place] for place in sorted(rng.permutation(len(training))[: choice.most])]
    learnt = _features(score_crops(bundle, training, cache, progress=progress))
    known = fit_known(learnt[0], [class_of(one) for one in learnt[1]])
    features, judged = _features(
        score_crops(bundle, [one for one in of_known if one.split is Split.VAL], cache, progress=progress)
    )
    far = FarFaces(
        limit=limit_of(known.distance(features), judged),
        beyond=BEYOND,
        fitted_on=f"{len(learnt[1])} faces of the training split, the limit on {len(judged)} of the validation split",
    )
    model = with_distance(bundle.model, card.outputs.features, known)
    _check(model, card.outputs.features, known, bundle.card.input.size)
    return model, card.model_copy(
        update={
            "onnx_sha256": HASH_TO_BE_SET,
            "outputs": card.outputs.model_copy(update={"distance": DISTANCE}),
            "doubts": Doubts(in_use=choice.in_use, far=far),
        }
    )


def with_distance(model: bytes, features: str, known: Known) -> bytes:
    """The ONNX model with one more output, ``distance`` (N,) float32, computed from its output ``features`` (N, d)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    loaded = onnx.load_model_from_string(model)
    graph = loaded.graph
    arrays = {
        "axes": known.axes.astype(np.float32),
        "origin": (known.mean @ known.axes).astype(np.float32),
        "centres": known.centres[None].astype(np.float32),
        "share": np.full(known.centres.shape[1], 1.0 / known.centres.shape[1], dtype=np.float32),
        "between": np.array([1], dtype=np.int64),
    }
    graph.initializer.extend(numpy_helper.from_array(array, _named(name)) for name, array in arrays.items())

    def node(kind: str, inputs: list[str], output: str, **attributes: object) -> None:
        graph.node.append(helper.make_node(kind, inputs, [output], **attributes))

    opset = next(entry.version for entry in loaded.opset_import if entry.domain in ("", "ai.onnx"))

    node("MatMul", [features, _named("axes")], _named("turned"))
    node("Sub", [_named("turned"), _named("origin")], _named("placed"))
    node("Unsqueeze", [_named("placed"), _named("between")], _named("each"))
    node("Sub", [_named("each"), _named("centres")], _named("away"))
    node("Mul", [_named("away"), _named("away")], _named("squares"))
    node("MatMul", [_named("squares"), _named("share")], _named("means"))
    if opset >= AXES_ARE_AN_INPUT:
        node("ReduceMin", [_named("means"), _named("between")], _named("nearest"), keepdims=0)
    else:
        node("ReduceMin", [_named("means")], _named("nearest"), keepdims=0, axes=[1])
    node("Sqrt", [_named("nearest")], DISTANCE)
    graph.output.append(helper.make_tensor_value_info(DISTANCE, TensorProto.FLOAT, ["N"]))
    onnx.checker.check_model(loaded, full_check=True)
    data: bytes = loaded.SerializeToString()
    return data


def _named(part: str) -> str:
    return f"{DISTANCE}/{part}"


def _features(scored: Scored) -> tuple[NDArray[np.float32], tuple[Sample, ...]]:
    assert scored.scores.features is not None  # the card names them
    return scored.scores.features, scored.samples


def _check(model: bytes, features: str, known: Known, size: int) -> None:
    """Raises ExportError if the graph and ``Known.distance`` differ, on pictures of noise."""
    crops = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), dtype=np.uint8)
    session = open_session(model, "the model with a distance")
    found, distance = session.run([features, DISTANCE], {session.get_inputs()[0].name: crops})
    expected = known.distance(found)
    worst = float(np.abs(distance / np.maximum(expected, 1e-6) - 1.0).max())
    if not worst <= TOLERANCE:
        raise ExportError(f"the graph's distance is off by a share of {worst:.2g} ({TOLERANCE:g} is allowed)")
