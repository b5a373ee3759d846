"""``deepfake bench backbones``: trains several backbones on the same pictures with the same budget, side by side."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.scoring.bundle import Bundle, load_bundle
from deepfake_detector.training import repeat
from deepfake_detector.training.bench.changes import CHANGES
from deepfake_detector.training.bench.page import writing
from deepfake_detector.training.bench.ranking import foreign_auc, own_auc, robust_auc
from deepfake_detector.training.bench.runs import Table, fill, machine, trained_run
from deepfake_detector.training.bench.speed import SpeedLog, Training, milliseconds_per_face, training_speed
from deepfake_detector.training.bench.stress import Stress, stress
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.data.manifest import read_data, write_manifest
from deepfake_detector.training.data.samples import Sample, Split, class_of, fingerprint, limited, tally
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Estimate
from deepfake_detector.training.predict import predict
from deepfake_detector.training.run import RunFolder
from deepfake_detector.training.weights import RANDOM

logger = logging.getLogger(__name__)

PICTURES_FILE = "pictures.csv"
ROBUST_CHANGES = ("jpeg-75", "jpeg-50", "webp-50", "resize-0.5", "blur-1", "noise-10", "screenshot", "social")
"""Over which the robust AUC is a mean: what pictures go through on their way, one of each kind at middle strength."""


@dataclass(frozen=True, slots=True)
class BackbonesOptions:
    """Which pictures, and how to measure.

    ``pictures`` of each class of each set and split are used at most, and ``robust_pictures`` of each class of each set
    are changed, both drawn by the seed of ``settings``; None for all. ``only`` are names of candidates, and
    ``overrides`` what was changed in the config's file.
    """

    pictures: int | None = None
    robust_pictures: int | None = 40
    only: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One trained backbone. ``milliseconds`` are of one core and for one face; ``training`` is None if not measured."""

    name: str
    backbone: str
    weights: str
    size: int
    parameters: int
    megabytes: float
    milliseconds: float
    training: Training | None
    own: Estimate
    foreign: Estimate
    robust: Estimate
    run: str

    @property
    def random(self) -> bool:
        """True if it was trained from nothing."""
        return self.weights == RANDOM


@dataclass(frozen=True, slots=True, kw_only=True)
class Backbones(Table):
    """The table of backbones; counts are (real, fake)."""

    trained_on: tuple[int, int]
    tested_on: tuple[int, int]
    foreign: dict[str, tuple[int, int]]
    changed: tuple[int, int]
    rows: tuple[Row, ...] = ()


def bench_backbones(
    config: TrainConfig,
    config_file: Path,
    output: Path | None = None,
    options: BackbonesOptions | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Backbones, Path]:
    """Train what is not trained yet, measure, and write to a folder (by default under ``outputs/bench``).

    Each is a run folder ``<name>-<candidate>``; a finished one is kept, an interrupted one goes on, and what
    cannot be exported is left out. Raises ConfigError, DataError, WeightsError, or ExportError if nothing remains.
    """
    from deepfake_detector.training.bench.backbones_report import write

    options = options or BackbonesOptions()
    chosen = chosen_candidates(config, options.only)
    folder = output or config.outputs / "bench" / f"backbones-{config.name}"
    samples = _samples(config, options)
    tested = [sample for sample in samples if sample.split is Split.TEST]
    if not tested:
        raise DataError(f"{config.data.source} has no test pictures; split it with: deepfake split")
    budget = config if options.pictures is None else _with_pictures(config, samples, folder)
    parts = _Parts(
        own=tuple(one for one in tested if not is_foreign(one, config)),
        foreign=tuple(one for one in tested if is_foreign(one, config)),
    )
    trained_on = [one for one in samples if one.split is Split.TRAIN and not is_foreign(one, config)]
    found = Backbones(
        name=config.name,
        data=str(config.data.source),
        fingerprint=fingerprint(samples),
        command=command_line(config_file, output, options),
        settings=options.settings,
        trained_on=tally(trained_on),
        tested_on=tally(parts.own),
        foreign={
            name: tally([one for one in parts.foreign if one.set == name])
            for name in sorted({one.set for one in parts.foreign})
        },
        changed=tally(parts.changed(options)),
        epochs=(config.head.epochs, config.train.epochs),
        machine=machine(),
        waiting=tuple(chosen),
    )

    def save(table: Backbones) -> None:
        with writing("table", folder):
            write(table, folder)

    return fill(found, lambda name: _row(name, budget, parts, options, callbacks), save), folder


