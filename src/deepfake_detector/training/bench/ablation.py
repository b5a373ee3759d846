"""``deepfake bench ablation``: what each part of a recipe is worth on sources that were not trained on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.training import repeat
from deepfake_detector.training.bench.aucs import mean_auc_estimate
from deepfake_detector.training.bench.changes import CHANGES
from deepfake_detector.training.bench.page import writing
from deepfake_detector.training.bench.paired import compare_aucs
from deepfake_detector.training.bench.ranking import columns, places
from deepfake_detector.training.bench.runs import Table, fill, machine, trained_run
from deepfake_detector.training.bench.sources import Families, check_families, fold_config
from deepfake_detector.training.bench.stress import Stress, stress
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.data.manifest import read_data, read_samples
from deepfake_detector.training.data.samples import Sample, Split, fingerprint, limited, select, tally
from deepfake_detector.training.evaluation import Settings, answered
from deepfake_detector.training.intervals import Estimate, Floats, Ints, Resampling
from deepfake_detector.training.predict import Prediction, predict
from deepfake_detector.training.prepare import chosen_samples
from deepfake_detector.training.run import RunFolder
from deepfake_detector.training.settings_file import changed_settings

logger = logging.getLogger(__name__)

FULL = "full"
KNOWN, FOREIGN, CHANGED = FIGURES = ("known", "foreign", "changed")
TRIED = ("jpeg-50", "resize-0.5", "blur-1")
"""What foreign pictures are changed by: one of each kind that pictures meet on their way."""


@dataclass(frozen=True, slots=True)
class AblationOptions:
    """Which pictures, and how to measure.

    ``folds`` are names of families, none for all. ``foreign`` are folders or manifests of more pictures that no fold
    trains on. At most ``pictures`` of each class of each set and split are measured, and ``changed_pictures`` of the
    foreign ones are changed, both drawn by the seed of ``settings``; None for all. ``overrides`` are what was changed
    in the config's file.
    """

    folds: tuple[str, ...] = ()
    foreign: tuple[Path, ...] = ()
    pictures: int | None = 300
    changed_pictures: int | None = 30
    overrides: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One recipe: the full one, or the one without an ingredient, whose ``changes`` take it away.

    ``figures`` are mean ROC-AUCs over the sets of all folds; ``worth`` is how far those of the full recipe lie above
    them, on the same pictures, and empty for the full recipe. ``minutes`` are those of all its trainings.
    """

    name: str
    changes: tuple[str, ...]
    figures: Mapping[str, Estimate]
    worth: Mapping[str, Estimate]
    minutes: float
    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ablation(Table):
    """The table of an ablation, the full recipe first.

    ``tested`` says how many (real, fake) pictures each figure is of, ``shown`` how many an epoch shows (None: all that
    there are).
    """

    folds: Families
    size: int
    shown: int | None
    tested: Mapping[str, tuple[int, int]]
    rows: tuple[Row, ...] = ()


def bench_ablation(
    config: TrainConfig,
    config_file: Path,
    output: Path | None = None,
    options: AblationOptions | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Ablation, Path]:
    """Train what is not trained yet, measure, and write to a folder (by default under ``outputs/bench``).

    A run folder is called ``<name>-no-<ingredient>-without-<family>``; a finished one is kept, an interrupted one goes
    on. The full recipe has the runs of ``deepfake bench sources``. Another one that cannot be exported is left out.
    Raises ConfigError, DataError, WeightsError, or ExportError for the full recipe.
    """
    from deepfake_detector.training.bench.ablation_report import write

    options = options or AblationOptions()
    samples = read_data(config.data.source, config.data.ratios, config.data.split_seed)
    folds = chosen_folds(config, samples, options.folds)
    tested = {fold: pictures_of(config, samples, fold, options) for fold in folds}
    folder = output or config.outputs / "bench" / f"ablation-{config.name}"
    found = Ablation(
        name=config.name,
        data=str(config.data.source),
        fingerprint=fingerprint(samples),
        command=command_line(config_file, output, options),
        settings=options.settings,
        folds=folds,
        size=config.data.size,
        shown=config.balance.epoch_size,
        epochs=(config.head.epochs, config.train.epochs),
        tested={figure: tally([one for part in tested.values() for one in part[figure]]) for figure in FIGURES},
        machine=machine(),
        waiting=(FULL, *config.ingredients),
    )
    full: dict[str, Judged] = {}

    def row_of(name: str) -> Row:
        changed = recipe(config, name)
        runs = [trained_run(fold_config(changed, fold, validate=False), callbacks) for fold in folds]
        judged = _judged(runs, list(tested.values()), config, options)
        if name == FULL:
            full.update(judged)
        return _row(name, config, runs, judged, full, options.settings.resampling)

    def save(table: Ablation) -> None:
        with writing("table", folder):
            write(table, folder)

    return fill(found, row_of, save, needed=FULL), folder


def chosen_folds(config: TrainConfig, samples: Sequence[Sample], names: Sequence[str]) -> Families:
    """The families that are left out in turn. Raises ConfigError if there are none, or nothing to take away."""
    for name in (FULL, *config.ingredients):
        check_families(recipe(config, name), samples)
    if not config.ingredients:
        raise ConfigError(
            "this config has no ingredients to take away; add a section such as "
            "ingredients: {averaging: [train.ema=0.0], blends: [synthetic=null]}"
        )
    for name in names:
        if name not in config.families:
            raise ConfigError(f"--fold {name!r} is no family of the config; there are {', '.join(config.families)}")
    return {name: sets for name, sets in config.families.items() if not names or name in names}


