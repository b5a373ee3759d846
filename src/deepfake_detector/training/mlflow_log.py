"""Keeps a run in MLflow, too: settings, figures, plots, the bundle, and which data it was."""

# ruff: noqa: D102 - the methods are documented in Callback

from __future__ import annotations

import json
import logging
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepfake_detector.core.errors import ConfigError, MissingExtraError
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.checkpoint import Check, write_whole
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.run import RunFolder, flat_settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

FIGURES = ("lr", "loss", "val_loss", "auc", "set_auc", "images_per_second")
"""What of a check is a metric; its step is the number of the check, counted from 0 over both phases."""

_AT_ONCE = 100
"""Parameters in one request; MLflow takes no more."""
_DIGEST = 36
"""Characters of the data's fingerprint that MLflow has room for; the tag ``data_fingerprint`` holds all of it."""


class MlflowLog(Callback):
    """Begins with the first check; a resumed run goes on in the same MLflow run.

    Raises MissingExtraError without the extra [mlflow], and ConfigError if the store cannot be used. If it fails later,
    that is logged, and the training goes on.
    """

    def __init__(self, run: RunFolder, config: TrainConfig) -> None:
        self._run, self._config = run, config
        self._client = _client(store_of(config))
        self._id = ""
        self._logged = 0
        self._status = "RUNNING"

    def on_check(self, checks: Sequence[Check]) -> None:
        with _no_matter_what():
            self._begin()
            new = list(enumerate(checks))[self._logged :]
            self._client.log_batch(
                self._id, metrics=[metric for number, check in new for metric in _metrics(check, number)]
            )
            self._logged = len(checks)

    def on_finish(self) -> None:
        with _no_matter_what():
            self._begin()
            run = self._run
            for file in (run.config_file, run.record_file, run.checks_file, run.predictions_file):
                if file.is_file():
                    self._client.log_artifact(self._id, str(file))
            self._client.log_artifacts(self._id, str(run.plots), "plots")
            self._client.log_artifacts(self._id, str(run.bundle), "model")
            self._say("FINISHED")

    def on_end(self) -> None:
        with _no_matter_what():
            if self._id and self._status == "RUNNING":
                self._say("KILLED")  # until it goes on

    def _say(self, status: str) -> None:
        if status != self._status:
            self._client.update_run(self._id, status)
            self._status = status

    def _begin(self) -> None:
        """Find the MLflow run of this folder, or make one."""
        if not self._id:
            self._id = self._known() or self._made()
        self._say("RUNNING")

    def _known(self) -> str:
        note = self._run.logs / "mlflow.json"
        if not note.is_file():
            return ""
        found = str(json.loads(note.read_text(encoding="utf-8"))["run_id"])
        self._logged = len(self._client.get_metric_history(found, "val_loss"))
        self._status = ""  # whatever it says there
        return found

    def _made(self) -> str:
        record = self._run.record()
        tags = {
            "data_fingerprint": record.data_fingerprint,
            "run_folder": str(self._run.path.resolve()),
            "git_commit": record.git_commit or "",
        }
        made = self._client.create_run(self._experiment(), run_name=record.name, tags=tags).info.run_id
        params = _params(flat_settings(self._config.model_dump(mode="json")))
        for begin in range(0, len(params), _AT_ONCE):
            self._client.log_batch(made, params=params[begin : begin + _AT_ONCE])
        counts = [count.model_dump() for count in record.counts]
        self._client.log_inputs(made, [_data_set(self._config, record.data_fingerprint, counts)])
        note = json.dumps({"store": store_of(self._config), "run_id": made})
        write_whole(self._run.logs / "mlflow.json", lambda path: path.write_text(note, encoding="utf-8"))
        return str(made)

    def _experiment(self) -> str:
        name = self._config.tracking.experiment
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        files = self._config.outputs.resolve() / "mlflow-artifacts"
        own = store_of(self._config).startswith("sqlite:")  # a server knows where its files belong
        return str(self._client.create_experiment(name, artifact_location=files.as_uri() if own else None))


@contextmanager
def _no_matter_what() -> Iterator[None]:
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        logger.warning("MLflow has not taken everything of this run: %s", error)


def store_of(config: TrainConfig) -> str:
    """Where MLflow keeps runs: as the config says, else ``MLFLOW_TRACKING_URI``, else SQLite beside the run folders."""
    own = f"sqlite:///{config.outputs.resolve() / 'mlflow.db'}"
    return config.tracking.store or os.environ.get("MLFLOW_TRACKING_URI") or own


def _client(store: str) -> MlflowClient:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing of a run is told to anybody
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise MissingExtraError("tracking.mlflow", "mlflow") from error
    if store.startswith("sqlite:///"):
        Path(store.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    try:
        client = MlflowClient(tracking_uri=store)
        client.search_experiments(max_results=1)
    except MlflowException as error:
        raise ConfigError(f"tracking.store: MLflow cannot use {store}: {error}") from error
    return client


def _metrics(check: Check, number: int) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    values = {name: float(getattr(check, name)) for name in FIGURES}
    return [Metric(name, value, now, number) for name, value in values.items() if math.isfinite(value)]


def _params(settings: dict[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    # MLflow takes no other characters in a name; those of sets may have them.
    names = {name: re.sub(r"[^\w./: -]", "_", name) for name in settings}
    return [
        Param(names[name], json.dumps(value) if isinstance(value, list) else str(value))
        for name, value in settings.items()
    ]


def _data_set(config: TrainConfig, fingerprint: str, counts: list[dict[str, Any]]) -> Any:
    from mlflow.entities import Dataset, DatasetInput

    source = json.dumps({"uri": str(config.data.source)})
    name = config.data.source.parent.name if config.data.source.suffix == ".csv" else config.data.source.name
    facts = {"source": source, "profile": json.dumps(counts)}
    data = Dataset(name=name or "data", digest=fingerprint[:_DIGEST], source_type="local", **facts)
    return DatasetInput(dataset=data)
