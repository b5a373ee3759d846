"""From the data section of a config to loaders: read, choose sets, cut crops, say what is what."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.core.types import CropMode
from deepfake_detector.training.calibrate import MIN_PER_CLASS
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import ClassWeight, DataConfig, TrainConfig
from deepfake_detector.training.data.crops import CachedCrop, CropIndex, CropOptions, build_crops
from deepfake_detector.training.data.dataloader import CropLoader, LoaderConfig
from deepfake_detector.training.data.manifest import read_data, read_samples
from deepfake_detector.training.data.meshes import build_meshes
from deepfake_detector.training.data.samples import (
    SYNTHETIC,
    Label,
    Progress,
    Sample,
    Split,
    class_of,
    fingerprint,
    kind_target,
    near_miss,
)
from deepfake_detector.training.data.sampling import BalanceConfig
from deepfake_detector.training.data.synthetic import SyntheticFakes
from deepfake_detector.training.fitdata import FitData
from deepfake_detector.training.run import Count
from deepfake_detector.training.selection import Known

TRAIN, VALIDATION, FOREIGN = "train", "validation", "foreign validation"


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is trained on, the loader of the validation crops, and facts for the record of the run."""

    fit: FitData
    loader: CropLoader
    index: CropIndex
    fingerprint: str
    counts: tuple[Count, ...]
    foreign: frozenset[str]


def need_source(source: Path) -> None:
    """Raises DataError if there is no data at all: better before weights are downloaded than after."""
    if not source.exists():
        raise DataError(f"there is no {source}; set data.source to a folder with Real and Fake, or to a CSV manifest")


def prepare(config: TrainConfig, callback: Callback) -> Prepared:
    """Read the data, find and cut the faces (cached), and make the loaders. Raises DataError."""
    data = config.data
    samples, abroad = chosen_samples(read_data(data.source, data.ratios, data.split_seed), data), from_abroad(data)
    foreign = frozenset((*data.validate_only, *(sample.set for sample in abroad)))
    if both := sorted({sample.set for sample in samples} & {sample.set for sample in abroad}):
        raise DataError(
            f"data.source and data.foreign both have the set {both[0]!r}; leave it out of one (data.exclude)"
        )
    samples += abroad
    index = _crops(samples, data, callback)
    parts = {part: [crop for crop in index.crops if part_of(crop.sample, foreign) == part] for part in _PARTS}
    train, validation = parts[TRAIN], [*parts[VALIDATION], *parts[FOREIGN]]
    _check(train, validation)
    loader = _validation_loader(validation, config)
    return Prepared(
        fit=FitData(_train_loader(train, config, callback), loader, known_of(validation, foreign)),
        loader=loader,
        index=index,
        fingerprint=fingerprint(samples),
        counts=tuple(count for part in _PARTS for count in _counts(part, parts[part])),
        foreign=foreign,
    )


def from_abroad(data: DataConfig) -> list[Sample]:
    """The pictures of ``data.foreign`` that are not for testing."""
    return [sample for source in data.foreign for sample in read_samples(source) if sample.split is not Split.TEST]


def _crops(samples: Sequence[Sample], data: DataConfig, callback: Callback) -> CropIndex:
    callback.on_phase("faces" if data.crop == "face" else "pictures", len(samples), 0)
    index = build_crops(samples, data.rule(), data.cache, CropOptions(workers=data.workers), _reporter(callback))
    callback.on_end()
    return index


def _reporter(callback: Callback) -> Progress:
    """Turns "so many are done" into what a callback counts: how many have come."""
    last = 0

    def report(done: int, _: int) -> None:
        nonlocal last
        callback.on_batch(done - last, None)
        last = done

    return report


_PARTS = (TRAIN, VALIDATION, FOREIGN)


def chosen_samples(samples: Sequence[Sample], data: DataConfig) -> list[Sample]:
    """Those that are trained on or validated with: of the chosen sets, and never of the test split.

    Raises DataError for a name that is no set.
    """
    present = sorted({sample.set for sample in samples})
    halves = sorted({class_of(sample) for sample in samples})
    for names, known in (((*(data.sets or ()), *data.validate_only), present), (data.exclude, [*present, *halves])):
        for name in names:
            if name not in known:
                raise DataError(f"there is no set {name!r}{near_miss(name, known)}; there are {', '.join(known)}")
    wanted = set(data.sets if data.sets is not None else present) | set(data.validate_only)
    left_out = set(data.exclude)
    return [
        sample
        for sample in samples
        if sample.set in wanted and not {sample.set, class_of(sample)} & left_out and sample.split is not Split.TEST
    ]


def part_of(sample: Sample, foreign: Container[str]) -> str:
    """Which part of the run a sample belongs to, given the sets that only validate."""
    if sample.set in foreign:
        return FOREIGN
    return TRAIN if sample.split is Split.TRAIN else VALIDATION


