"""The student's path, by the commands alone: a folder of Real and Fake, split, trained, measured, used."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from deepfake_detector.cli.main import main

CONFIG = {
    "name": "student",
    "data": {"source": "data", "crop": "whole", "size": 64},
    "model": {"weights": "random", "alpha": 0.35},
    "augment": {"max_degradations": 0, "rotation": 0.0, "zoom": [1.0, 1.0], "shift": 0.0},
    "head": {"epochs": 6, "lr": 0.01, "batch_size": 32},
    "train": {"epochs": 3, "from_block": "block_6", "batch_size": 16, "lr": 0.001, "metric": "loss"},
}


def draw(file: Path, rng: np.random.Generator, fake: bool) -> None:
    """Smooth blobs; a fake has the checks of a bad up-sampler on it."""
    blobs = cv2.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), (64, 64), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:64, :64] // 4
    checks = np.where((rows + columns) % 2, 30.0, -30.0)[..., None] * fake
    pixels = 77 + 0.4 * blobs + checks + rng.normal(0, 2, (64, 64, 3))
    cv2.imwrite(str(file), np.clip(pixels, 0, 255).astype(np.uint8))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with ``photos/Real`` and ``photos/Fake``, and an experiment file."""
    rng = np.random.default_rng(5)
    for name in ("Real", "Fake"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(150):
            draw(tmp_path / "photos" / name / f"{number:03d}.png", rng, name == "Fake")
    (tmp_path / "student.yaml").write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_a_folder_of_pictures_to_a_verdict(folder, capsys):
    split = ["split", "photos", "data", "--ratios", "0.6", "0.2", "0.2", "--seed", "7"]
    assert main(split) == 0
    assert {part.name for part in (folder / "data").iterdir() if part.is_dir()} == {"train", "val", "test"}
    assert main(split) == 2, "a second split must not overwrite the first"

    broken = Path("data", "train", "Real", "broken.png")
    broken.write_bytes(b"\x89PNG")
    assert main(["train", "student.yaml", "--set", "train.epochs=2"]) == 0
    run = folder / "outputs" / "student"
    bundle = run / "bundle"
    assert {file.name for file in bundle.iterdir()} == {"model.onnx", "card.json"}
    assert sum(json.loads((run / "run.json").read_text(encoding="utf-8"))["skipped"].values()) == 1
    assert f"skipped {broken}: " in (run / "logs" / "train.log").read_text(encoding="utf-8")

    assert main(["evaluate", str(bundle), "data", "--output", "measured", "--bootstrap", "50"]) == 0
    figures = json.loads((folder / "measured" / "metrics.json").read_text(encoding="utf-8"))["figures"]
    assert figures["total"]["metrics"]["figures"]["roc_auc"]["value"] > 0.9

    capsys.readouterr()
    pictures = [f"photos/{name}/{number:03d}.png" for number in range(4) for name in ("Real", "Fake")]
    code = main(["detect", "--model", str(bundle), "--operating-point", "fpr10", "--jsonl", *pictures])
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["path"] for answer in answers] == pictures
    reals, fakes = ([answer["p_fake"] for answer in answers[first::2]] for first in (0, 1))
    assert max(reals) < min(fakes)
    assert code in {0, 1, 3}
