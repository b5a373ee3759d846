"""Clips of noise, real and fake; what a frame model would say of them is drawn, and the fakes flicker."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from deepfake_detector.core.errors import DamagedInputError
from deepfake_detector.core.types import Box, Quality
from deepfake_detector.core.video import Observation
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.training.settings_file import check_settings
from deepfake_detector.training.video.config import VideoConfig

FEATURES = 6


def observed(path: Path) -> tuple[Observation, ...]:
    """Nine or eleven frames: one feature of a fake goes up and down, the frame logits say nothing.

    A file with no bytes is damaged; one that is named ``nobody`` shows nobody.
    """
    if not path.stat().st_size:
        raise DamagedInputError(f"{path} is cut off")
    if path.stem == "nobody":
        return ()
    seed = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:4], "big")
    rng = np.random.default_rng(seed)
    frames = 9 + 2 * int(rng.integers(2))
    features = rng.normal(0.0, 1.0, (frames, FEATURES)).astype(np.float32)
    if "fake" in str(path.parent).lower():
        features[:, 2] += np.where(np.arange(frames) % 2, 4.0, -4.0)
    logits = rng.normal(0.0, 0.5, frames)
    return tuple(
        Observation(
            index=index,
            time=index * 0.04,
            scene=0,
            box=Box(0.0, 0.0, 64.0, 64.0),
            landmarks=None,
            confidence=1.0,
            quality=Quality(64.0, 100.0, 120.0),
            logit=float(logits[index]),
            p_fake=0.5,
            kind_logit=0.0,
            features=features[index],
        )
        for index in range(frames)
    )


@pytest.fixture
def watch():
    """What stands for the frame model: see ``observed``."""
    return observed


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> Path:
    """A split tree of clips: 40 train and 24 val of each class."""
    root = tmp_path_factory.mktemp("clips")
    for split, number in (("Train", 40), ("Validation", 24)):
        for label in ("Real", "Fake"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for index in range(number):
                (folder / f"{index:02d}.mp4").write_bytes(f"{split} {label} {index}".encode())
    return root


@pytest.fixture(scope="session")
def frame_model():
    """The shipped one; only its card is asked."""
    return load_bundle()


@pytest.fixture
def settings(clips, tmp_path):
    """``settings(**sections)``: a config on the clips; sections override."""

    def make(**sections) -> VideoConfig:
        content = {
            "name": "clips",
            "seed": 5,
            "outputs": str(tmp_path / "outputs"),
            "data": {"source": str(clips), "cache": str(tmp_path / "cache")},
            "model": {"units": 8, "dropout": 0.1},
            "train": {"epochs": 20, "window": 8, "lr": 0.03, "patience": 20},
        }
        for section, values in sections.items():
            content[section] = {**content.get(section, {}), **values} if isinstance(values, dict) else values
        return check_settings(content, "a test", VideoConfig)

    return make