def known_of(crops: Sequence[CachedCrop], foreign: frozenset[str]) -> Known:
    """The truth about crops, in their order, and which of their sets are foreign."""
    samples = [crop.sample for crop in crops]
    kinds = [-1 if (kind := kind_target(sample)) is None else kind for sample in samples]
    return Known(
        labels=np.array([int(sample.label) for sample in samples], dtype=np.int64),
        kinds=np.array(kinds, dtype=np.int64),
        sets=tuple(sample.set for sample in samples),
        foreign=foreign,
    )


def _check(train: Sequence[CachedCrop], validation: Sequence[CachedCrop]) -> None:
    for name, crops, least in (("training", train, 1), ("validation", validation, MIN_PER_CLASS)):
        fakes = sum(crop.sample.label is Label.FAKE for crop in crops)
        if min(fakes, len(crops) - fakes) < least:
            raise DataError(
                f"there are {len(crops) - fakes} real and {fakes} fake {name} pictures; at least {least} of each are "
                "needed (validation pictures set the thresholds); add data or change data.sets and data.ratios"
            )


def _train_loader(crops: Sequence[CachedCrop], config: TrainConfig, callback: Callback) -> CropLoader:
    weighted = config.loss.class_weight is ClassWeight.AUTO and config.balance.balance == "none"
    loader = LoaderConfig(
        batch_size=config.train.batch_size,
        seed=config.seed,
        shuffle=True,
        balance=_balance(config),
        class_weights=weighted,
        memory_mb=config.data.memory_mb,
        workers=config.data.workers,
    )
    synthetic = _synthetic(crops, config, callback) if config.synthetic else None
    return CropLoader(crops, config.data.rule(), loader, config.augment, synthetic)


def _balance(config: TrainConfig) -> BalanceConfig:
    """Without the weights of sets that this run leaves out, so that one file serves a model and its folds."""
    left_out = {*config.data.validate_only, *config.data.exclude}
    weights = config.balance.weights.items()
    kept = {
        name: weight for name, weight in weights if not {name, name.split("/")[0].removesuffix(SYNTHETIC)} & left_out
    }
    return config.balance.model_copy(update={"weights": kept})


def _synthetic(crops: Sequence[CachedCrop], config: TrainConfig, callback: Callback) -> SyntheticFakes:
    if config.data.crop is CropMode.WHOLE:
        raise ConfigError("synthetic: fakes are made from faces; set data.crop to 'face', or leave synthetic out")
    reals = [crop for crop in crops if crop.sample.label is Label.REAL]
    callback.on_phase("face meshes", len(reals), 0)
    meshes = build_meshes(reals, config.data.workers, _reporter(callback))
    callback.on_end()
    return SyntheticFakes(crops, meshes, config.synthetic)


def _validation_loader(crops: Sequence[CachedCrop], config: TrainConfig) -> CropLoader:
    return CropLoader(crops, config.data.rule(), _validation_config(config))


def _validation_config(config: TrainConfig) -> LoaderConfig:
    return LoaderConfig(
        batch_size=config.train.batch_size,
        seed=config.seed,
        shuffle=False,
        memory_mb=config.data.memory_mb // 4,
        workers=config.data.workers,
    )


def judged_loader(config: TrainConfig, samples: Sequence[Sample], most: int | None, callback: Callback) -> CropLoader:
    """Some pictures as they are; at most ``most`` of each class of a set.

    Where the config synthesises fakes, one from each of their reals follows. Raises DataError.
    """
    data = config.data
    samples = _some(samples, most, config.seed) if most else samples
    crops = _crops(samples, data, callback).crops
    plain = config.synthetic and config.synthetic.model_copy(update={"disturb_reals": 0.0, "sets": None})
    synthetic = _synthetic(crops, config.model_copy(update={"synthetic": plain}), callback) if plain else None
    return CropLoader(crops, data.rule(), _validation_config(config), synthetic=synthetic)


def _some(samples: Sequence[Sample], most: int, seed: int) -> list[Sample]:
    order = np.random.default_rng(seed).permutation(len(samples))
    places: dict[str, list[int]] = {}
    for place in order:
        places.setdefault(class_of(samples[place]), []).append(int(place))
    return [samples[place] for place in sorted(place for pool in places.values() for place in pool[:most])]


def _counts(part: str, crops: Sequence[CachedCrop]) -> list[Count]:
    counts = []
    for name in sorted({crop.sample.set for crop in crops}):
        labels = [crop.sample.label for crop in crops if crop.sample.set == name]
        counts.append(Count(set=name, part=part, real=labels.count(Label.REAL), fake=labels.count(Label.FAKE)))
    return counts