def chosen_candidates(config: TrainConfig, only: Sequence[str]) -> list[str]:
    """The names to compare. Raises ConfigError if there are none, or not those of ``only``."""
    if config.join is not None or not config.backbones:
        raise ConfigError(
            "this config has no backbones to compare; add a section such as "
            "backbones: {small: {backbone: mobilenetv3-small}, vit: {backbone: vit-tiny, weights: random}}"
        )
    for name in only:
        if name not in config.backbones:
            raise ConfigError(f"backbones: there is no {name!r}; there are {', '.join(config.backbones)}")
    return [name for name in config.backbones if not only or name in only]


def candidate_config(config: TrainConfig, name: str) -> TrainConfig:
    """The experiment of one candidate: the same in everything that it does not say otherwise."""
    one = config.backbones[name]
    batchnorm = one.batchnorm or ("learned" if one.weights == RANDOM else config.train.batchnorm)
    train = {"from_block": one.from_block, "batchnorm": batchnorm, "lr": one.lr or config.train.lr}
    model = {"backbone": one.backbone, "weights": one.weights, "alpha": one.alpha}
    content = config.model_dump()
    content |= {
        "name": f"{config.name}-{name}",
        "backbones": {},
        "model": content["model"] | model,
        "train": content["train"] | train,
        "data": content["data"] | {"size": one.size or config.data.size},
        "card": content["card"] | {"name": None},
    }
    return TrainConfig.model_validate(content)


def is_foreign(sample: Sample, config: TrainConfig) -> bool:
    """True if a picture's set, or its half of the set, is not trained on."""
    data = config.data
    outside = data.sets is not None and sample.set not in data.sets
    return outside or sample.set in data.validate_only or bool({sample.set, class_of(sample)} & set(data.exclude))


def _samples(config: TrainConfig, options: BackbonesOptions) -> tuple[Sample, ...]:
    data = config.data
    samples = read_data(data.source, data.ratios, data.split_seed)
    return limited(samples, options.pictures, options.settings.resampling.seed)


def _with_pictures(config: TrainConfig, samples: Sequence[Sample], folder: Path) -> TrainConfig:
    """The experiment on these pictures only, which a manifest in the folder lists."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / PICTURES_FILE
    write_manifest(samples, table)
    return config.model_copy(update={"data": config.data.model_copy(update={"source": table})})


@dataclass(frozen=True, slots=True)
class _Parts:
    """The test pictures: of what was trained on, and of what was not."""

    own: tuple[Sample, ...]
    foreign: tuple[Sample, ...]

    def changed(self, options: BackbonesOptions) -> tuple[Sample, ...]:
        return limited(self.own, options.robust_pictures, options.settings.resampling.seed)


def _row(
    name: str, config: TrainConfig, parts: _Parts, options: BackbonesOptions, callbacks: Sequence[Callback]
) -> Row:
    """Train one candidate of the experiment, unless it is trained, and measure it."""
    config = candidate_config(config, name)
    run = RunFolder(config.outputs / config.name)
    logger.info("%s: %s from %s", name, config.model.backbone, config.model.weights)
    trained_run(config, [*callbacks, SpeedLog(run.logs)])
    bundle = load_bundle(run.bundle)
    predictions = predict(
        bundle, [*parts.own, *parts.foreign], config.data.cache, options.settings.point, options.threads
    )
    own, foreign = predictions[: len(parts.own)], predictions[len(parts.own) :]
    resampling = options.settings.resampling
    return Row(
        name=name,
        backbone=config.model.backbone,
        weights=config.model.weights,
        size=config.data.size,
        parameters=parameters(run),
        megabytes=len(bundle.model) / 1e6,
        milliseconds=milliseconds_per_face(bundle),
        training=training_speed(run.logs),
        own=own_auc(own, resampling),
        foreign=foreign_auc(foreign, own, resampling),
        robust=_robust(bundle, parts.changed(options), config, options),
        run=str(run.path),
    )


def _robust(bundle: Bundle, samples: Sequence[Sample], config: TrainConfig, options: BackbonesOptions) -> Estimate:
    changes = tuple(change for change in CHANGES if change.name in ROBUST_CHANGES)
    how = Stress(changes, seed=options.settings.resampling.seed, threads=options.threads)
    stressed = stress(bundle, samples, config.data.cache, options.settings.point, how)
    return robust_auc(stressed, options.settings.resampling)


def parameters(run: RunFolder) -> int:
    """How many weights the network of a run has, its heads included."""
    from deepfake_detector.training.saliency import network_of

    return int(sum(np.prod(weight.shape) for weight in network_of(run.path).weights))


def command_line(config_file: Path, output: Path | None, options: BackbonesOptions) -> str:
    """The command that does the same again."""
    return repeat.command_line(
        ["bench", "backbones", str(config_file)],
        {
            "--pictures": options.pictures,
            "--robust-pictures": options.robust_pictures,
            "--only": options.only,
            "--set": options.overrides,
            "--bootstrap": options.settings.resampling.resamples,
            "--seed": options.settings.resampling.seed,
            "--output": output,
        },
    )
