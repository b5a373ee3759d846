"""How fast a backbone is: images per second while it was trained, milliseconds per face once it is exported."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.scoring.bundle import Bundle
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.checkpoint import Check
from deepfake_detector.training.phases import FINE

FILE = "speed.json"
WARM_UP = 3
FACES = 25


@dataclass(frozen=True, slots=True)
class Training:
    """Images per second of fine-tuning, by the clock and of one core; validation and compiling are not in it."""

    per_second: float
    per_cpu_second: float


class SpeedLog(Callback):
    """Measures fine-tuning, and writes what it found to a folder at each check."""

    # ruff: noqa: D102 - the methods are documented in Callback

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fine = False
        self._images, self._wall, self._cpu = 0, 0.0, 0.0
        self._since: tuple[float, float] | None = None

    def on_phase(self, phase: str, images: int, done: int) -> None:
        self._fine = phase == FINE
        self._since = None

    def on_batch(self, images: int, loss: float | None) -> None:
        if not self._fine:
            return
        now = time.perf_counter(), time.process_time()
        if self._since is not None:  # the first batch after a pause compiles, or waits for the validation
            self._images += images
            self._wall += now[0] - self._since[0]
            self._cpu += now[1] - self._since[1]
        self._since = now

    def on_check(self, checks: Sequence[Check]) -> None:
        self._since = None
        if self._images:
            found = Training(self._images / self._wall, self._images / self._cpu)
            text = json.dumps(asdict(found)) + "\n"
            (self._folder / FILE).write_text(text, encoding="utf-8")


def training_speed(folder: Path) -> Training | None:
    """What ``SpeedLog`` left in a folder; None if it was not there, or there was too little to measure."""
    file = folder / FILE
    return Training(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def milliseconds_per_face(bundle: Bundle) -> float:
    """Processor time of one core for one crop, the median of 25: the load of the machine has little part in it."""
    scorer = Scorer(bundle, threads=1)
    size = bundle.card.input.size
    crop = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    seconds = []
    for _ in range(WARM_UP + FACES):
        start = time.thread_time()
        scorer.score(crop)
        seconds.append(time.thread_time() - start)
    return 1000.0 * statistics.median(seconds[WARM_UP:])
