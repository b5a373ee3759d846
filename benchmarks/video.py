"""How fast a video is analysed: against real time, stage by stage, and against decoding alone.

    python benchmarks/video.py [--model NAME|DIR] [--seconds 20] [--repeat 3] [--output benchmarks/results/video.json]

The clip is drawn: NASA's portrait of Eileen Collins moving over a wall, 1280 × 720, 30 frames a second, H.264. The
seconds of the stages are those of the clock on the wall, and stages overlap; on a busy machine they and the ratios say
little, and CPU seconds, counted over all threads, say more. The load at the start is in the result.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import av
import cv2
import numpy as np
from result import say

from deepfake_detector import AnalysisSettings, Detector, VideoReport

WIDTH, HEIGHT, FPS = 1280, 720, 30


def draw(path: Path, seconds: float) -> None:
    """A clip of one person, whose head moves as in a conversation."""
    from skimage.data import astronaut

    photo = cv2.resize(astronaut(), (620, 620), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(60, 180, (9, 16, 3), np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=FPS, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
        stream.options = {"preset": "veryfast", "crf": "23"}
        for number in range(round(seconds * FPS)):
            angle = number / FPS
            x, y = round(330 + 120 * np.sin(angle)), round(60 + 30 * np.cos(1.7 * angle))
            frame = wall.copy()
            frame[y : y + 620, x : x + 620] = photo
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))


def bare_decode(path: Path) -> None:
    """Decode every frame with two threads, and do nothing with it."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 2
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass


def measured(work: Callable[[], object], repeat: int) -> dict[str, float]:
    """Median wall and CPU seconds."""
    walls, cpus = [], []
    for _ in range(repeat):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {"wall seconds": statistics.median(walls), "CPU seconds": statistics.median(cpus)}


def measure(model: str | None, seconds: float, repeat: int, path: Path) -> dict[str, object]:
    """All figures."""
    load = os.getloadavg()[0]
    detector = Detector(model, AnalysisSettings())
    reports: list[VideoReport] = []

    def analyse() -> None:
        *_, report = detector.analyze_video(path)
        assert isinstance(report, VideoReport)
        reports.append(report)

    analyse()  # warm
    reports.clear()
    decoding, analysing = measured(lambda: bare_decode(path), repeat), measured(analyse, repeat)
    middle = sorted(reports, key=lambda report: report.elapsed)[len(reports) // 2]
    cores = os.cpu_count() or 1
    card = detector.bundle.card
    return {
        "model": f"{card.name} {card.version}",
        "machine": f"{platform.machine()}, {cores} cores, {platform.system()}",
        "load at the start": round(load, 2),
        "onnxruntime": metadata.version("onnxruntime"),
        "av": metadata.version("av"),
        "clip": f"{seconds:g} s, {WIDTH} × {HEIGHT}, {FPS} frames a second, H.264, one person",
        "frames looked at": middle.sampling.analysed,
        "decoding alone, every frame": {name: round(value, 3) for name, value in decoding.items()},
        "analysing": {name: round(value, 3) for name, value in analysing.items()},
        "stages, wall seconds (they overlap)": {name: round(value, 3) for name, value in middle.timings.items()},
        "ratios": {
            "times real time, by the wall": round(seconds / analysing["wall seconds"], 2),
            "times real time, if all cores worked all the time": round(seconds / analysing["CPU seconds"] * cores, 2),
            "analysing / decoding alone, wall": round(analysing["wall seconds"] / decoding["wall seconds"], 2),
            "analysing / decoding alone, CPU": round(analysing["CPU seconds"] / decoding["CPU seconds"], 2),
        },
    }


def main() -> None:
    """Measure and say it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a shipped model's name or a bundle's folder (default: the shipped one)")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "clip.mp4"
        draw(path, options.seconds)
        found = measure(options.model, options.seconds, options.repeat, path)
    say(found, options.output)


if __name__ == "__main__":
    main()
