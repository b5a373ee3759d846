"""How fast it starts and answers, and how much memory it takes; by the command line and the public Python API only.

    python benchmarks/speed.py [--model NAME|DIR] [--photos 64] [--repeat 7] [--output benchmarks/results/speed.json]

The photos are NASA's portrait of Eileen Collins at 1024 × 1024 pixels, each one cut, mirrored and lit
differently. Run it on a quiet machine: the load at the start is in the result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
from result import say

from deepfake_detector import Detector, Report

SIDE = 1024
COMMAND = Path(sys.executable).with_name("deepfake")
ANSWERED = {0, 1, 3}
"""Exit codes of ``detect`` that mean that every picture was answered."""


@dataclass(frozen=True)
class Run:
    """One command: wall and CPU seconds, and the most memory that it held, in megabytes."""

    wall: float
    cpu: float
    megabytes: float


def draw(folder: Path, number: int) -> list[Path]:
    """Photos with one face each, all different, as JPEG."""
    from skimage.data import astronaut

    rng = np.random.default_rng(0)
    folder.mkdir()
    original = cv2.cvtColor(astronaut(), cv2.COLOR_RGB2BGR)
    paths = []
    for index in range(number):
        left, top = rng.integers(0, 40, 2)
        photo = cv2.resize(original[top:480, left : left + 470], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        photo = cv2.convertScaleAbs(photo, alpha=rng.uniform(0.8, 1.1))
        paths.append(folder / f"{index:04d}.jpg")
        cv2.imwrite(str(paths[-1]), photo[:, :: (-1) ** index], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


# A process inherits the peak memory of the one that starts it, so a small one starts it: the floor is some 10 MB.
STARTER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, used = os.wait4(process.pid, 0)
wall = time.perf_counter() - start
print(json.dumps([os.waitstatus_to_exitcode(status), wall, used.ru_utime + used.ru_stime, used.ru_maxrss]))
"""


def run(*arguments: str | Path, good: set[int]) -> Run:
    """Run ``deepfake`` in a process of its own, and measure that process."""
    command = [sys.executable, "-S", "-E", "-c", STARTER, COMMAND, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    code, wall, cpu, peak = json.loads(done.stdout)
    if code not in good:
        raise SystemExit(f"deepfake {arguments[0]} ended with {code}: {done.stderr}")
    return Run(wall, cpu, peak / (2**20 if sys.platform == "darwin" else 2**10))


def repeated(number: int, measure: Callable[[], Run]) -> dict[str, float]:
    """Median and best of several runs, after one that warms the disk cache."""
    measure()
    runs = [measure() for _ in range(number)]
    return {
        "median seconds": round(statistics.median(one.wall for one in runs), 3),
        "best seconds": round(min(one.wall for one in runs), 3),
        "CPU seconds": round(statistics.median(one.cpu for one in runs), 3),
        "peak megabytes": round(max(one.megabytes for one in runs)),
    }


def warm(detector: Detector, photos: list[Path], number: int) -> dict[str, float]:
    """Median milliseconds of each stage for one photo at a time, after a first one."""
    detector.analyze(photos[0])
    walls, reports = [], []
    for index in range(number):
        start = time.perf_counter()
        reports.append(detector.analyze(photos[index % len(photos)]))
        walls.append(time.perf_counter() - start)
    stages = {name: statistics.median(report.timings[name] for report in reports) for name in reports[0].timings}
    found = {name: round(1000 * seconds, 2) for name, seconds in stages.items()}
    return {**found, "all": round(1000 * statistics.median(walls), 2)}


def streamed(detector: Detector, photos: list[Path]) -> float:
    """Photos a second of ``analyze_many``, warm."""
    start = time.perf_counter()
    outcomes = list(detector.analyze_many(photos))
    if not all(isinstance(outcome, Report) and outcome.faces for outcome in outcomes):
        raise SystemExit("a photo could not be analysed, or has no face")
    return round(len(photos) / (time.perf_counter() - start), 2)


def measure(model: str | None, number: int, repeat: int, folder: Path) -> dict[str, object]:
    """All figures."""
    load = os.getloadavg()[0]
    photos = draw(folder / "photos", number)
    chosen = [] if model is None else ["--model", model]
    detector = Detector(model)
    card = detector.bundle.card
    whole = run("detect", folder / "photos", "--jsonl", *chosen, good=ANSWERED)
    return {
        "model": f"{card.name} {card.version}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load at the start": round(load, 2),
        "python": platform.python_version(),
        "onnxruntime": metadata.version("onnxruntime"),
        "photo": f"{SIDE} × {SIDE} JPEG, one face",
        "deepfake --help": repeated(repeat, lambda: run("--help", good={0})),
        "deepfake detect, one photo": repeated(
            repeat, lambda: run("detect", photos[0], "--json", *chosen, good=ANSWERED)
        ),
        "warm, milliseconds per photo": warm(detector, photos, 3 * repeat),
        "deepfake detect, a folder": {
            "photos": number,
            "photos per second": round(number / whole.wall, 2),
            "photos per CPU second": round(number / whole.cpu, 2),
            "peak megabytes": round(whole.megabytes),
        },
        "analyze_many, warm": {"photos per second": streamed(detector, photos)},
    }


def main() -> None:
    """Measure and say it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a shipped model's name or a bundle's folder (default: the shipped one)")
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = measure(options.model, options.photos, options.repeat, Path(name))
    say(found, options.output)


if __name__ == "__main__":
    main()
