"""The conductor of a training: config, data, network, two phases (or a join), calibration, bundle."""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.core.errors import ConfigError, DeepfakeDetectorError
from deepfake_detector.training.callbacks import (
    Callback,
    Callbacks,
    CsvLog,
    PlainProgress,
    RichProgress,
    TensorBoardLog,
)
from deepfake_detector.training.cards import Prediction, write_predictions
from deepfake_detector.training.checkpoint import write_whole
from deepfake_detector.training.cluster.elsewhere import train_elsewhere, with_absolute_paths
from deepfake_detector.training.config import JoinConfig, ModelConfig, TrainConfig
from deepfake_detector.training.fit import FitResult, fit
from deepfake_detector.training.join import join, need_runs
from deepfake_detector.training.prepare import Prepared, need_source, prepare
from deepfake_detector.training.run import RunFolder, new_record

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

DEFAULT_CONFIG = Path("configs/train.yaml")
SAMPLE_CROPS = 32
PACKAGE = "deepfake_detector"
LOG_FORMAT = "%(asctime)s %(message)s"


@dataclass(frozen=True, slots=True)
class Trained:
    """Where the run and its bundle are, and how good it is on its validation pictures."""

    run: RunFolder
    bundle: Path
    result: FitResult


def train(run: RunFolder, callbacks: Sequence[Callback] = ()) -> Trained:
    """Train in a run folder (see ``create_run``), or go on after an interruption, to the same result.

    A folder in which nothing could begin (no weights, no data) is removed.
    Raises ConfigError, DataError, WeightsError or ExportError.
    """
    config = run.config()
    if config.cluster.workers > 1:
        config = with_absolute_paths(config)
    try:
        return _logged(run, config, callbacks)
    except DeepfakeDetectorError:
        run.discard_unless_begun()
        raise


def _logged(run: RunFolder, config: TrainConfig, callbacks: Sequence[Callback]) -> Trained:
    with log_file(run.logs / "train.log"):
        logger.info("run folder: %s", run.path)
        callback = Callbacks([*callbacks, *logs(run, config)])
        try:
            trained = _train(run, config, callback)
            callback.on_finish()
            return trained
        finally:
            callback.on_end()


def logs(run: RunFolder, config: TrainConfig) -> list[Callback]:
    """The files of every run, lines in the log, and what the config wants besides. Raises MissingExtraError."""
    logs: list[Callback] = [CsvLog(run.checks_file), TensorBoardLog(run.logs / "tensorboard"), PlainProgress()]
    if config.tracking.mlflow:
        from deepfake_detector.training.mlflow_log import MlflowLog

        logs.append(MlflowLog(run, config))
    return logs


def _train(run: RunFolder, config: TrainConfig, callback: Callback) -> Trained:
    need_source(config.data.source)
    import keras  # which takes seconds

    started = time.monotonic()
    set_up(config)
    keras.utils.set_random_seed(config.seed)
    if config.join:
        need_runs(config.join)
        learn = partial(_join, config.join)
    else:
        learn = partial(_fit, build(config.model, config.data.size))
    prepared = prepare(config, callback)
    _record(run, config, prepared)
    ready = time.monotonic()
    if config.cluster.workers > 1 and not config.join:
        train_elsewhere(run, config, prepared)  # what is left of the fit is its end
    result, predictions = learn(run, config, prepared, callback)
    write_predictions(run.predictions_file, predictions)
    write_whole(run.sample_file, lambda path: _save_sample(path, prepared))
    bundle = _export(run)
    seconds = {"data": ready - started, "training": time.monotonic() - ready}
    _finish(run, {name: round(value, 1) for name, value in seconds.items()})
    return Trained(run, bundle, result)


def _fit(
    network: keras.Model, run: RunFolder, config: TrainConfig, prepared: Prepared, callback: Callback
) -> tuple[FitResult, list[Prediction]]:
    result = fit(network, prepared.fit, config, run.checkpoints, callback)
    return result, _predictions(prepared, result)


def _join(
    settings: JoinConfig, run: RunFolder, config: TrainConfig, _: Prepared, callback: Callback
) -> tuple[FitResult, list[Prediction]]:
    return join(config, settings, run.checkpoints, callback)


@contextmanager
def log_file(file: Path) -> Iterator[None]:
    """Write what this package logs to a file, too."""
    package = logging.getLogger(PACKAGE)
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter(LOG_FORMAT))
    level = package.level
    package.addHandler(handler)
    package.setLevel(logging.INFO)
    try:
        yield
    finally:
        package.removeHandler(handler)
        package.setLevel(level)
        handler.close()


