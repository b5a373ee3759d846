"""How well one fact about pictures tells real from fake: out-of-fold scores of small models, and their AUC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.data.audit_facts import Facts
from deepfake_detector.training.intervals import Estimate, Floats, Ints, Resampling, bootstrap, percentile, rate

MIN_CLASS = 20
"""A set with fewer pictures, or independent groups, of a class is not judged."""
_FOLDS = 5
_MOST_WORDS = 30
_DIGITS = 4
"""Scores are rounded to so many digits: ties cost nothing, and the bootstrap is much faster."""

F = TypeVar("F")
"""What is known of a picture."""


class Level(StrEnum):
    """What a fact is about. Only a fact about the file can be a leak: it says nothing about how a face was made."""

    FILE = "file"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Predictor(Generic[F]):
    """One trivial way of guessing the label: the facts that it may use; ``joint`` ones use several at once."""

    name: str
    words: str
    level: Level
    columns: Callable[[F], tuple[float | str | bool, ...]]
    joint: bool = False


PREDICTORS: tuple[Predictor[Facts], ...] = (
    Predictor("format", "file format", Level.FILE, lambda facts: (facts.format,)),
    Predictor("mode", "colour mode of the file", Level.FILE, lambda facts: (facts.mode,)),
    Predictor("size", "width and height", Level.FILE, lambda facts: (facts.width, facts.height)),
    Predictor("aspect", "width over height", Level.FILE, lambda facts: (facts.aspect,)),
    Predictor("jpeg_quality", "JPEG quality", Level.FILE, lambda facts: (facts.jpeg_quality,)),
    Predictor(
        "subsampling", "JPEG subsampling and order", Level.FILE, lambda facts: (facts.subsampling, facts.progressive)
    ),
    Predictor("exif", "EXIF data present", Level.FILE, lambda facts: (facts.exif,)),
    Predictor("metadata", "other metadata", Level.FILE, lambda facts: (facts.metadata,)),
    Predictor("bits_per_pixel", "bits per pixel", Level.FILE, lambda facts: (facts.bits_per_pixel,)),
    Predictor("border", "border or padding", Level.FILE, lambda facts: (facts.border,)),
    Predictor("colour", "mean colour", Level.PICTURE, lambda facts: (facts.red, facts.green, facts.blue)),
    Predictor("brightness", "brightness", Level.PICTURE, lambda facts: (facts.brightness,)),
    Predictor("contrast", "contrast", Level.PICTURE, lambda facts: (facts.contrast,)),
    Predictor("saturation", "saturation", Level.PICTURE, lambda facts: (facts.saturation,)),
    Predictor("sharpness", "sharpness", Level.PICTURE, lambda facts: (facts.sharpness,)),
    Predictor("high_frequency", "share of high frequencies", Level.PICTURE, lambda facts: (facts.high_frequency,)),
)
"""Every single predictor; the joint ones of a level use all of its facts at once."""


def joined(name: str, words: str, level: Level, singles: Sequence[Predictor[F]]) -> Predictor[F]:
    """The predictor that may use the facts of all of these."""
    return Predictor(
        name, words, level, lambda facts: tuple(value for one in singles for value in one.columns(facts)), joint=True
    )


JOINT = tuple(
    joined(f"joint_{level}", f"all facts about the {level}", level, [one for one in PREDICTORS if one.level is level])
    for level in Level
)


@dataclass(frozen=True, slots=True, eq=False)
class Judged(Generic[F]):
    """N pictures: what is known of each, its label (N,), 0 real or 1 fake, and the number of its group (N,)."""

    facts: Sequence[F]
    labels: Ints
    groups: Ints

    def where(self, chosen: NDArray[np.bool_]) -> Judged[F]:
        """The pictures where ``chosen`` (N,) is true; groups are numbered anew."""
        numbers = np.unique(self.groups[chosen], return_inverse=True)[1].astype(np.int64)
        return Judged([self.facts[i] for i in np.flatnonzero(chosen).tolist()], self.labels[chosen], numbers)

    def too_few(self) -> str | None:
        """Why nothing can be said of these pictures; None if it can."""
        groups = [len(np.unique(self.groups[self.labels == label])) for label in (0, 1)]
        if min(groups) >= MIN_CLASS:
            return None
        return f"{groups[0]} independent real and {groups[1]} fake pictures; {MIN_CLASS} of each are needed"


def predict_label(predictor: Predictor[F], pictures: Judged[F], resampling: Resampling) -> Estimate:
    """The AUC of guessing the label by these facts, with its interval; ``pictures`` must not be too few.

    A small model (a tree; for joint predictors, boosted trees) is fitted on four fifths of the groups and scores the
    last fifth, five times; so a size that only fakes have counts, whether it is large or small, and nothing is
    learnt by heart. Pictures of one group are fitted, and resampled, together.
    """
    table = _table([predictor.columns(facts) for facts in pictures.facts])
    if (table == table[0]).all():
        return Estimate(0.5, reason="the same for all pictures")
    scores = _out_of_fold(table, pictures, predictor.joint, resampling.seed)
    return estimate_auc(pictures, scores, resampling)


def _table(rows: Sequence[tuple[float | str | bool, ...]]) -> Floats:
    """Numbers as they are, a column for each of the most frequent words; no label is looked at. NaN becomes −1."""
    columns: list[Floats] = []
    for values in zip(*rows, strict=True):
        if not isinstance(values[0], str):
            columns.append(np.nan_to_num(np.array(values, dtype=np.float64), nan=-1.0))
            continue
        words, places, counts = np.unique(values, return_inverse=True, return_counts=True)
        frequent = np.argsort(-counts, kind="stable")[:_MOST_WORDS]
        columns += [(places == word).astype(np.float64) for word in (frequent if len(words) > 1 else [])]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 1))


def _out_of_fold(table: Floats, pictures: Judged[F], joint: bool, seed: int) -> Floats:
    """How much more likely than the share of fakes it was fitted on each picture looks to be fake."""
    from sklearn.model_selection import StratifiedGroupKFold

    scores = np.zeros(len(table))
    folds = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed)
    for fitted, left_out in folds.split(table, pictures.labels, pictures.groups):
        model = _model(joint, len(fitted), seed)
        model.fit(table[fitted], pictures.labels[fitted])
        scores[left_out] = model.predict_proba(table[left_out])[:, 1] - pictures.labels[fitted].mean()
    return np.asarray(np.round(scores, _DIGITS), dtype=np.float64)


def _model(joint: bool, number: int, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingClassifier
    from sklearn.tree import DecisionTreeClassifier

    leaf = max(5, min(20, number // 20))
    if joint:
        return GradientBoostingClassifier(n_estimators=60, subsample=0.5, min_samples_leaf=leaf, random_state=seed)
    return DecisionTreeClassifier(max_leaf_nodes=16, min_samples_leaf=leaf, random_state=seed)


def estimate_auc(pictures: Judged[F], scores: Floats, resampling: Resampling) -> Estimate:
    """The ROC-AUC of scores (N,) with its bootstrap interval over groups.

    Where the classes are told apart without an error, no resample differs; then the lower bound is that of the share
    of n out of n (Clopper & Pearson), n being the independent groups of the rarer class.
    """
    from sklearn import config_context
    from sklearn.metrics import auc, roc_curve

    values, places = np.unique(scores, return_inverse=True)
    cells = 2 * places + pictures.labels
    truth, shown = np.tile([0, 1], len(values)), np.repeat(values, 2)

    def calculate(weights: Floats) -> Floats:
        counts = np.bincount(cells, weights=weights, minlength=len(truth)).astype(np.float64)
        if not counts[0::2].any() or not counts[1::2].any():
            return np.array([np.nan])
        with config_context(assume_finite=True, skip_parameter_validation=True):
            fpr, tpr, _ = roc_curve(truth, shown, sample_weight=counts, drop_intermediate=False)
        return np.array([auc(fpr, tpr)])

    value = float(calculate(np.ones(len(scores)))[0])
    if not resampling.resamples:
        return Estimate(value, reason="no interval: no bootstrap was asked for")
    found = percentile(value, bootstrap(calculate, pictures.groups, resampling)[0], resampling)
    if found.low is None and value > 1.0 - 1e-9:
        least = min(len(np.unique(pictures.groups[pictures.labels == label])) for label in (0, 1))
        exact = rate(least, least, resampling.confidence)
        return Estimate(1.0, exact.low, 1.0, "no error at all; exact lower bound")
    return found
