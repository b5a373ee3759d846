"""How fast videos are decoded, and how much memory a long one takes, decoded alone and by ``deepfake detect``.

    python benchmarks/video_decode.py [--seconds 10] [--minutes 30] [--output benchmarks/results/video-decode.json]

The clip is NASA's portrait of Eileen Collins, moving over noise, at 1280 × 720 pixels and 30 frames a second, H.264
with B-frames and a keyframe every two seconds. The long file repeats its packets. Processor seconds are those of all
threads; the load at the start is in the result, because wall-clock time means little on a busy machine. Each row is
measured in a process of its own, whose peak memory is that which Linux counts as resident. ``detect`` is the whole
command, with the shipped model and an HTML report.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from fractions import Fraction
from importlib import metadata
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
from result import say

from deepfake_detector import load_model
from deepfake_detector.cli.main import main as main_command
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video

WIDTH, HEIGHT, FPS = 1280, 720, 30
OPTIONS = {"preset": "veryfast", "crf": "23", "g": str(2 * FPS), "bf": "2", "x264-params": "open-gop=0"}


def frames(number: int):
    """The portrait, moving in a circle over a slowly changing noise."""
    from skimage.data import astronaut

    rng = np.random.default_rng(0)
    wall = cv2.resize(rng.integers(60, 200, (90, 160, 3), np.uint8), (WIDTH, HEIGHT))
    for index in range(number):
        picture = np.roll(wall, index, axis=1)
        angle = index / FPS
        left, top = int(384 + 150 * np.cos(angle)), int(100 + 80 * np.sin(angle))
        picture[top : top + 512, left : left + 512] = astronaut()
        yield cv2.add(picture, rng.integers(0, 4, (HEIGHT, WIDTH, 1), np.uint8).repeat(3, axis=2))


def write(path: Path, seconds: int, repeated: int) -> None:
    """A clip whose packets are written as often as ``repeated``."""
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=FPS, width=WIDTH, height=HEIGHT, options=OPTIONS)
        packets = []
        for picture in frames(seconds * FPS):
            packets += stream.encode(av.VideoFrame.from_ndarray(picture))
        packets += stream.encode(None)
        tick = round(Fraction(1, FPS) / packets[0].time_base)
        kept = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe) for packet in packets]
        base = packets[0].time_base
        for turn in range(repeated):
            for data, pts, dts, is_keyframe in kept:
                packet = av.Packet(data)
                packet.pts, packet.dts = pts + turn * tick * seconds * FPS, dts + turn * tick * seconds * FPS
                packet.time_base, packet.is_keyframe, packet.stream = base, is_keyframe, stream
                out.mux(packet)


def measured(path: Path, what: str) -> dict[str, float]:
    """One pass over a file in this process."""
    start, used = time.perf_counter(), time.process_time()
    number = detected(path, what.split()[1]) if what.startswith("detect") else read(path, what)
    wall, cpu = time.perf_counter() - start, time.process_time() - used
    return {
        "frames": number,
        "wall seconds": round(wall, 2),
        "CPU seconds": round(cpu, 2),
        "frames per CPU second": round(number / cpu),
        "peak megabytes": peak_megabytes(),
    }


def read(path: Path, what: str) -> int:
    """Decode all frames, or hand out some as RGB; how many."""
    number = 0
    with open_video(path, VideoLimits(max_frames=100_000)) as video:
        if what == "decode":
            with video.walk() as walk:
                while walk.next() is not None:
                    number += 1
        else:
            rule = Sampling() if what == "32 frames" else Sampling(every=1)
            number = sum(1 for _ in islice(video.frames(rule), 3000))
    return number


def detected(path: Path, frames: str) -> int:
    """Have the command look at so many frames; how many it looked at."""
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(said):
        main_command(["detect", str(path), "--frames", frames, "--json", "--html", str(Path(folder) / "report.html")])
    return int(json.loads(said.getvalue())[0]["sampling"]["analysed"])


def peak_megabytes() -> int:
    """Of this process alone: ``getrusage`` would count the one that started it, which encoded the clip."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024)


def apart(path: Path, what: str) -> dict[str, float]:
    """The same in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--measure", str(path), what]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    """Measure and say it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(Path(options.measure[0]), options.measure[1])))
        return
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder) / "short.mp4", Path(folder) / "long.mp4"
        write(short, options.seconds, 1)
        write(long, options.seconds, options.minutes * 60 // options.seconds)
        card = load_model().card
        found = {
            "command": f"python benchmarks/video_decode.py --seconds {options.seconds} --minutes {options.minutes}",
            "model": f"{card.name} {card.version}",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
            "load at the start": round(load, 2),
            "PyAV": metadata.version("av"),
            "clip": f"{WIDTH} × {HEIGHT}, {FPS} frames a second, {options.seconds} seconds, H.264",
            "bare decode": apart(short, "decode"),
            "all frames as RGB": apart(short, "all"),
            "32 frames as RGB": apart(short, "32 frames"),
            "detect, 32 frames": apart(short, "detect 32"),
            "long file": {"minutes": options.minutes, "megabytes on disk": round(long.stat().st_size / 2**20)},
            "long file, 32 frames as RGB": apart(long, "32 frames"),
            "long file, its first 3,000 frames as RGB": apart(long, "all"),
            "long file, detect, 32 frames": apart(long, "detect 32"),
            "long file, detect, 128 frames": apart(long, "detect 128"),
        }
    say(found, options.output)


if __name__ == "__main__":
    main()
