"""How many crops a second the training loader gives, by itself: from files and from memory, changed and plain.

    python benchmarks/loader.py [--pictures 600] [--side 320] [--output benchmarks/results/loader.json]

The pictures are drawn, and a stand-in says where the face is, so nothing but the loader is measured.
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

from deepfake_detector.core.types import Box, CropRule, DetectedFace, Landmarks
from deepfake_detector.training.data.augment_config import AugmentConfig
from deepfake_detector.training.data.crops import CachedCrop, CropOptions, build_crops
from deepfake_detector.training.data.dataloader import CropLoader, LoaderConfig
from deepfake_detector.training.data.manifest import Label, Sample


class MiddleFinder:
    """Says that a face fills the middle of the picture."""

    def find(self, image):
        height, width = image.shape[:2]
        w, h = width * 0.55, height * 0.7
        box = Box((width - w) / 2, (height - h) / 2, w, h)
        points = [
            (box.x + a * w, box.y + b * h) for a, b in ((0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))
        ]
        return (DetectedFace(box, Landmarks(*points), 1.0),)


def draw(folder: Path, number: int, side: int) -> list[Sample]:
    """Soft blobs with the grain of a photo."""
    rng = np.random.default_rng(0)
    samples = []
    for index in range(number):
        blobs = cv2.resize(rng.random((9, 9, 3), dtype=np.float32) * 255, (side, side), interpolation=cv2.INTER_CUBIC)
        grain = rng.normal(0, 3, (side, side, 3))
        path = folder / f"{index:05d}.jpg"
        cv2.imwrite(str(path), np.clip(blobs + grain, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 92])
        samples.append(Sample(path, Label(index % 2)))
    return samples


def rates(crops: tuple[CachedCrop, ...], augment: AugmentConfig | None) -> dict[str, float]:
    """Crops a second of the first epoch, which reads the files, and of the best of the next two, which do not."""
    # TensorFlow and the changes start up on other crops than those that are measured.
    list(CropLoader(crops[:64], CropRule(), LoaderConfig(memory_mb=0), augment).epoch_dataset(0))
    loader = CropLoader(crops, CropRule(), LoaderConfig(), augment)
    found = []
    for epoch in range(3):
        start, busy = time.perf_counter(), time.process_time()
        number = sum(int(images.shape[0]) for images, _, _ in loader.epoch_dataset(epoch))
        found.append((number / (time.perf_counter() - start), number / (time.process_time() - busy)))
    (files, files_cpu), (memory, memory_cpu) = found[0], max(found[1:])
    return {
        "from files": round(files, 1),
        "from memory": round(memory, 1),
        "from files, per CPU second": round(files_cpu, 1),
        "from memory, per CPU second": round(memory_cpu, 1),
    }


def main() -> None:
    """Measure and say it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = draw(folder, options.pictures, options.side)
        crops = build_crops(samples, CropRule(), folder / "cache", CropOptions(MiddleFinder(), "middle")).crops
        found = {
            "unit": "crops of 224 px per second",
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "pictures": options.pictures,
            "side": options.side,
            "augmented": rates(crops, AugmentConfig()),
            "plain": rates(crops, None),
        }
    say(found, options.output)


if __name__ == "__main__":
    main()
