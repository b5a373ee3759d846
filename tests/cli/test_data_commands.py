"""``deepfake split`` and ``deepfake faces`` from the command line."""

import runpy
import sys

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.cli.main import main


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for folder in ("Real", "Fake"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        for index in range(10):
            small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            small.resize((64, 64), Image.Resampling.BICUBIC).save(tmp_path / "set" / folder / f"{index}.png")
    return tmp_path / "set"


def test_split_says_what_it_did(pictures, tmp_path, capsys):
    (pictures / "Fake" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["split", str(pictures), str(tmp_path / "out"), "--ratios", ".6", ".2", ".2", "--seed", "7"]) == 0
    said = capsys.readouterr()
    assert "20 pictures copied to" in said.out
    assert "train" in said.out
    assert "cannot be read, and were left out: 1" in said.err
    assert "broken.png" in said.err
    assert len(list((tmp_path / "out" / "val" / "Real").iterdir())) == 2


def test_split_refuses_to_overwrite(pictures, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    assert main(["split", str(pictures), str(tmp_path / "out")]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--ratios", ".8", ".1", ".2"], ["--ratios", ".8", ".1"], ["--mode", "move"]])
def test_split_refuses_wrong_options(pictures, tmp_path, capsys, wrong):
    assert main(["split", str(pictures), str(tmp_path / "out"), *wrong]) == 2
    assert capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_module_is_the_same_command(pictures, tmp_path, monkeypatch, capsys):
    arguments = [str(pictures), str(tmp_path / "by-module"), "--ratios", ".8", ".1", ".1", "--seed", "7"]
    monkeypatch.setattr(sys, "argv", ["split_dataset", *arguments])
    monkeypatch.delitem(sys.modules, "deepfake_detector.training.data.split_dataset", raising=False)
    with pytest.raises(SystemExit) as leaving:
        runpy.run_module("deepfake_detector.training.data.split_dataset", run_name="__main__")
    assert leaving.value.code == 0
    assert main(["split", str(pictures), str(tmp_path / "by-command"), *arguments[2:]]) == 0
    found = [
        sorted(path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*.png"))
        for name in ("by-module", "by-command")
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 20


def test_faces_cuts_what_it_finds_and_names_the_rest(pictures, tmp_path, astronaut, capsys):
    Image.fromarray(astronaut).save(pictures / "Real" / "astronaut.jpg")
    Image.new("RGB", (80, 80), (200, 200, 200)).save(pictures / "Real" / "plain.png")
    assert main(["faces", str(pictures / "Real"), str(tmp_path / "out"), "--size", "96"]) == 4
    said = capsys.readouterr()
    with Image.open(tmp_path / "out" / "astronaut.png") as face:
        assert face.size == (96, 96)
    assert "faces written to" in said.out
    assert "plain.png: no face was found" in said.err


def test_faces_of_nothing_is_an_error(tmp_path, capsys):
    assert main(["faces", str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert "there is no" in capsys.readouterr().err
