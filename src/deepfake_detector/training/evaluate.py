"""Measures a model on labelled pictures: the exported file is scored, so that what is measured is what ships."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deepfake_detector.core.errors import ConfigError, DataError, ModelNotFoundError
from deepfake_detector.scoring.bundle import CARD_FILE, Bundle, load_bundle
from deepfake_detector.scoring.shipped import SHIPPED
from deepfake_detector.training import repeat
from deepfake_detector.training.config import DataConfig, TrainConfig
from deepfake_detector.training.data.manifest import read_data, read_samples
from deepfake_detector.training.data.samples import Sample, Split, fingerprint, near_miss, select
from deepfake_detector.training.evaluation import Evaluation, Settings, assess_predictions
from deepfake_detector.training.evaluation_files import write_json, write_long_csv, write_predictions
from deepfake_detector.training.evaluation_plots import draw
from deepfake_detector.training.evaluation_report import write_page
from deepfake_detector.training.predict import Progress, predict
from deepfake_detector.training.run import RunFolder

OUTPUTS = Path("outputs")
REPORT_NAME = "report.html"


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """Which pictures (``split`` None takes all), how to measure, and where the cropped faces are kept.

    ``crops`` None takes the cache of the run's config, or ``outputs/cache``.
    """

    split: Split | None = Split.TEST
    sets: tuple[str, ...] = ()
    exclude_sets: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    crops: Path | None = None
    threads: int = 0


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A bundle to evaluate, and the run that it came from, if it is known."""

    name: str
    bundle: Bundle
    config: TrainConfig | None = None


def find_model(model: str | Path | None, outputs: Path = OUTPUTS) -> ModelSource:
    """A bundle's folder, a run folder, the name of a shipped model, or None for the newest run under ``outputs``.

    A bundle that lies in its run comes with the run's config, too: only that tells how data without a split was split.
    Raises ModelError or ConfigError.
    """
    if model is None:
        model = newest_run(outputs)
    run = RunFolder(Path(model))
    around = RunFolder(run.path.parent)
    if around.bundle == run.path and around.record_file.is_file():
        run = around
    if str(model) in SHIPPED or not run.config_file.is_file():
        return ModelSource(str(model), load_bundle(model))
    if not (run.bundle / CARD_FILE).is_file():
        raise ModelNotFoundError(f"the run {model} has no bundle yet; go on with: deepfake train --resume {model}")
    return ModelSource(str(model), load_bundle(run.bundle), run.config())


def newest_run(outputs: Path = OUTPUTS) -> Path:
    """The run folder whose bundle was written last. Raises ModelNotFoundError if no run has a bundle."""
    cards = {run: RunFolder(run).bundle / CARD_FILE for run in outputs.glob("*")}
    ages = {run: card.stat().st_mtime_ns for run, card in cards.items() if card.is_file()}
    if not ages:
        raise ModelNotFoundError(f"no run under {outputs}/ has a bundle; train one (deepfake train), or give a model")
    return max(ages, key=lambda run: (ages[run], run))


def choose_samples(source: Path, config: TrainConfig | None, options: EvaluateOptions) -> tuple[Sample, ...]:
    """The pictures to evaluate on; data without a split is split as the run did it. Raises DataError."""
    how = () if config is None else (config.data.ratios, config.data.split_seed)
    samples = read_data(source, *how)
    chosen = select(samples, options.sets, options.exclude_sets, () if options.split is None else (options.split,))
    if not chosen:
        splits = sorted({str(sample.split) for sample in samples})
        raise DataError(f"{source} has no pictures in the split {options.split}; it has {', '.join(splits)}")
    return chosen


def data_of(source: ModelSource) -> Path:
    """The data of the model's run. Raises ConfigError if its run is not known."""
    if source.config is None:
        raise ConfigError(f"{source.name} does not say what it was trained on; give the data to evaluate it on")
    return source.config.data.source


def crop_cache(source: ModelSource, options: EvaluateOptions) -> Path:
    """Where the cut faces are kept."""
    return options.crops or (source.config.data.cache if source.config else OUTPUTS / "cache")


def marked(settings: Settings, samples: Sequence[Sample], config: TrainConfig | None) -> Settings:
    """The settings with the sets that the run chose its best epoch by marked, too. Raises DataError for no such set."""
    names = sorted({sample.set for sample in samples})
    for name in settings.used_for_selection:
        if name not in names:
            raise DataError(
                f"no set {name}{near_miss(name, names)} to mark as used for selection; the sets are {', '.join(names)}"
            )
    chosen_by = {*settings.used_for_selection, *(_validated_abroad(config.data) if config else ())}
    return replace(settings, used_for_selection=tuple(name for name in names if name in chosen_by))


def _validated_abroad(data: DataConfig) -> set[str]:
    """The foreign sets that the run validated with; a source of them that is no longer there has no names."""
    found = [source for source in data.foreign if source.exists()]
    return {*data.validate_only, *(sample.set for source in found for sample in read_samples(source))}


def evaluate(
    model: str | Path | None,
    data: Path | None,
    output: Path | None = None,
    options: EvaluateOptions | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Evaluation, Path]:
    """Score, measure, and write everything to the folder ``output``; gives the evaluation and that folder.

    Without ``model`` the newest run, without ``data`` the data of that run's config, without ``output`` a folder under
    ``outputs/evaluations``. Files of an earlier evaluation there are replaced.
    Raises ModelError, DataError or ConfigError.
    """
    options = options or EvaluateOptions()
    source = find_model(model)
    data = data or data_of(source)
    card = source.bundle.card
    split = options.split or "all"
    folder = output or OUTPUTS / "evaluations" / f"{card.name}-{card.version}-{split}"
    samples = choose_samples(data, source.config, options)
    settings = marked(options.settings, samples, source.config)
    predictions = predict(
        source.bundle, samples, crop_cache(source, options), settings.point, options.threads, progress
    )
    progress("measuring", 0, 1)
    evaluation = Evaluation(
        card=card,
        data=str(data),
        split=str(split),
        fingerprint=fingerprint(samples),
        command=command_line(source.name, data, output, options),
        settings=settings,
        predictions=predictions,
        figures=assess_predictions(predictions, card.calibration, settings),
    )
    write(evaluation, folder)
    progress("measuring", 1, 1)
    return evaluation, folder


def write(evaluation: Evaluation, folder: Path) -> None:
    """Write numbers, plots and the page into a folder. Raises DataError if it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(evaluation, folder / "metrics.json")
        write_long_csv(evaluation, folder / "metrics.csv")
        write_predictions(evaluation.predictions, folder / "predictions.csv")
        write_page(evaluation, draw(evaluation, folder / "plots"), folder / REPORT_NAME)
    except OSError as error:
        raise DataError(f"cannot write the evaluation to {folder}: {error.strerror or error}") from error


def command_line(model: str, data: Path, output: Path | None, options: EvaluateOptions) -> str:
    """The command that does the same evaluation again."""
    settings = options.settings
    return repeat.command_line(
        ["evaluate", model, str(data)],
        {
            "--split": options.split or "all",
            "--operating-point": settings.point,
            "--bootstrap": settings.resampling.resamples,
            "--seed": settings.resampling.seed,
            "--sets": options.sets,
            "--exclude-sets": options.exclude_sets,
            "--used-for-selection": settings.used_for_selection,
            "--crops": options.crops,
            "--output": output,
        },
    )


if __name__ == "__main__":
    # The command line lies above this layer; run as a script, this file is only another name of one command.
    sys.exit(importlib.import_module("deepfake_detector.cli.main").main(["evaluate", *sys.argv[1:]]))
