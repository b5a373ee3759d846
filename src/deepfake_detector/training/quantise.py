"""Makes a bundle whose convolutions count in 8-bit integers, and refuses to if it tells fakes less well."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import DataError, ExportError
from deepfake_detector.core.onnx import open_session
from deepfake_detector.scoring.bundle import HASH_TO_BE_SET, Bundle
from deepfake_detector.scoring.calibration import calibrated_logit, threshold_logit
from deepfake_detector.scoring.card import Card, Metric
from deepfake_detector.scoring.own_threshold import BAND_RATE
from deepfake_detector.training.bench.paired import Comparison, compare_aucs
from deepfake_detector.training.carry_over import carried_over
from deepfake_detector.training.data.crops import build_crops, read_cached
from deepfake_detector.training.data.samples import Sample, Split, class_of, limited
from deepfake_detector.training.integers import RECIPES, Quantisable
from deepfake_detector.training.intervals import DEFAULT_RESAMPLING, Floats, Ints
from deepfake_detector.training.predict import Progress, Scored, View, cut, score_crops

MAX_AUC_LOSS = 0.005
MIN_OF_CLASS = 20
"""A set with fewer pictures of a class is shown, and decides nothing: there a single one moves the AUC too far."""

ALL = "all pictures"
TIMED_RUNS = 25
SUFFIX = "-int8"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """Which pictures to measure ranges on (``ranges`` of the training split) and at most how many to compare on.

    With ``force`` the bundle is made however much it loses, and its card says so.
    """

    ranges: int = 160
    compared: int = 3000
    force: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """ROC-AUCs before and after on one set with both classes, or on all pictures."""

    name: str
    real: int
    fake: int
    aucs: Comparison

    @property
    def lost(self) -> float:
        """How much AUC is lost; negative, if it is more than before."""
        return -(self.aucs.gain.value or 0.0)

    @property
    def decides(self) -> bool:
        """Whether it has enough pictures to decide."""
        return min(self.real, self.fake) >= MIN_OF_CLASS

    def __str__(self) -> str:
        gain = self.aucs.gain
        sure = "" if gain.low is None or gain.high is None else f" ({-gain.high:+.4f} to {-gain.low:+.4f})"
        return f"{self.name} {self.lost:+.4f}{sure}"


@dataclass(frozen=True, slots=True)
class Measured:
    """The 8-bit model beside the one that it was made of, on validation pictures.

    ``moved`` is the median change of a calibrated logit, ``same_side`` the share of pictures on the same side of the
    threshold for 5 %; ``milliseconds`` (before, after) are processor time of one core for one face, the median of runs
    in turn; ``megabytes`` (before, after) those of the ONNX files.
    """

    recipe: str
    pictures: int
    parts: tuple[Part, ...]
    moved: float
    same_side: float
    milliseconds: tuple[float, float]
    megabytes: tuple[float, float]

    @property
    def worst(self) -> Part:
        """The part that loses most, among those that may decide."""
        return max((part for part in self.parts if part.decides), key=lambda part: part.lost)

    @property
    def speed(self) -> float:
        """How many times as fast it is."""
        return self.milliseconds[0] / self.milliseconds[1]

    def __str__(self) -> str:
        return (
            f"In 8 bits: {self.recipe}; ROC-AUC lost on {self.pictures} validation pictures: "
            f"{', '.join(str(part) for part in self.parts)}; the median logit moves by {self.moved:.3f}, "
            f"{100 * self.same_side:.1f} % stay on their side of the threshold; {self.speed:.2f} times as fast on one "
            f"core ({self.milliseconds[1]:.1f} ms a face); {self.megabytes[1]:.1f} MB, before {self.megabytes[0]:.1f}"
        )


def quantise(
    bundle: Bundle,
    samples: Sequence[Sample],
    cache: Path,
    trial: Trial | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[bytes, Card, Measured]:
    """The 8-bit model with its card, and how it compares. Pictures of the test split are left alone.

    The first of ``RECIPES`` is taken with which no part (a set with enough pictures of both classes, all pictures)
    loses more than ``MAX_AUC_LOSS``. If none does, ExportError is raised, or the one that loses least is taken.
    Raises ConfigError for a model that cannot be quantised, DataError without training pictures to measure ranges on
    or enough validation pictures of both classes.
    """
    trial = trial or Trial()
    graph = Quantisable(bundle.model, bundle.card)
    chosen = _chosen(samples, Split.VAL, trial.compared)
    ranges = _crops(bundle, samples, trial.ranges, cache, progress)
    before = score_crops(bundle, chosen, cache, progress=progress)
    tried: list[tuple[bytes, Card, Measured]] = []
    for recipe in RECIPES:
        made = graph.quantised(ranges, recipe)
        after = score_crops(Bundle(bundle.card, made), chosen, cache, progress=progress)
        card = carried_over(bundle.card, before.scores, after.scores, after.samples)
        found = measure((bundle, Bundle(card, made)), (before, after), recipe.words)
        logger.info("%s", found)
        tried.append((made, _described(card, found), found))
        if found.worst.lost <= MAX_AUC_LOSS:
            break
    made, card, found = min(tried, key=lambda one: one[2].worst.lost)
    if found.worst.lost > MAX_AUC_LOSS and not trial.force:
        raise ExportError(
            f"in 8 bits the model loses more than {MAX_AUC_LOSS:g} of its ROC-AUC, and nothing was written. "
            f"The best that was tried: {found}. To have it all the same, add --force"
        )
    return made, card, found


def _described(card: Card, found: Measured) -> Card:
    """The card that says what the 8-bit model is, what it was made of, and what it has lost."""
    limits = card.limits
    if found.worst.lost > MAX_AUC_LOSS:
        limits += (
            f"Counting in 8 bits costs it {found.worst.lost:.3f} of its ROC-AUC on validation pictures "
            f"({found.worst.name}), more than the {MAX_AUC_LOSS:g} that is allowed; it was made by force.",
        )
    return card.model_copy(
        update={
            "name": card.name + SUFFIX,
            "onnx_sha256": HASH_TO_BE_SET,
            "description": f"{card.description} Made of {card.name} {card.version} (SHA-256 {card.onnx_sha256}).",
            "architecture": f"{card.architecture}; {found.recipe} count in 8-bit integers (static QDQ)",
            "limits": limits,
            "metrics": tuple(_metrics(found.parts)),
        }
    )


def _metrics(parts: Sequence[Part]) -> Iterator[Metric]:
    for part in parts:
        after, gain = part.aucs.second, part.aucs.gain
        # What is lost is what is gained with the other sign.
        lost = tuple(None if bound is None else -bound for bound in (gain.high, gain.low))
        for name, value, (low, high) in (
            ("ROC-AUC", after.value, (after.low, after.high)),
            ("ROC-AUC lost by counting in 8 bits", part.lost, lost),
        ):
            if value is not None:
                on = f"{part.name} (val)"
                yield Metric(name=name, on=on, value=value, low=low, high=high, used_for_selection=True)


def _chosen(samples: Sequence[Sample], split: Split, most: int, sets: frozenset[str] | None = None) -> list[Sample]:
    """At most about so many pictures of a split (and of these sets), about as many of each set and class."""
    chosen = [one for one in samples if one.split is split and (sets is None or one.set in sets)]
    if not chosen:
        which = "pictures" if sets is None else "pictures of the sets on the model's card"
        raise DataError(f"the data has no {which} in the split {split}; those of the test split are not used")
    return list(limited(chosen, max(1, most // len({class_of(one) for one in chosen})), seed=0))


def _crops(bundle: Bundle, samples: Sequence[Sample], most: int, cache: Path, progress: Progress) -> NDArray[np.uint8]:
    """Crops (N, S, S, 3) of training pictures of the model's own sets."""
    known = frozenset(one.name for one in bundle.card.data) | {""}
    rule = bundle.card.input.rule()
    chosen = _chosen(samples, Split.TRAIN, most, known)
    index = build_crops(chosen, rule, cache, progress=lambda done, total: progress("finding faces", done, total))
    return np.stack([cut(View(read_cached(item), item.box, item.landmarks), rule).crop for item in index.crops])


