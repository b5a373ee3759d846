"""``deepfake bench sources``: trains a model without each family of sources, and tests each on every set."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.scoring.bundle import Bundle, load_bundle
from deepfake_detector.training import repeat
from deepfake_detector.training.bench.aucs import auc_estimate
from deepfake_detector.training.bench.page import writing
from deepfake_detector.training.bench.runs import trained_run
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.samples import Label, Sample, Split, fingerprint, near_miss, select
from deepfake_detector.training.evaluation import Settings, answered, group
from deepfake_detector.training.intervals import Estimate, Rate, rate
from deepfake_detector.training.predict import Prediction, bounds, predict
from deepfake_detector.training.prepare import TRAIN, chosen_samples, part_of

logger = logging.getLogger(__name__)

Families = Mapping[str, tuple[str, ...]]
"""The name of a family and its sets, which are left out together."""

OWN, FAMILY, EVERYBODY = "its own reals", "the reals of its family", "all reals"


@dataclass(frozen=True, slots=True)
class SourcesOptions:
    """Which pictures to test on, and how to measure.

    ``validate_left_out``: the left-out family is validated with, so that it chooses the best epoch, and its figures are
    marked; else a fold does not see it before it is tested. ``overrides`` are what was changed in the config's file.
    """

    split: Split | None = Split.TEST
    settings: Settings = field(default_factory=Settings)
    validate_left_out: bool = False
    overrides: tuple[str, ...] = ()
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """One fold on one set; ``fold`` is the family that it was trained without.

    A set of fakes alone is measured against the reals of its family, or all reals; ``against`` says which.
    ``fpr`` and ``tpr`` are at the fold's own threshold, of the set's own pictures.
    """

    fold: str
    set: str
    left_out: bool
    used_for_selection: bool
    real: int
    fake: int
    against: str
    roc_auc: Estimate
    fpr: Rate
    tpr: Rate


@dataclass(frozen=True, slots=True)
class Sources:
    """The matrix with all that is needed to repeat it; ``untrained`` are sets that are in the training of no fold."""

    name: str
    data: str
    split: str
    fingerprint: str
    command: str
    settings: Settings
    families: Families
    runs: Mapping[str, str]
    predictions: Mapping[str, tuple[Prediction, ...]]
    cells: tuple[Cell, ...]
    untrained: tuple[str, ...] = ()

    @property
    def sets(self) -> tuple[str, ...]:
        """All sets, those of a family side by side."""
        named = [name for sets in self.families.values() for name in sets]
        return tuple(dict.fromkeys([*named, *sorted({cell.set for cell in self.cells})]))

    def unseen(self, cell: Cell) -> bool:
        """True if the set was not in the training of the fold."""
        return cell.left_out or cell.set in self.untrained

    def cell(self, fold: str, set_: str) -> Cell | None:
        """The cell of a fold and a set, if the set has pictures here."""
        return next((one for one in self.cells if (one.fold, one.set) == (fold, set_)), None)


def bench_sources(
    config: TrainConfig,
    config_file: Path,
    output: Path | None = None,
    options: SourcesOptions | None = None,
    callbacks: Sequence[Callback] = (),
) -> tuple[Sources, Path]:
    """Train what is not trained yet, test, and write to a folder (by default under ``outputs/bench``).

    Each fold is a run folder ``<name>-without-<family>``; a finished one is kept, an interrupted one goes on.
    Raises ConfigError, DataError, WeightsError or ExportError.
    """
    from deepfake_detector.training.bench.sources_report import write

    options = options or SourcesOptions()
    samples = read_data(config.data.source, config.data.ratios, config.data.split_seed)
    check_families(config, samples)
    tested = select(samples, splits=() if options.split is None else (options.split,))
    if not tested:
        raise DataError(f"{config.data.source} has no pictures in the split {options.split}")
    folds = {family: fold_config(config, family, options.validate_left_out) for family in config.families}
    runs = {family: trained_run(fold, callbacks) for family, fold in folds.items()}
    predictions, cells = {}, []
    for family, run in runs.items():
        bundle = load_bundle(run.bundle)
        logger.info("testing %s on %d pictures", run.path.name, len(tested))
        predictions[family] = predict(bundle, tested, config.data.cache, options.settings.point, options.threads)
        cells += measure_fold(family, config.families, predictions[family], bundle, options)
    found = Sources(
        name=config.name,
        data=str(config.data.source),
        split=str(options.split or "all"),
        fingerprint=fingerprint(tested),
        command=command_line(config_file, config, output, options),
        settings=options.settings,
        families=config.families,
        runs={family: str(run.path) for family, run in runs.items()},
        predictions=predictions,
        cells=tuple(cells),
        untrained=untrained_sets(config, samples),
    )
    folder = output or config.outputs / "bench" / f"sources-{config.name}"
    with writing("matrix", folder):
        write(found, folder)
    return found, folder


def check_families(config: TrainConfig, samples: Sequence[Sample]) -> None:
    """Raises ConfigError unless there are two families of sets that exist, and a network that has seen none of them."""
    if config.join is not None:
        raise ConfigError(
            "this config joins networks that are trained already and have seen the sets to be left out; give the "
            "config of a branch"
        )
    if len(config.families) < 2:
        raise ConfigError(
            "name at least two families of sets, in the config (families: {gan: [set_a, set_b], diffusion: [set_c]}) "
            "or with --family gan=set_a,set_b"
        )
    known = sorted({sample.set for sample in samples})
    named = [name for sets in config.families.values() for name in sets]
    for name in named:
        if name not in known:
            raise ConfigError(
                f"families: there is no set {name!r}{near_miss(name, known)}; there are {', '.join(known)}"
            )
        if named.count(name) > 1:
            raise ConfigError(f"families: the set {name!r} is in two of them")
    weights = Path(config.model.weights)
    if weights.is_dir() or weights.suffix == ".keras":
        raise ConfigError(
            f"model.weights is {weights}, a network that may have seen the sets to be left out; start from weights "
            "that have not, such as 'imagenet'"
        )


def untrained_sets(config: TrainConfig, samples: Sequence[Sample]) -> tuple[str, ...]:
    """The sets that the config does not train on, whatever is left out of it."""
    chosen = chosen_samples(samples, config.data)
    trained_on = {one.set for one in chosen if part_of(one, config.data.validate_only) == TRAIN}
    return tuple(sorted({one.set for one in samples} - trained_on))


def fold_config(config: TrainConfig, family: str, validate: bool) -> TrainConfig:
    """The config of the fold without a family: the same in everything else, and calibrated on its own validation."""
    left_out = config.families[family]
    data = config.data
    trained_on = None if data.sets is None else tuple(name for name in data.sets if name not in left_out)
    if validate:
        changed = {"sets": trained_on, "validate_only": tuple(dict.fromkeys([*data.validate_only, *left_out]))}
    else:
        kept = tuple(name for name in data.validate_only if name not in left_out)
        changed = {
            "sets": trained_on,
            "exclude": tuple(dict.fromkeys([*data.exclude, *left_out])),
            "validate_only": kept,
        }
    return config.model_copy(
        update={
            "name": f"{config.name}-without-{family}",
            "data": data.model_copy(update=changed),
            "calibration": config.calibration.model_copy(update={"from_runs": ()}),
            "card": config.card.model_copy(update={"name": None}),
            "ingredients": {},  # so that `deepfake bench ablation` finds the same run, whatever it is to try
        }
    )


def measure_fold(
    family: str, families: Families, predictions: Sequence[Prediction], bundle: Bundle, options: SourcesOptions
) -> list[Cell]:
    """One cell for each set."""
    known = answered(predictions)
    sets = np.array([one.sample.set for one, _ in known])
    labels = np.array([int(one.sample.label) for one, _ in known], dtype=np.int64)
    logits = np.array([answer.logit for _, answer in known])
    groups = np.array([group(one) for one, _ in known])
    threshold = bounds(bundle.card.calibration, options.settings.point).fake_from
    resampling = options.settings.resampling
    cells = []
    for name in np.unique(sets):
        here = sets == name
        relatives = next((members for members in families.values() if name in members), ())
        reals, against = _reals_for(here, np.isin(sets, relatives), labels == Label.REAL)
        chosen = np.flatnonzero((here & (labels == Label.FAKE)) | reals)
        numbers = np.unique(groups[chosen], return_inverse=True)[1]
        called = logits >= threshold
        fpr, tpr = (
            rate(
                int((called & here & (labels == label)).sum()),
                int((here & (labels == label)).sum()),
                resampling.confidence,
            )
            for label in Label
        )
        left_out = bool(name in families[family])
        cells.append(
            Cell(
                fold=family,
                set=str(name),
                left_out=left_out,
                used_for_selection=left_out and options.validate_left_out,
                real=fpr.n,
                fake=tpr.n,
                against=against if tpr.n else "",
                roc_auc=auc_estimate(labels[chosen], logits[chosen], numbers, resampling),
                fpr=fpr,
                tpr=tpr,
            )
        )
    return cells


def _reals_for(here: np.ndarray, relatives: np.ndarray, real: np.ndarray) -> tuple[np.ndarray, str]:
    """The reals that a set's fakes are measured against: its own, those of its family, or all."""
    for chosen, words in ((here & real, OWN), (relatives & real, FAMILY)):
        if chosen.any():
            return chosen, words
    return real, EVERYBODY


def command_line(config_file: Path, config: TrainConfig, output: Path | None, options: SourcesOptions) -> str:
    """The command that does the same again."""
    settings = options.settings
    return repeat.command_line(
        ["bench", "sources", str(config_file)],
        {
            "--family": tuple(f"{family}={','.join(sets)}" for family, sets in config.families.items()),
            "--set": options.overrides,
            "--split": options.split or "all",
            "--operating-point": settings.point,
            "--bootstrap": settings.resampling.resamples,
            "--seed": settings.resampling.seed,
            "--validate-left-out": options.validate_left_out,
            "--output": output,
        },
    )