def recipe(config: TrainConfig, name: str) -> TrainConfig:
    """The experiment without an ingredient; with all of them for ``FULL``, under the name that the config has."""
    if name == FULL:
        return config
    changed = changed_settings(config, config.ingredients[name])
    return changed.model_copy(update={"name": f"{config.name}-no-{name}", "outputs": config.outputs})


def pictures_of(
    config: TrainConfig, samples: Sequence[Sample], fold: str, options: AblationOptions
) -> dict[str, tuple[Sample, ...]]:
    """What the networks of a fold are measured on, by figure; nothing of the test split.

    Known are the validation pictures of the sets that the fold trains on, foreign all of its family and the pictures
    that no fold trains on. Raises DataError if one of them is empty.
    """
    trained_on = chosen_samples(samples, fold_config(config, fold, validate=False).data)
    known = [one for one in trained_on if one.split is Split.VAL]
    family = select(samples, sets=config.families[fold], splits=(Split.TRAIN, Split.VAL))
    more = [one for source in options.foreign for one in read_samples(source) if one.split is not Split.TEST]
    seed = options.settings.resampling.seed
    foreign = limited([*family, *more], options.pictures, seed)
    if not known or not foreign:
        raise DataError(f"the fold without {fold} has no {'foreign' if known else 'validation'} pictures to measure")
    return {
        KNOWN: limited(known, options.pictures, seed),
        FOREIGN: foreign,
        CHANGED: limited(foreign, options.changed_pictures, seed),
    }


@dataclass(slots=True, eq=False)
class Judged:
    """What the networks of one recipe say: pictures of all folds, one fold after the other.

    ``labels``, ``logits`` and ``groups`` (N,), as ``compare_aucs`` wants them; ``parts`` are the places of each set of
    each fold (and change) beside the reals that it is measured against.
    """

    labels: Ints
    logits: Floats
    groups: Ints
    parts: list[Ints]

    @classmethod
    def of(cls, batches: Sequence[Sequence[Prediction]]) -> Judged:
        """Of the predictions of each fold; sets are only compared with reals of their own batch."""
        known = [answered(batch) for batch in batches]
        labels, sets, groups = columns([one for batch in known for one, _ in batch])
        parts, begin = [], 0
        for batch in known:
            own = slice(begin, begin + len(batch))
            parts += [begin + at for at in places(labels[own], sets[own], np.ones(len(batch), bool))]
            begin = own.stop
        return cls(labels, np.array([answer.logit for batch in known for _, answer in batch]), groups, parts)


def _judged(
    runs: Sequence[RunFolder],
    tested: Sequence[Mapping[str, Sequence[Sample]]],
    config: TrainConfig,
    options: AblationOptions,
) -> dict[str, Judged]:
    cache, point = config.data.cache, options.settings.point
    how = Stress(
        tuple(change for change in CHANGES if change.name in TRIED),
        seed=options.settings.resampling.seed,
        threads=options.threads,
    )
    batches: dict[str, list[Sequence[Prediction]]] = {figure: [] for figure in FIGURES}
    for run, pictures in zip(runs, tested, strict=True):
        bundle = load_bundle(run.bundle)
        logger.info("measuring %s on %d pictures", run.path.name, len(pictures[KNOWN]) + len(pictures[FOREIGN]))
        for figure in (KNOWN, FOREIGN):
            batches[figure].append(predict(bundle, pictures[figure], cache, point, options.threads))
        stressed = stress(bundle, pictures[CHANGED], cache, point, how)
        batches[CHANGED] += [
            [replace(one, answer=answer) for one, answer in zip(stressed.clean, answers, strict=True)]
            for answers in stressed.answers
        ]
    return {figure: Judged.of(found) for figure, found in batches.items()}


def _row(
    name: str,
    config: TrainConfig,
    runs: Sequence[RunFolder],
    judged: Mapping[str, Judged],
    full: Mapping[str, Judged],
    resampling: Resampling,
) -> Row:
    figures, worth = {}, {}
    for figure, one in judged.items():
        figures[figure] = mean_auc_estimate(one.labels, one.logits[None], one.parts, one.groups, resampling)
        if name != FULL:
            scores = (one.logits, full[figure].logits)
            worth[figure] = compare_aucs(one.labels, scores, one.groups, resampling, one.parts).gain
    return Row(
        name=name,
        changes=config.ingredients.get(name, ()),
        figures=figures,
        worth=worth,
        minutes=sum(sum(run.record().seconds.values()) for run in runs) / 60.0,
        runs=tuple(str(run.path) for run in runs),
    )


def command_line(config_file: Path, output: Path | None, options: AblationOptions) -> str:
    """The command that does the same again."""
    return repeat.command_line(
        ["bench", "ablation", str(config_file)],
        {
            "--fold": options.folds,
            "--foreign": options.foreign,
            "--pictures": options.pictures,
            "--changed-pictures": options.changed_pictures,
            "--set": options.overrides,
            "--bootstrap": options.settings.resampling.resamples,
            "--seed": options.settings.resampling.seed,
            "--output": output,
        },
    )