def measure(bundles: tuple[Bundle, Bundle], scored: tuple[Scored, Scored], recipe: str) -> Measured:
    """Compare two models, each with its own calibration, by what they say of the same pictures. Raises DataError."""
    calibrations = [bundle.card.calibration for bundle in bundles]
    old, new = (
        calibrated_logit(one.scores.fake_logit, calibration)
        for one, calibration in zip(scored, calibrations, strict=True)
    )
    sides = [
        logits >= threshold_logit(calibration, BAND_RATE)
        for logits, calibration in zip((old, new), calibrations, strict=True)
    ]
    return Measured(
        recipe=recipe,
        pictures=len(old),
        parts=parts_of(scored[0].samples, (old, new)),
        moved=float(np.median(np.abs(new - old))),
        same_side=float((sides[0] == sides[1]).mean()),
        milliseconds=milliseconds(bundles),
        megabytes=(len(bundles[0].model) / 1e6, len(bundles[1].model) / 1e6),
    )


def parts_of(samples: Sequence[Sample], logits: tuple[Floats, Floats]) -> tuple[Part, ...]:
    """Each set with both classes, then all pictures. Raises DataError if there are too few of a class altogether."""
    labels: Ints = np.array([int(one.label) for one in samples], dtype=np.int64)
    names = np.array([one.set for one in samples])
    counts = np.bincount(labels, minlength=2)
    if counts.min() < MIN_OF_CLASS:
        raise DataError(
            f"{counts[0]} real and {counts[1]} fake validation pictures; give at least {MIN_OF_CLASS} of each"
        )
    groups = np.unique([f"{one.set}\n{one.group or one.path}" for one in samples], return_inverse=True)[1]
    places = {str(name) or "pictures": np.flatnonzero(names == name) for name in np.unique(names)}
    places = {name: at for name, at in places.items() if len(np.unique(labels[at])) == 2 and len(places) > 1}
    return tuple(
        Part(
            name=name,
            real=int((labels[at] == 0).sum()),
            fake=int((labels[at] == 1).sum()),
            aucs=compare_aucs(
                labels[at],
                (logits[0][at], logits[1][at]),
                np.unique(groups[at], return_inverse=True)[1],
                DEFAULT_RESAMPLING,
            ),
        )
        for name, at in (*places.items(), (ALL, np.arange(len(labels))))
    )


def milliseconds(bundles: tuple[Bundle, Bundle]) -> tuple[float, float]:
    """Processor time of one core for one crop, medians of runs in turn, so that both meet the same machine."""
    sessions = [open_session(bundle.model, bundle.card.name, threads=1) for bundle in bundles]
    size = bundles[0].card.input.size
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(TIMED_RUNS):
        for session, seconds in zip(sessions, taken, strict=True):
            begin = time.thread_time()
            session.run(None, {session.get_inputs()[0].name: crop})
            seconds.append(1000.0 * (time.thread_time() - begin))
    return statistics.median(taken[0]), statistics.median(taken[1])
