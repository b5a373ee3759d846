"""Makes one network of trained ones: how much each counts is learnt on pictures that they were not trained on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import Kind
from deepfake_detector.training.calibrate import set_weights
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.cards import Prediction
from deepfake_detector.training.checkpoint import FINAL_FILE, save_network
from deepfake_detector.training.config import JoinConfig, TrainConfig
from deepfake_detector.training.data.dataloader import CropLoader
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.samples import SYNTHETIC, Sample, Split, kind_target
from deepfake_detector.training.fit import FitResult
from deepfake_detector.training.models.joined import Floats, Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.softness import Softness
from deepfake_detector.training.prepare import TRAIN, chosen_samples, from_abroad, judged_loader
from deepfake_detector.training.run import RunFolder
from deepfake_detector.training.selection import Known, figures
from deepfake_detector.training.steps import Logits, predictor

if TYPE_CHECKING:
    import keras

PHASE = "joining"
LOOSE = 1e4
"""Inverse strength of the penalty: two or three weights from thousands of faces need none."""

WEIGHTS, OFFSETS = (0.01, 20.0), (-20.0, 20.0)
"""Bounds of a branch's weight, which never turns its logit round, and of a voice's offset."""

logger = logging.getLogger(__name__)


def need_runs(join: JoinConfig) -> None:
    """Raises ConfigError unless all runs that are joined are there and finished."""
    for path in {*join.branches, *(path for fold in join.folds for path in fold)}:
        if not (RunFolder(path).checkpoints / FINAL_FILE).is_file():
            raise ConfigError(f"{path} is no finished run; train it, or change the section join")


def join(
    config: TrainConfig, settings: JoinConfig, folder: Path, callback: Callback
) -> tuple[FitResult, list[Prediction]]:
    """Write the joined network as ``final.keras`` into ``folder``, and return what it says of judged pictures.

    Each fold's networks judge the sets that none of them was trained on; without folds, the branches judge the
    validation pictures, and the sets of ``data.validate_only``, which none of them may know. Fakes synthesised from
    the reals of these are judged, too. The branches of one kind speak with one voice. How the logits are put together
    is fitted to these ("stacked generalization", Wolpert 1992), each set of a class weighing the same, and all
    synthesised fakes as much as one set. What softness takes from a voice is not fitted, and taken afterwards. The
    pictures of ``data.foreign`` are judged for calibration alone.
    Raises ConfigError, DataError or WeightsError.
    """
    parts, more, unseen = _judge_all(config, settings, callback)
    learnt_from = sum(len(judged.samples) for judged in parts)
    parts += more
    samples = [sample for judged in parts for sample in judged.samples]
    logits = np.concatenate([judged.logits for judged in parts])
    labels = np.array([int(sample.label) for sample in samples])
    kinds = np.array([_kind(sample) for sample in samples])
    names = np.array([sample.set for sample in samples])
    voices = tuple(dict.fromkeys(settings.kinds))
    speaks = np.array([_voice(kind, voices) for kind in kinds])
    has = np.array([[kind is voice for voice in voices] for kind in settings.kinds]) if voices else None
    own = slice(learnt_from)
    fake = fit_soft_maximum(
        logits[own], labels[own], names[own], speaks[own], Voices(has, settings.shares, settings.within)
    )
    known_kind = np.flatnonzero(kinds[own] >= 0)
    kind = fit_mixture(logits[known_kind], kinds[known_kind], names[known_kind])
    for path, weights, weight in zip(settings.branches, fake.weights, kind.weights, strict=True):
        logger.info("%s: %.3f · logit to its voice, %+.3f · logit to the kind", path.name, weights.sum(), weight)
    logger.info("offsets of the voices: %s", ", ".join(f"{offset:+.3f}" for offset in fake.offsets))
    soft = _softness(settings, voices)
    branches = [_network(path) for path in settings.branches]
    save_network(joined_network(branches, fake, kind, soft), folder / FINAL_FILE)
    less = np.concatenate([judged.less for judged in parts])
    found = Logits(fake.of(logits, less).astype(np.float32), kind.of(logits).astype(np.float32))
    known = Known(labels, kinds, tuple(name.removesuffix(SYNTHETIC) for name in names.tolist()))
    foreign = [name in unseen for name in known.sets]
    return FitResult((), found, figures(known, found.fake)), list(_rows(samples, found, foreign))


def _judge_all(
    config: TrainConfig, settings: JoinConfig, callback: Callback
) -> tuple[list[Judged], list[Judged], set[str]]:
    """What is judged to learn how to join, what more to calibrate, and the sets of which the judges know nothing."""
    if settings.folds:
        parts = [_foreign(config, fold, callback) for fold in settings.folds]
        return parts, [], {sample.set.removesuffix(SYNTHETIC) for judged in parts for sample in judged.samples}
    unseen = set(config.data.validate_only)
    _check_unseen(settings.branches, unseen)
    samples = [sample for sample in _samples(config) if sample.split is Split.VAL or sample.set in unseen]
    parts = [_judged(config, settings.branches, samples, callback)]
    plain = config.model_copy(update={"synthetic": None})
    abroad = from_abroad(config.data)
    more = [_judged(plain, settings.branches, abroad, callback)] if abroad else []
    return parts, more, unseen | {sample.set for judged in more for sample in judged.samples}


def _samples(config: TrainConfig) -> list[Sample]:
    data = config.data
    return chosen_samples(read_data(data.source, data.ratios, data.split_seed), data)


def _check_unseen(branches: Sequence[Path], unseen: Set[str]) -> None:
    """Raises ConfigError if a branch was trained on a set that it must not know."""
    for path in branches:
        trained_on = {count.set for count in RunFolder(path).record().counts if count.part == TRAIN}
        if known := sorted(trained_on & unseen):
            raise ConfigError(
                f"{path} was trained on {', '.join(known)}, which data.validate_only says is foreign; take it out "
                "there, or train the branch without it (data.exclude)"
            )


@dataclass(frozen=True, slots=True)
class Voices:
    """Which branches are in which voice (B, V), one each if None, and how common each voice's fakes are.

    Without ``shares`` (V,), they are as common as the judged sets have it. ``within`` (B,) says how much a branch
    counts, compared with the others of its voice; without it, that is found, too.
    """

    has: NDArray[np.bool_] | None = None
    shares: Sequence[float] = ()
    within: Sequence[float] = ()


def fit_soft_maximum(
    logits: Floats,
    labels: NDArray[np.int64],
    sets: NDArray[np.str_],
    speaks: NDArray[np.int64],
    voices: Voices = Voices(),
) -> SoftMaximum:
    """The soft maximum of logits (N, B) with the least log loss for the labels, 1 and 0. Raises ConfigError.

    ``speaks`` (N,) says which voice is there for such a fake, −1 for reals and where nobody knows. With it, each
    voice is to give the odds of its own fakes against a photo (multinomial logistic regression); without, any may.
    """
    from scipy.optimize import minimize

    mass = _weights(labels, sets)
    has = np.eye(logits.shape[1], dtype=bool) if voices.has is None else voices.has
    inside = np.nonzero(has)
    # Which parameter each weight is, and how many times as large.
    free = inside[1] if voices.within else np.arange(len(inside[1]))
    times = np.asarray(voices.within)[inside[0]] if voices.within else np.ones(len(free))
    count = int(free.max()) + 1
    known = speaks >= 0
    total = mass[known].sum()
    for voice, share in enumerate(voices.shares):
        own = speaks == voice
        mass[own] *= share / sum(voices.shares) * total / mass[own].sum()

    def made(parameters: Floats) -> SoftMaximum:
        weights = np.zeros(has.shape)
        weights[inside] = parameters[:count][free] * times
        return SoftMaximum(weights, parameters[count:])

    def loss(parameters: Floats) -> float:
        fake = made(parameters)
        odds = logits @ fake.weights + fake.offsets
        found = np.logaddexp.reduce(odds, axis=1)
        said = np.where(known, odds[np.arange(len(odds)), speaks], found)
        return float((mass * (np.logaddexp(0.0, found) - labels * said)).sum())

    start = np.zeros(count + has.shape[1])
    start[free] = (has / has.sum(axis=0))[inside]
    bounds = [WEIGHTS] * count + [OFFSETS] * has.shape[1]
    return made(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)


def fit_mixture(logits: Floats, labels: NDArray[np.int64], sets: NDArray[np.str_]) -> Mixture:
    """The mixture of logits (N, B) that best tells the labels 1 from 0, by logistic regression. Raises ConfigError."""
    from sklearn.linear_model import LogisticRegression

    weights = _weights(labels, sets) * len(labels)
    found = LogisticRegression(C=LOOSE, max_iter=1000).fit(logits, labels, sample_weight=weights)
    return Mixture(np.asarray(found.coef_[0], dtype=np.float64), float(found.intercept_[0]))


def _voice(kind: int, voices: Sequence[Kind]) -> int:
    """The voice that is there for a kind (0 manipulated, 1 generated, −1 none), or −1."""
    own = [place for place, voice in enumerate(voices) if kind == int(voice is Kind.GENERATED)]
    return own[0] if own else -1


def _weights(labels: NDArray[np.int64], sets: NDArray[np.str_]) -> Floats:
    if len(np.unique(labels)) != 2:
        raise ConfigError("the judged pictures are all of one class or kind; judge sets of both")
    return set_weights(labels, np.where(np.char.endswith(sets, SYNTHETIC), SYNTHETIC, sets))


@dataclass(frozen=True, slots=True)
class Judged:
    """N samples, the fake logits (N, B) of each network, and what their softness takes from each voice (N, V)."""

    samples: tuple[Sample, ...]
    logits: Floats
    less: Floats


def _softness(settings: JoinConfig, voices: Sequence[Kind]) -> Softness | None:
    given = settings.soft
    return Softness(voices.index(given.kind), given.times, given.begins, given.over) if given else None


def _foreign(config: TrainConfig, fold: Sequence[Path], callback: Callback) -> Judged:
    """What the networks of a fold say of the sets that none of them knows."""
    left_out = [set(RunFolder(path).config().data.validate_only) for path in fold]
    foreign = set.intersection(*left_out)
    if not foreign:
        raise ConfigError(f"no set is in data.validate_only of all of {', '.join(path.name for path in fold)}")
    return _judged(config, fold, [sample for sample in _samples(config) if sample.set in foreign], callback)


def _judged(config: TrainConfig, runs: Sequence[Path], samples: Sequence[Sample], callback: Callback) -> Judged:
    loader = judged_loader(config, samples, config.join.most if config.join else None, callback)
    judges = [predictor(_network(path)) for path in runs]
    voices = tuple(dict.fromkeys(config.join.kinds)) if config.join else ()
    soft = _softness(config.join, voices) if config.join else None
    callback.on_phase(PHASE, len(loader.samples), 0)
    found, less = [], []
    for (batch,) in _batches(loader, callback):
        found.append(np.stack([judge([(batch,)]).fake for judge in judges], axis=1))
        less.append(np.asarray(soft.share(batch)) * soft.cost(len(voices)) if soft else np.zeros((len(batch), 1)))
    callback.on_end()
    return Judged(loader.samples, np.concatenate(found).astype(np.float64), np.concatenate(less).astype(np.float64))


def _batches(loader: CropLoader, callback: Callback) -> Iterator[tuple[NDArray[np.uint8]]]:
    for images, *_ in loader.epoch_dataset(0):
        yield (images,)
        callback.on_batch(int(images.shape[0]), None)


def _network(path: Path) -> keras.Model:
    import keras

    return keras.models.load_model(RunFolder(path).checkpoints / FINAL_FILE, compile=False)


def _rows(samples: Sequence[Sample], logits: Logits, foreign: Sequence[bool]) -> Iterator[Prediction]:
    for sample, fake, kind, is_foreign in zip(samples, logits.fake, logits.kind, foreign, strict=True):
        yield Prediction(
            path=str(sample.path),
            set=sample.set,
            foreign=is_foreign,
            label=int(sample.label),
            kind=_kind(sample),
            fake_logit=float(fake),
            kind_logit=float(kind),
        )


def _kind(sample: Sample) -> int:
    target = kind_target(sample)
    return -1 if target is None else target
