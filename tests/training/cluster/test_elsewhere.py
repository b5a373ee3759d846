"""Ray Train with two workers on this machine: the figures of one worker, also after one was killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest

from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.cluster.elsewhere import with_absolute_paths, write_plan
from deepfake_detector.training.config import check_config, dump_config, load_config
from deepfake_detector.training.prepare import prepare
from deepfake_detector.training.run import create_run
from deepfake_detector.training.runs import read_run

pytestmark = pytest.mark.timeout(900)
MARK = "DEEPFAKE_TEST_RUN"


@pytest.fixture
def config(planted, tmp_path):
    content = {
        "name": "shared",
        "seed": 3,
        "outputs": str(tmp_path / "outputs"),
        "threads": 1,
        "data": {"source": str(planted), "crop": "whole", "size": 64, "cache": str(tmp_path / "cache"), "workers": 1},
        "model": {"weights": "random", "alpha": 0.35, "dropout": 0.0},
        "augment": {"max_degradations": 0, "rotation": 0.0, "zoom": [1.0, 1.0], "shift": 0.0},
        "head": {"epochs": 4, "lr": 0.01, "batch_size": 32},
        "train": {"epochs": 3, "checks_per_epoch": 2, "from_block": "block_6", "batch_size": 16, "lr": 0.001},
    }
    file = tmp_path / "x.yaml"
    file.write_text(dump_config(check_config(content, "a test")))
    return file


def start(config, mark, *overrides):
    """A process of its own: Ray must see its own environment, and its warnings are not ours."""
    changes = [word for override in overrides for word in ("--set", override)]
    command = [sys.executable, "-m", "deepfake_detector.training.train", str(config), *changes]
    here = {MARK: mark, "RAY_ADDRESS": "local", "RAY_worker_niceness": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}
    with (config.parent / f"{mark}.log").open("w") as log:
        return subprocess.Popen(command, env=os.environ | here, stdout=log, stderr=subprocess.STDOUT)


def finished(process, config, mark):
    code = process.wait(timeout=800)
    assert code == 0, (config.parent / f"{mark}.log").read_text()[-4000:]


def workers(mark):
    """The numbers of the processes that train for a run, by the environment that they have inherited."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inherited = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
            named = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if inherited and named.startswith(b"ray::") and b"TrainWorker" in named:
            found.append(int(folder.name))
    return found


def fine_tuning_has_begun(state):
    try:
        read = json.loads(state.read_text())
    except (OSError, ValueError):
        return False
    return read["phase"] == "fine-tuning" and len(read["checks"]) >= 6


def test_a_worker_reads_what_was_prepared_in_the_same_order(tiny_settings):
    balance = {"balance": "source", "weights": {"b": 2.0, "a/fake": 0.5}}
    config = with_absolute_paths(tiny_settings("prepared", data={"exclude": ["a/fake"]}, balance=balance))
    run = create_run(config)
    ready = prepare(config, Callback())
    write_plan(run.path, config, ready)
    again = prepare(load_config(run.path / "worker.yaml"), Callback())
    assert again.fit.train.samples == ready.fit.train.samples
    np.testing.assert_array_equal(again.fit.train.indices(3), ready.fit.train.indices(3))
    assert again.fit.known.sets == ready.fit.known.sets
    assert again.index.reused == len(again.index.crops)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
def test_two_workers_reach_what_one_reaches_although_one_is_killed(config):
    mark, other = uuid.uuid4().hex, uuid.uuid4().hex
    alone = start(config, other, "name=alone")
    finished(alone, config, other)

    process = start(config, mark, "cluster.workers=2")
    run = config.parent / "outputs" / "shared"
    while not fine_tuning_has_begun(run / "checkpoints" / "state.json"):
        assert process.poll() is None, (config.parent / f"{mark}.log").read_text()[-4000:]
        time.sleep(0.05)
    first = workers(mark)
    assert len(first) == 2
    os.kill(first[-1], signal.SIGKILL)
    finished(process, config, mark)

    shared, one = read_run(run), read_run(config.parent / "outputs" / "alone")
    assert shared.record.finished
    assert (run / "bundle" / "model.onnx").is_file()
    assert [(c.phase, c.epoch, c.step) for c in shared.checks] == [(c.phase, c.epoch, c.step) for c in one.checks]
    for name in ("loss", "val_loss", "set_auc"):
        found, expected = ([getattr(check, name) for check in each.checks] for each in (shared, one))
        np.testing.assert_allclose(found, expected, atol=0.02)
    log = (run / "logs" / "train.log").read_text()
    assert re.search(r"fine-tuning: 576 images, [1-9]\d* done", log)  # it went on, and did not begin anew
