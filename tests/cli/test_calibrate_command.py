"""``deepfake calibrate``, and ``deepfake detect`` with what it made."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.scoring.own_threshold import read_thresholds


@pytest.fixture(scope="module")
def reals(tmp_path_factory):
    """40 noisy pictures from bluish to reddish, a copy, one without contrast, and one that is no picture."""
    folder = tmp_path_factory.mktemp("reals")
    rng = np.random.default_rng(0)
    for index, red in enumerate(np.linspace(90, 190, 40)):
        pixels = np.array([red, 128, 256 - red]) + rng.integers(-30, 31, (80, 80, 3))
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(folder / f"{index:02d}.png")
    shutil.copyfile(folder / "00.png", folder / "copy.png")
    Image.fromarray(np.full((80, 80, 3), 128, np.uint8)).save(folder / "flat.png")
    (folder / "broken.png").write_bytes((folder / "01.png").read_bytes()[:200])
    return folder


@pytest.fixture
def calibrate(deepfake, tiny_whole_bundle):
    return lambda *arguments: deepfake("calibrate", "--model", tiny_whole_bundle, *arguments)


@pytest.fixture
def detect(deepfake, tiny_whole_bundle):
    return lambda *arguments: deepfake("detect", "--model", tiny_whole_bundle, "--jsonl", *arguments)


def test_it_sets_a_threshold_that_detect_uses(calibrate, detect, reals, tmp_path):
    file = tmp_path / "cameras.json"
    ran = calibrate("--reals", reals, "--fpr", ".1", "--output", file)
    assert ran.code == 0, ran.err
    made = read_thresholds(file)
    assert (made.photos, made.fpr) == (40, 0.1)
    assert made.skipped == {"copy": 1, "damaged": 1, "unfit_face": 1}
    assert "40 photos used; not used: 1 copy, 1 damaged, 1 unfit_face" in ran.out
    for name in ("copy.png", "flat.png", "broken.png"):
        assert f"not used: {reals / name}" in ran.err
    lines = [json.loads(line) for line in detect("--thresholds", file, reals).out.splitlines()]
    used = [line for line in lines if line["path"].rpartition("/")[2][:2].isdigit()]
    assert [line["path"][-6:-4] for line in used if line["verdict"] == "fake"] == ["37", "38", "39"]  # the rank is 37
    assert {(line["decision"]["operating_point"], line["decision"]["fpr"]) for line in used} == {("own", 0.1)}
    assert all("set on 40 real photos" in line["warnings"][-1] for line in used)


def test_too_few_photos_are_code_2(calibrate, reals, tmp_path):
    ran = calibrate("--reals", reals / "0*.png", "--output", tmp_path / "own.json")
    assert ran.code == 2
    assert "10 photos can be used" in ran.err
    assert "at least 99" in ran.err
    assert not (tmp_path / "own.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fpr", "0", "--reals", "x", "--output", "own.json"], "above 0"),
        (["--fpr", "nan", "--reals", "x", "--output", "own.json"], "above 0"),
        (["--reals", "x", "--output", "photo.jpg"], ".json"),
        (["--output", "own.json"], "--reals"),
        (["--reals", "x"], "--output"),
    ],
)
def test_usage_errors_are_code_2(calibrate, arguments, words):
    ran = calibrate(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert words in " ".join(ran.err.split())


def test_detect_takes_a_threshold_or_an_operating_point(calibrate, detect, deepfake, tiny_bundle, reals, tmp_path):
    file = tmp_path / "own.json"
    calibrate("--reals", reals, "--fpr", ".1", "--output", file)
    ran = detect("--thresholds", file, "--operating-point", "fpr5", reals)
    assert (ran.code, ran.out) == (2, "")
    assert "cannot be given with it" in " ".join(ran.err.split())
    ran = detect("--thresholds", tmp_path / "none.json", reals)
    assert (ran.code, ran.out) == (2, "")
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"model_sha256": "0" * 64}))
    ran = detect("--thresholds", file, reals)
    assert (ran.code, ran.out) == (2, "")
    assert "set one for this model" in ran.err


def test_resume_does_not_mix_thresholds(calibrate, detect, reals, tmp_path):
    one, other, done = tmp_path / "one.json", tmp_path / "other.json", tmp_path / "done.jsonl"
    calibrate("--reals", reals, "--fpr", ".1", "--output", one)
    calibrate("--reals", reals / "[0-2]*.png", "--fpr", ".1", "--output", other)
    picture = reals / "05.png"
    assert detect("--thresholds", one, "--resume", done, picture).code == 0
    assert "answers taken" in detect("--thresholds", one, "--resume", done, picture).err
    ran = detect("--thresholds", other, "--resume", done, picture)
    assert (ran.code, ran.out) == (2, "")
    assert "was answered with threshold" in ran.err
    ran = detect("--resume", done, picture)
    assert (ran.code, ran.out) == (2, "")
    assert "operating point own, now it is fpr5" in ran.err
