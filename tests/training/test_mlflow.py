"""MLflow: a real local store gets what a run is made of, also after an interruption."""

import logging
import sys

import pytest

from deepfake_detector.core.errors import ConfigError, MissingExtraError
from deepfake_detector.training.checkpoint import Check
from deepfake_detector.training.config import check_config
from deepfake_detector.training.mlflow_log import MlflowLog, store_of
from deepfake_detector.training.run import Count, create_run, new_record

# MLflow and its migrations of a new database use what their own dependencies have deprecated.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::PendingDeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def check(number, best=False):
    return Check("head", number, 0, 0.01, 0.6, 0.5 / number, 0.8, 0.7 + number / 100, best, 1.0, float("nan"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'store.db'}"


@pytest.fixture
def run(tmp_path, store):
    """A run folder that looks finished."""
    content = {"name": "tracked", "outputs": str(tmp_path), "data": {"source": "my/photos"}}
    content["card"] = {"terms": {"set (a)": "free"}}
    config = check_config({**content, "tracking": {"mlflow": True, "store": store}}, "a test")
    folder = create_run(config)
    folder.write_record(new_record(folder, 0, "f" * 64, [Count(set="a", part="train", real=3, fake=4)], {}))
    folder.bundle.mkdir()
    (folder.bundle / "model.onnx").write_bytes(b"a network")
    (folder.plots / "curves.png").write_bytes(b"a plot")
    return folder


def test_a_run_is_kept_whole_and_goes_on_after_an_interruption(run, store):
    from mlflow import MlflowClient

    first = MlflowLog(run, run.config())
    first.on_check([check(1, best=True)])
    first.on_end()
    client = MlflowClient(tracking_uri=store)
    (experiment,) = [e for e in client.search_experiments() if e.name == "deepfake-detector"]
    (killed,) = client.search_runs([experiment.experiment_id])
    assert killed.info.status == "KILLED"

    again = MlflowLog(run, run.config())
    again.on_check([check(1, best=True), check(2, best=True)])
    again.on_end()
    again.on_check([check(1, best=True), check(2, best=True), check(3, best=True)])
    again.on_finish()
    again.on_end()

    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "tracked"
    history = client.get_metric_history(found.info.run_id, "val_loss")
    assert [(metric.step, metric.value) for metric in history] == [(0, 0.5), (1, 0.25), (2, pytest.approx(0.5 / 3))]
    assert found.data.metrics["set_auc"] == pytest.approx(0.73)
    assert "images_per_second" not in found.data.metrics
    assert found.data.params["train.lr"] == "0.0001"
    assert found.data.params["card.terms.set _a_"] == "free"
    assert found.data.tags["data_fingerprint"] == "f" * 64
    (data,) = [entry.dataset for entry in found.inputs.dataset_inputs]
    assert (data.name, data.digest) == ("photos", "f" * 36)
    files = {
        entry.path for folder in ("", "model", "plots") for entry in client.list_artifacts(found.info.run_id, folder)
    }
    assert files >= {"config.yaml", "run.json", "model/model.onnx", "plots/curves.png"}


def test_a_store_that_fails_later_does_not_end_the_training(run, store, caplog, monkeypatch):
    from mlflow.exceptions import MlflowException

    def fail(*_, **__):
        raise MlflowException("the disk is full")

    log = MlflowLog(run, run.config())
    monkeypatch.setattr(log._client, "create_run", fail)
    with caplog.at_level(logging.WARNING):
        log.on_check([check(1)])
        log.on_finish()
    assert "the disk is full" in caplog.text


def test_a_store_that_cannot_be_used_is_an_error_at_the_beginning(run):
    config = run.config()
    config = config.model_copy(update={"tracking": config.tracking.model_copy(update={"store": "ftps://nowhere"})})
    with pytest.raises(ConfigError, match=r"tracking\.store: MLflow cannot use ftps://nowhere"):
        MlflowLog(run, config)


def test_without_the_extra_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"deepfake-detector\[mlflow\]"):
        MlflowLog(run, run.config())


def test_where_runs_are_kept(tmp_path, monkeypatch):
    config = check_config({"outputs": str(tmp_path), "data": {"source": "x"}}, "a test")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store_of(config) == f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example")
    assert store_of(config) == "https://mlflow.example"
