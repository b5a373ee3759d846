"""What tests of the command line share: pictures on disk, the command run in this process, real reports."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.cli.main import main
from deepfake_detector.core.types import Report
from deepfake_detector.pipeline import Detector


class Ran(NamedTuple):
    """What a command line did."""

    code: int
    out: str
    err: str


@pytest.fixture
def deepfake(capsys) -> Callable[..., Ran]:
    """``deepfake("detect", "a.jpg")`` runs the command line in this process."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Ran(code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    """What the tiny model calls fake (``a.jpg``), real (``b.png``), no face (``c.png``), uncertain (``d.png``)."""
    folder = tmp_path_factory.mktemp("photos")
    Image.fromarray(astronaut).save(folder / "a.jpg", quality=95)
    _tinted(astronaut, (-80, 0, 80)).save(folder / "b.png")
    Image.fromarray(np.full((64, 80, 3), 128, np.uint8)).save(folder / "c.png")
    _tinted(astronaut, (-60, 40, -20)).save(folder / "d.png")
    return folder


def _tinted(image: np.ndarray, tint: tuple[int, int, int]) -> Image.Image:
    return Image.fromarray(np.clip(image.astype(np.int16) + tint, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def astronaut_report(tiny_bundle: Path, photos: Path) -> Report:
    """What the tiny model says of ``a.jpg``."""
    return Detector(tiny_bundle).analyze(photos / "a.jpg")
