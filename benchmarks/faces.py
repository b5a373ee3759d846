"""Measures the face finder: how many faces are found per set, false hits, padding by crop ratio, box sizes, time.

python benchmarks/faces.py DATA            # DATA holds manifest.csv; writes results/faces.json
python benchmarks/faces.py DATA --every 10 # a tenth of the pictures, for a first look
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import faceless
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import CropRule, DetectedFace
from deepfake_detector.faces.align import face_matrix, padding_share
from deepfake_detector.faces.find import find_faces
from deepfake_detector.faces.mtcnn import FINDER_VERSION, MtcnnFinder
from deepfake_detector.faces.quality import assess
from deepfake_detector.media.image import load_image

Picture = NDArray[np.uint8]

RATIOS = (0.9, 1.0, 1.1, 1.2, 1.3)
PADDING_SIDE = 64
QUALITY_EVERY = 10
"""Degraded copies are made of each tenth picture only."""
RESULTS = Path(__file__).parent / "results" / "faces.json"


@dataclass
class Tally:
    """What was measured on one class of one set."""

    pictures: int = 0
    first: int = 0
    found: int = 0
    several: int = 0
    missed: list[str] = field(default_factory=list)
    long_side: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    padding: dict[float, list[float]] = field(default_factory=lambda: {ratio: [] for ratio in RATIOS})
    rejected: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    qualities: int = 0

    def summary(self) -> dict[str, Any]:
        percentiles = (1, 5, 25, 50, 75, 95, 99)
        return {
            "pictures": self.pictures,
            "found": round(self.found / self.pictures, 4),
            "found_at_first_try": round(self.first / self.pictures, 4),
            "several_faces": round(self.several / self.pictures, 4),
            "missed": self.missed,
            "median_padding": {str(ratio): round(float(np.median(v)), 4) for ratio, v in self.padding.items()},
            "box_long_side_px": _percentiles(self.long_side, percentiles, 1),
            "box_over_shorter_side": _percentiles(self.share, percentiles, 3),
            "quality_of": self.qualities,
            "judged_poor": {name: round(count / max(self.qualities, 1), 4) for name, count in self.rejected.items()},
        }


def _percentiles(values: list[float], wanted: tuple[int, ...], digits: int) -> dict[str, float]:
    return {f"p{p}": round(float(np.percentile(values, p)), digits) for p in wanted}


def rows(data: Path, every: int) -> Iterator[dict[str, str]]:
    """The pictures of the manifest; clips are left out."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        pictures = [row for row in csv.DictReader(file) if not row["path"].endswith(".mp4")]
    yield from pictures[::every]


def degraded(image: Picture) -> Iterator[tuple[str, Picture]]:
    """The picture, and as it may come back from the world."""
    yield "original", image
    yield "half", cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    yield "blur_1.5", cv2.GaussianBlur(image, (0, 0), 1.5)
    good, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 50])
    assert good
    yield "jpeg_50", np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
    scale = 160.0 / min(image.shape[:2])
    if scale < 1.0:
        small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        yield "side_160_blur_1", cv2.GaussianBlur(small, (0, 0), 1.0)


def measure_sets(data: Path, every: int) -> dict[str, Any]:
    """Per set and class, and for the test split by itself: what was found, and how the faces lie in the pictures."""
    finder = MtcnnFinder(threads=1)
    tallies: dict[str, Tally] = defaultdict(Tally)
    for index, row in enumerate(rows(data, every)):
        image = load_image(data / row["path"]).pixels
        first = finder.find(image)
        faces = first or find_faces(finder, image)
        names = [f"{row['set']}/{row['label']}"]
        names += [f"{names[0]}/test"] if row["split"] == "test" else []
        for name in names:
            count(tallies[name], row["path"], bool(first), faces, image)
        if faces and index % QUALITY_EVERY == 0:
            count_quality(finder, tallies[names[0]], image, faces[0])
    return {name: tally.summary() for name, tally in sorted(tallies.items())}


def count(tally: Tally, path: str, first: bool, faces: tuple[DetectedFace, ...], image: Picture) -> None:
    height, width = image.shape[:2]
    tally.pictures += 1
    tally.first += first
    tally.found += bool(faces)
    tally.several += len(faces) > 1
    if not faces:
        tally.missed.append(path)
        return
    box = faces[0].box
    tally.long_side.append(box.long_side)
    tally.share.append(box.long_side / min(width, height))
    for ratio in RATIOS:
        matrix = face_matrix(box, faces[0].landmarks, CropRule(size=PADDING_SIDE, ratio=ratio))
        tally.padding[ratio].append(padding_share(matrix, PADDING_SIDE, width, height))


def count_quality(finder: MtcnnFinder, tally: Tally, image: Picture, face: DetectedFace) -> None:
    tally.qualities += 1
    for name, changed in degraded(image):
        found = (face,) if name == "original" else find_faces(finder, changed)
        poor = not found or bool(assess(changed, found[0]).issues)
        tally.rejected[name] += poor


def measure_faceless() -> dict[str, Any]:
    """False hits on the hundred pictures without a face, all tries included."""
    finder = MtcnnFinder(threads=1)
    hits = {}
    pictures = list(faceless.pictures())
    for name, image in pictures:
        faces = find_faces(finder, image)
        if faces:
            hits[name] = [round(face.confidence, 3) for face in faces]
    return {"pictures": len(pictures), "with_false_hits": len(hits), "hits": hits}


def measure_time(threads: int = 2, repeats: int = 30) -> dict[str, dict[str, float]]:
    """Milliseconds of one search in the astronaut's portrait, by the picture's side; CPU time of all threads."""
    from skimage.data import astronaut

    finder = MtcnnFinder(threads=threads)
    found = {}
    for side in (256, 512, 1024, 2048, 4000):
        image = np.asarray(cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        finder.find(image)
        wall, cpu = [], []
        for _ in range(repeats):
            start, start_cpu = time.perf_counter(), time.process_time()
            finder.find(image)
            wall.append((time.perf_counter() - start) * 1000.0)
            cpu.append((time.process_time() - start_cpu) * 1000.0)
        found[str(side)] = {
            "median": round(float(np.median(wall)), 1),
            "best": round(min(wall), 1),
            "median_cpu": round(float(np.median(cpu)), 1),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with manifest.csv")
    parser.add_argument("--every", type=int, default=1, help="take each n-th picture only")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only-time", action="store_true", help="measure the time again, keep the rest of the file")
    arguments = parser.parse_args()
    if arguments.only_time:
        kept = json.loads(arguments.out.read_text(encoding="utf-8"))
        kept["milliseconds_at_2_threads"] = measure_time()
        arguments.out.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return
    result = {
        "finder": FINDER_VERSION,
        "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("onnxruntime", "opencv-python-headless", "numpy")},
        "milliseconds_at_2_threads": measure_time(),
        "faceless": measure_faceless(),
        "sets": measure_sets(arguments.data, arguments.every),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for name, found in result["sets"].items():
        print(f"{name:32} {found['pictures']:5} found {found['found']:.4f} padding {found['median_padding']}")
    print("false hits:", result["faceless"]["with_false_hits"], "of", result["faceless"]["pictures"])
    print("milliseconds:", result["milliseconds_at_2_threads"])


if __name__ == "__main__":
    main()
