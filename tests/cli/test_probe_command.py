"""``deepfake probe`` from the command line, on pictures with a planted shortcut and without."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image


def brighter(pixels):
    return np.clip(pixels.astype(np.int16) + 40, 0, 255).astype(np.uint8)


def blurred(pixels):
    return cv2.GaussianBlur(pixels, (0, 0), 1.2)


@pytest.fixture
def probe(deepfake, tmp_path):
    """``probe(change)``: what the command says of 100 real and 100 fake pictures; only fakes are changed."""

    def run(change, *arguments):
        rng = np.random.default_rng(0)
        for label in ("Real", "Fake"):
            (tmp_path / "set" / label).mkdir(parents=True)
            for index in range(100):
                coarse = Image.fromarray(rng.integers(60, 196, (7, 7, 3), dtype=np.uint8))
                pixels = np.asarray(coarse.resize((72, 72), Image.Resampling.BICUBIC), dtype=np.int16)
                pixels = np.clip(pixels + rng.integers(-20, 21, pixels.shape), 0, 255).astype(np.uint8)
                made = change(pixels) if label == "Fake" else pixels
                Image.fromarray(made).save(tmp_path / "set" / label / f"{index}.png")
        (tmp_path / "config.yaml").write_text(
            f"data: {{source: {tmp_path / 'set'}, crop: whole, size: 64, ratios: [0.8, 0.2, 0.0]}}\n"
        )
        settings = ("--set", f"data.cache={tmp_path / 'cache'}", "--set", "augment.rotation=2.0")
        return deepfake("probe", tmp_path / "config.yaml", *settings, "--crops", 320, "--bootstrap", 40, *arguments)

    return run


@pytest.mark.parametrize(
    ("change", "names"), [(brighter, {"brightness"}), (blurred, {"sharpness", "share of high frequencies"})]
)
def test_a_planted_shortcut_is_exit_code_1(probe, change, names):
    ran = probe(change)
    assert ran.code == 1, ran.err
    assert "Shortcut: the features tell real from fake" in ran.out
    named = ran.out.partition("above 0.60; ")[2].partition(" tells most alone")[0]
    assert named.partition(" (")[0] in names


def test_clean_crops_are_exit_code_0(probe, tmp_path):
    ran = probe(lambda pixels: pixels, "--output", tmp_path / "new" / "probe.json", "--seed", 5)
    assert ran.code == 0, ran.out + ran.err
    assert "No shortcut" in ran.out
    content = json.loads((tmp_path / "new" / "probe.json").read_text(encoding="utf-8"))
    assert (content["clean"], content["crops"], content["seed"]) == (True, 320, 5)
    assert content["changed"] == ["augment.rotation=2.0"]  # where the crops are kept changes nothing


def test_a_config_that_is_not_there_is_exit_code_2(deepfake, tmp_path):
    ran = deepfake("probe", tmp_path / "none.yaml")
    assert ran.code == 2
    assert "cannot read the config" in ran.err
