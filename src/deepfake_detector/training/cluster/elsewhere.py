"""Has the phases of a training done by the workers of a Ray cluster; the calling process does the rest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deepfake_detector.core.errors import ClusterError, MissingExtraError
from deepfake_detector.training.callbacks import Callback, Callbacks
from deepfake_detector.training.checkpoint import Check, write_whole
from deepfake_detector.training.config import TrainConfig, dump_config, load_config
from deepfake_detector.training.data.dataloader import CropLoader
from deepfake_detector.training.data.manifest import write_manifest
from deepfake_detector.training.fitdata import Part
from deepfake_detector.training.phases import Training, learn
from deepfake_detector.training.prepare import Prepared, prepare
from deepfake_detector.training.run import RunFolder

SAMPLES_FILE, CONFIG_FILE = "samples.csv", "worker.yaml"


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """The same, for processes that begin in other folders."""
    data = {"source": config.data.source.absolute(), "cache": config.data.cache.absolute()}
    changes = {"data": config.data.model_copy(update=data), "outputs": config.outputs.absolute()}
    return config.model_copy(update=changes)


def train_elsewhere(run: RunFolder, config: TrainConfig, prepared: Prepared) -> None:
    """Train both phases with ``cluster.workers`` processes, so that the run folder holds the finished checkpoints.

    Uses the cluster that ``RAY_ADDRESS`` names, else starts one on this machine. When a worker dies, all are started
    again, and go on from the last check, up to ``cluster.retries`` times. Run folder, data and crop cache must lie
    where all machines find them under the same path.

    Raises ClusterError, ConfigError if the batch cannot be shared, or MissingExtraError without the extra [cluster].
    """
    settings, folder = config.cluster, run.path.absolute()
    Part(0, settings.workers).share(config.train.batch_size)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
    try:
        import ray
        from ray import train
        from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
    except ImportError as error:
        raise MissingExtraError("cluster.workers", "cluster") from error
    write_plan(folder, config, prepared)
    started = not ray.is_initialized()
    ray.init(ignore_reinit_error=True)
    try:
        trainer = DataParallelTrainer(
            work,
            train_loop_config={"run": str(folder)},
            scaling_config=train.ScalingConfig(
                num_workers=settings.workers,
                use_gpu=settings.gpus > 0,
                resources_per_worker={"CPU": settings.cpus, **({"GPU": settings.gpus} if settings.gpus else {})},
            ),
            run_config=train.RunConfig(
                name=run.path.name,
                storage_path=str(folder / "ray"),
                failure_config=train.FailureConfig(max_failures=settings.retries),
            ),
        )
        trainer.fit()
    except train.TrainingFailedError as error:
        raise ClusterError(
            f"the workers did not come to an end: {error}; when that is mended: deepfake train --resume {run.path}"
        ) from error
    finally:
        if started:
            ray.shutdown()


def write_plan(folder: Path, config: TrainConfig, prepared: Prepared) -> None:
    """What the workers read: the samples as they were prepared, and the config that goes with them.

    So they need not split the data again, nor leave any out.
    """
    write_manifest([crop.sample for crop in prepared.index.crops], folder / SAMPLES_FILE)
    config = with_absolute_paths(config)
    data = {"source": folder.absolute() / SAMPLES_FILE, "sets": None, "exclude": ()}
    loader = prepared.fit.train
    assert isinstance(loader, CropLoader)
    changes = {
        "data": config.data.model_copy(update=data),
        "balance": loader.config.balance,
        "threads": config.threads or max(1, round(config.cluster.cpus)),
    }
    text = dump_config(config.model_copy(update=changes))
    write_whole(folder / CONFIG_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def work(order: dict[str, Any]) -> None:
    """One worker: its part of the training in the folder ``order["run"]``; the first writes checkpoints and logs."""
    import keras

    from deepfake_detector.training.cluster.reducing import RayTeam
    from deepfake_detector.training.train import build, log_file, logs, set_up

    run = RunFolder(Path(order["run"]))
    config = load_config(run.path / CONFIG_FILE)
    team = RayTeam.gathered()
    leads = team.part.rank == 0
    set_up(config)
    keras.utils.set_random_seed(config.seed)
    name = "train.log" if leads else f"worker-{team.part.rank}.log"
    with log_file(run.logs / name):
        callback = Callbacks([*(logs(run, config) if leads else ()), _Report()])
        network = build(config.model, config.data.size)
        prepared = prepare(config, callback)
        learn(Training(network, prepared.fit, config, run.checkpoints, callback, team))


class _Report(Callback):
    """Tells Ray Train the figures of each check; every worker does, because Ray waits for all."""

    def on_check(self, checks: Sequence[Check]) -> None:
        """Report the last of these."""
        from ray import train

        last = checks[-1]
        train.report({"check": len(checks), "loss": last.loss, "val_loss": last.val_loss, "set_auc": last.set_auc})
