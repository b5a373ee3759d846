"""Drawn pictures, folders of them, and a finder that says where the face is."""

from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.types import Box, DetectedFace, ImageArray, Kind, Landmarks
from deepfake_detector.training.data.samples import Label, Sample, Split


class MiddleFinder:
    """Finds a face in the middle of every picture that is not all black; counts how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def find(self, image: ImageArray) -> tuple[DetectedFace, ...]:
        self.calls += 1
        if not image.any():
            return ()
        height, width = image.shape[:2]
        w, h = width * 0.4321, height * 0.5
        x, y = (width - w) / 2 + 3.3, (height - h) / 2 - 1.7
        marks = [(x + w * a, y + h * b) for a, b in ((0.3, 0.4), (0.7, 0.42), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8))]
        large = DetectedFace(Box(x, y, w, h), Landmarks(*marks), 0.99)
        return large, DetectedFace(Box(0.0, 0.0, 9.0, 9.0), Landmarks(*marks), 0.999)


@pytest.fixture
def finder() -> MiddleFinder:
    return MiddleFinder()


def texture(seed: int, width: int = 120, height: int = 100) -> ImageArray:
    """Smooth random blobs with some grain: no two seeds look alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 8, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.int16)
    return np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def draw() -> Callable[..., ImageArray]:
    return texture


@pytest.fixture
def picture_folder(tmp_path: Path) -> Callable[..., Path]:
    """Makes ``<name>/Real`` and ``<name>/Fake`` with drawn PNG pictures."""

    def make(name: str = "set", real: int = 6, fake: int = 6, seed: int = 0) -> Path:
        for folder, number in (("Real", real), ("Fake", fake)):
            (tmp_path / name / folder).mkdir(parents=True)
            for index in range(number):
                seed += 1
                Image.fromarray(texture(seed)).save(tmp_path / name / folder / f"{index:03d}.png")
        return tmp_path / name

    return make


@pytest.fixture
def make_samples(tmp_path: Path) -> Callable[..., list[Sample]]:
    """Samples of two sets with pictures on disk: reals and fakes of ``a``, fakes of ``b``."""

    def make(number: int = 4) -> list[Sample]:
        samples = []
        for index in range(number):
            for name, label, kind in (
                ("a", Label.REAL, None),
                ("a", Label.FAKE, Kind.MANIPULATED),
                ("b", Label.FAKE, Kind.GENERATED),
            ):
                path = tmp_path / "pictures" / f"{name}-{label.name}-{index}.png"
                path.parent.mkdir(exist_ok=True)
                pixels = texture(len(samples) + 1, 130 + 7 * index, 110)
                Image.fromarray(pixels).save(path)
                samples.append(Sample(path, label, kind, name, split=Split.TRAIN))
        return samples

    return make


@pytest.fixture
def write_clip() -> Callable[..., Path]:
    """``write_clip(path, levels)``: an MP4 of one textured frame per level, darkened by it; 0 is all black."""
    import av

    def write(path: Path, levels: tuple[float, ...] = (1.0,) * 6) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as out:
            stream = out.add_stream("mpeg4", rate=10, width=96, height=96, pix_fmt="yuv420p")
            for index, level in enumerate(levels):
                pixels = (texture(crc32(path.as_posix().encode()) + index, 96, 96) * level).astype(np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            out.mux(stream.encode(None))
        return path

    return write
