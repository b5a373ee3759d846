"""``deepfake audit`` and ``deepfake preview-data`` from the command line."""

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path):
    """``pictures("fake.png")``: 40 real JPEG pictures, and 40 fakes of that ending."""

    def make(suffix):
        rng = np.random.default_rng(0)
        for folder, ending in (("Real", ".jpg"), ("Fake", suffix)):
            (tmp_path / "set" / folder).mkdir(parents=True)
            for index in range(40):
                small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
                large = small.resize((48, 48), Image.Resampling.BICUBIC)
                large.save(tmp_path / "set" / folder / f"{index}{ending}", quality=80 + index % 9)
        return tmp_path / "set"

    return make


def test_a_leak_is_exit_code_1(deepfake, pictures, tmp_path):
    ran = deepfake("audit", pictures(".png"), "--output", tmp_path / "out", "--bootstrap", 50)
    assert ran.code == 1
    assert "Leak: the files give the label away" in ran.out
    assert "file format" in ran.out
    assert json.loads((tmp_path / "out" / "audit.json").read_text(encoding="utf-8"))["verdict"] == "leak"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "✕ leak" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_clean_pictures_are_exit_code_0(deepfake, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = deepfake("audit", pictures(".jpg"), "--bootstrap", 50, "--limit", 30)
    assert ran.code == 0
    assert "No shortcut found" in ran.out
    numbers = json.loads((tmp_path / "outputs" / "audits" / "set" / "audit.json").read_text(encoding="utf-8"))
    assert (numbers["looked_at"], numbers["settings"]["limit"]) == (60, 30)


def test_nothing_to_audit_is_exit_code_2(deepfake, tmp_path):
    ran = deepfake("audit", tmp_path / "nowhere")
    assert ran.code == 2
    assert "there is no" in ran.err


def test_preview_data_writes_sheets(deepfake, pictures, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        f"data: {{source: {pictures('.jpg')}, crop: whole, size: 64, cache: {tmp_path / 'cache'}, "
        "ratios: [0.5, 0.5, 0.0]}\n"
    )
    ran = deepfake("preview-data", config, "--output", tmp_path / "sheets", "--rows", 1, "--set", "augment.flip=1.0")
    assert ran.code == 0, ran.err
    assert "fakes.png" in ran.out
    assert "no sheet of them" in ran.out
    with Image.open(tmp_path / "sheets" / "reals.png") as sheet:
        assert sheet.width == 8 * 70 + 6
