"""A data set whose fakes carry a planted up-sampling trace, and tiny networks that were really trained on it."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake_detector.training.config import TrainConfig, check_config
from deepfake_detector.training.run import create_run
from deepfake_detector.training.train import train

COLUMNS = ("path", "label", "kind", "set", "method", "group", "split")


def texture(rng, kind):
    """A smooth random texture, uint8 RGB 64 × 64; fakes have checks (generated) or stripes (manipulated) on it."""
    small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    picture = 77 + 0.4 * cv2.resize(small, (64, 64), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    rows, columns = np.mgrid[:64, :64] // 4
    if kind:
        phase = rows + columns if kind == "generated" else columns
        picture += np.where(phase % 2, 30.0, -30.0)[..., None]
    return np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def write_planted(folder: Path, count: dict[str, int]) -> Path:
    """``count`` pictures of each class, set ("a", "b") and split, with their manifest."""
    rng = np.random.default_rng(7)
    rows = []
    for split, number in count.items():
        for name in ("a", "b"):
            for index in range(2 * number):
                kind = ("", "", "generated", "manipulated")[index % 4]
                file = f"{name}/{split}-{index:03d}.png"
                (folder / name).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / file), texture(rng, kind))
                rows.append((file, "fake" if kind else "real", kind, name, "", "", split))
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return folder


@pytest.fixture(scope="session")
def planted(tmp_path_factory) -> Path:
    """A folder with a manifest: two sets, 48 train and 24 val pictures of each class in each."""
    return write_planted(tmp_path_factory.mktemp("planted"), {"train": 48, "val": 24, "test": 4})


@pytest.fixture(scope="session")
def tiny_settings(planted, tmp_path_factory):
    """``tiny_settings(name, **sections)``: the config of a tiny network on the planted data; sections override."""
    outputs = tmp_path_factory.mktemp("outputs")

    def make(name: str, **sections) -> TrainConfig:
        content = {
            "name": name,
            "seed": 3,
            "outputs": str(outputs),
            "data": {"source": str(planted), "crop": "whole", "size": 64, "cache": str(outputs / "cache")},
            "model": {"weights": "random", "alpha": 0.35},
            "augment": {"max_degradations": 0, "rotation": 0.0, "zoom": [1.0, 1.0], "shift": 0.0},
            "head": {"epochs": 8, "lr": 0.01, "batch_size": 32},
            "train": {
                "epochs": 3,
                "checks_per_epoch": 2,
                "from_block": "block_6",
                "batch_size": 16,
                "lr": 0.001,
                "ema": 0.5,
                "metric": "loss",
            },
            "loss": {"kind_weight": 1.0},
        }
        for section, values in sections.items():
            content[section] = {**content.get(section, {}), **values} if isinstance(values, dict) else values
        return check_config(content, "a test")

    return make


@pytest.fixture(scope="session")
def trained(tiny_settings):
    """A tiny network, trained in both phases, calibrated and exported."""
    return train(create_run(tiny_settings("tiny")))