def build(model: ModelConfig, size: int) -> keras.Model:
    """The network of a config with its first weights. Raises ConfigError or WeightsError."""
    from deepfake_detector.training.models.network import HeadSpec
    from deepfake_detector.training.weights import network_with_weights

    dense = () if model.head == "linear" else model.head.dense
    head = HeadSpec(dense=dense, dropout=model.dropout, l2=model.l2)
    return network_with_weights(model.backbone, model.weights, size, model.alpha, head, model.shrink)


def set_up(config: TrainConfig) -> None:
    """Let TensorFlow use the threads that the config says. Raises ConfigError if Keras has another backend."""
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise ConfigError(f"Keras uses {keras.backend.backend()}; set KERAS_BACKEND=tensorflow")
    if config.threads:
        try:
            tf.config.threading.set_intra_op_parallelism_threads(config.threads)
        except RuntimeError:  # TensorFlow has begun to work in this process
            logger.warning("threads: %d comes too late in this process and has no effect", config.threads)


def _record(run: RunFolder, config: TrainConfig, prepared: Prepared) -> None:
    """Write ``run.json``; a resumed run must have the same data. Raises ConfigError."""
    if run.record_file.is_file():
        old = run.record()
        if old.data_fingerprint != prepared.fingerprint:
            raise ConfigError(f"the data of {run.path} has changed since it began; start a new run")
        return
    record = new_record(run, config.seed, prepared.fingerprint, prepared.counts, dict(prepared.index.reasons()))
    run.write_record(record)
    for count in prepared.counts:
        logger.info("%s, %s: %d real, %d fake", count.part, count.set or "pictures", count.real, count.fake)
    for skip in prepared.index.skipped:
        logger.info("skipped %s: %s", skip.path, skip.reason)
    for reason, number in record.skipped.items():
        logger.warning("%d pictures skipped: %s; train.log names them", number, reason)


def _predictions(prepared: Prepared, result: FitResult) -> list[Prediction]:
    known, logits = prepared.fit.known, result.validation
    return [
        Prediction(
            path=str(crop.sample.path),
            set=crop.sample.set,
            foreign=crop.sample.set in prepared.foreign,
            label=int(known.labels[index]),
            kind=int(known.kinds[index]),
            fake_logit=float(logits.fake[index]),
            kind_logit=float(logits.kind[index]),
        )
        for index, crop in enumerate(prepared.loader.crops)
    ]


def _save_sample(path: Path, prepared: Prepared) -> None:
    """Keep crops from all over the validation pictures, on which the export is compared."""
    loader = prepared.loader
    chosen = np.unique(np.linspace(0, len(loader.crops) - 1, SAMPLE_CROPS).round().astype(int))
    crops = np.stack([loader.example(int(index), 0, 0) for index in chosen])
    np.save(path, crops, allow_pickle=False)


def _export(run: RunFolder) -> Path:
    import shutil

    from deepfake_detector.training.export import export_run

    if run.bundle.exists():  # of an earlier end of this run; made anew
        shutil.rmtree(run.bundle)
    return export_run(run)


def _finish(run: RunFolder, seconds: dict[str, float]) -> None:
    from deepfake_detector.training.plots import training_curves

    if run.checks_file.is_file():  # nothing was trained where networks were joined
        training_curves(run.checks_file, run.plots)
    run.write_record(run.record().model_copy(update={"seconds": seconds, "finished": True}))


@contextmanager
def showing_progress() -> Iterator[list[Callback]]:
    """Yields callbacks: a live bar where standard error is a terminal, else none, and the log is shown there."""
    on_terminal = sys.stderr.isatty()
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(LOG_FORMAT, "%H:%M:%S"))
    handler.setLevel(logging.WARNING if on_terminal else logging.INFO)
    package = logging.getLogger(PACKAGE)
    package.addHandler(handler)
    try:
        yield [RichProgress()] if on_terminal else []
    finally:
        package.removeHandler(handler)


def summary(trained: Trained) -> str:
    """What was reached, and what to do next."""
    found, bundle = trained.result.figures, trained.bundle
    return (
        f"validation: AUC {found.auc:.4f}, mean AUC over sets {found.set_auc:.4f}, loss {found.loss:.4f}\n"
        f"model: {bundle}\n"
        f"next:  deepfake evaluate {bundle} DATA     measures it on the test split\n"
        f"       deepfake detect --model {bundle} PHOTO"
    )


if __name__ == "__main__":
    # The command line lies above this layer; run as a script, this file is only another name of one command.
    sys.exit(importlib.import_module("deepfake_detector.cli.main").main(["train", *sys.argv[1:]]))
