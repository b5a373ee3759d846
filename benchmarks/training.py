"""How fast fine-tuning is, beside a bare loop of the same training step on batches that are ready in memory.

    python benchmarks/training.py [--size 224] [--from-block all] [--output benchmarks/results/training.json]

The pictures are drawn and the weights are random, which changes nothing about the speed. Between the two lie reading,
augmenting, cropping, batching, progress and logs; the target is at least 0.85 of the bare loop.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from result import say

TARGET = 0.85
STEPS = 24


def draw(folder: Path, number: int, side: int) -> None:
    """Real and Fake, each with so many soft pictures that have the grain of a photo."""
    rng = np.random.default_rng(0)
    for label in ("Real", "Fake"):
        (folder / label).mkdir(parents=True)
        for index in range(number):
            blobs = cv2.resize(rng.random((9, 9, 3), dtype=np.float32) * 255, (side, side))
            grain = rng.normal(0, 3, (side, side, 3))
            picture = np.clip(blobs + grain, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / label / f"{index:04d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])


def settings(folder: Path, options: argparse.Namespace) -> dict:
    """An experiment that only fine-tunes, for two epochs: the first compiles and reads, the second counts."""
    return {
        "name": "speed",
        "outputs": str(folder / "outputs"),
        "data": {
            "source": str(folder / "photos"),
            "crop": "whole",
            "size": options.size,
            "cache": str(folder / "cache"),
            "ratios": [0.9, 0.1, 0.0],
        },
        "model": {"weights": "random"},
        "head": {"epochs": 0},
        "train": {"epochs": 2, "from_block": options.from_block, "batch_size": options.batch_size},
    }


def whole_training(config, prepared, folder: Path) -> dict[str, float]:
    """Images a second of the second epoch, of wall time and of the process' CPU time."""
    from deepfake_detector.training.callbacks import Callback, Callbacks, CsvLog, PlainProgress
    from deepfake_detector.training.fit import fit
    from deepfake_detector.training.train import build

    class Clock(Callback):
        """Images per CPU second since the last check that was not the final one."""

        def __init__(self) -> None:
            self.start, self.per_second, self.images = 0.0, 0.0, 0

        def on_check(self, checks) -> None:
            if checks[-1].epoch == 2:
                return
            self.start, self.images = time.process_time(), 0

        def on_batch(self, images, loss) -> None:
            self.images += images
            self.per_second = self.images / (time.process_time() - self.start)

    clock = Clock()
    callbacks = Callbacks([clock, CsvLog(folder / "log.csv"), PlainProgress()])
    checks = fit(build(config.model, config.data.size), prepared.fit, config, folder / "checkpoints", callbacks).checks
    return {"wall": checks[-1].images_per_second, "cpu": clock.per_second}


def bare_loop(config, prepared) -> dict[str, float]:
    """The same for a loop that calls the same compiled step on batches of ready tensors."""
    import keras
    import tensorflow as tf

    from deepfake_detector.training.models.network import settle_batchnorm, unfreeze_from
    from deepfake_detector.training.steps import Stepper
    from deepfake_detector.training.train import build

    network = build(config.model, config.data.size)
    # Without it the values in a random network are so small that they slow the processor down.
    settle_batchnorm(network, prepared.fit.train.epoch_dataset(0).repeat())
    unfreeze_from(network, config.train.from_block)
    optimizer = keras.optimizers.AdamW(config.train.lr, global_clipnorm=config.train.clip_norm)
    stepper = Stepper(network, optimizer, config.loss)
    batch = next(iter(prepared.fit.train.epoch_dataset(0)))
    batch = tf.nest.map_structure(tf.identity, batch)
    for _ in range(3):
        stepper.train(*batch)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        float(stepper.train(*batch))
    images = STEPS * int(batch[0].shape[0])
    return {"wall": images / (time.perf_counter() - wall), "cpu": images / (time.process_time() - cpu)}


def main() -> None:
    """Measure both, print and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--from-block", default="all")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/training.json"))
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from deepfake_detector.training.callbacks import Callback
    from deepfake_detector.training.config import check_config
    from deepfake_detector.training.prepare import prepare

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw(folder / "photos", number=round(STEPS * options.batch_size / 2 / 0.9), side=320)
        config = check_config(settings(folder, options), "the benchmark")
        prepared = prepare(config, Callback())
        before = bare_loop(config, prepared)
        whole = whole_training(config, prepared, folder)
        after = bare_loop(config, prepared)
    # Before and after, so that a change of the machine's load meanwhile does less harm.
    bare = {clock: (before[clock] + after[clock]) / 2.0 for clock in before}
    result = {
        "size": options.size,
        "from_block": options.from_block,
        "batch_size": options.batch_size,
        "images_per_second": {"bare": bare["wall"], "whole": whole["wall"]},
        "images_per_cpu_second": {"bare": bare["cpu"], "whole": whole["cpu"]},
        "ratio": whole["wall"] / bare["wall"],
        "cpu_ratio": whole["cpu"] / bare["cpu"],
        "target": TARGET,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "machine": platform.machine(),
    }
    say(result, options.output)


if __name__ == "__main__":
    main()
