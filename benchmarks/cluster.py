"""Fine-tunes with one worker and with several on this machine, and says what is lost on the way.

    python benchmarks/cluster.py --workers 1 2

Each worker has one thread. One process with as many threads as there are workers at most shows what sharing costs, or
gains, on one machine. Writes benchmarks/results/cluster.json: pictures per second of fine-tuning by the clock, the
median over the epochs but the first. The pictures are drawn. It says something only on a machine that does nothing
else; the load average of the last minute before it began stands in the result.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from result import say

from deepfake_detector.training.config import check_config, dump_config
from deepfake_detector.training.runs import read_run

RESULT = Path(__file__).parent / "results" / "cluster.json"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--pictures", type=int, default=512)
    arguments.add_argument("--size", type=int, default=128)
    arguments.add_argument("--epochs", type=int, default=5)
    chosen = arguments.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder) / "data", chosen.pictures, chosen.size)
        plans = [*((number, 1) for number in chosen.workers), (1, max(chosen.workers))]
        rows = [measured(Path(folder), plan, chosen) for plan in dict.fromkeys(plans)]
    machine = {"cores": os.cpu_count(), "machine": platform.machine(), "load_before": round(load, 2)}
    settings = {"pictures": chosen.pictures, "size": chosen.size, "epochs": chosen.epochs, "batch_size": 32}
    say({"command": " ".join(["python", *sys.argv]), **machine, **settings, "runs": rows}, RESULT)


def draw(folder: Path, number: int, size: int) -> None:
    """Blobs; the fakes have checks on them. An eighth as many again validates."""
    rng = np.random.default_rng(0)
    for split, count in (("Train", number), ("Validation", max(number // 8, 40))):
        for index in range(count):
            label = ("Real", "Fake")[index % 2]
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            pixels = cv2.resize(small, (size, size), interpolation=cv2.INTER_CUBIC).astype(np.int16)
            checks = np.indices((size, size)).sum(axis=0)[..., None] // 4 % 2
            pixels += (checks * 40).astype(np.int16) if label == "Fake" else 20
            cv2.imwrite(str(folder / split / label / f"{index:05d}.png"), np.clip(pixels, 0, 255).astype(np.uint8))


def measured(folder: Path, plan: tuple[int, int], chosen: argparse.Namespace) -> dict[str, object]:
    """One run with so many workers, and threads of each."""
    workers, threads = plan
    name = f"workers-{workers}-threads-{threads}"
    content = {
        "name": name,
        "outputs": str(folder / "outputs"),
        "threads": threads,
        "data": {"source": str(folder / "data"), "cache": str(folder / "cache")}
        | {"crop": "whole", "size": chosen.size, "workers": 1},
        "model": {"weights": "random", "dropout": 0.0},
        "head": {"epochs": 1, "batch_size": 64},
        "train": {"epochs": chosen.epochs, "from_block": "block_6", "batch_size": 32, "patience": 100},
        "cluster": {"workers": workers},
    }
    file = folder / f"{name}.yaml"
    file.write_text(dump_config(check_config(content, "the benchmark")), encoding="utf-8")
    # A Ray of its own, whose workers are not nicer to other programs than a process without Ray is.
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "RAY_ADDRESS": "local", "RAY_worker_niceness": "0"}
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "deepfake_detector.training.train", str(file)], env=environment, check=True)
    seconds = time.monotonic() - begun
    run = read_run(folder / "outputs" / name)
    fine = [check for check in run.checks if check.phase == "fine-tuning"]
    return {
        "workers": workers,
        "threads": threads,
        "images_per_second": round(statistics.median(check.images_per_second for check in fine[1:]), 2),
        "seconds_in_all": round(seconds, 1),
        "val_loss": [round(check.val_loss, 4) for check in fine],
    }


if __name__ == "__main__":
    main()
