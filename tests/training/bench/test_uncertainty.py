import json

import numpy as np
import pytest

from deepfake_detector.core.types import Doubt
from deepfake_detector.training.bench.uncertainty import ALL, Doubted, bench_uncertainty, measure, write
from deepfake_detector.training.data.samples import Split
from deepfake_detector.training.evaluate import EvaluateOptions
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.verdict.decide import Bounds

LIMITS = Bounds(fake_from=1.0, real_below=0.0, faces=1)
FEW = Resampling(100)


def doubted(**found):
    """400 faces; one in ten of those called fake is real, and one in five of those called real is fake."""
    logits = np.concatenate([np.linspace(1.0, 6.0, 200), np.linspace(-6.0, 0.9, 200)])
    fake = np.arange(400) < 200
    fake[:200:10] = False
    fake[200::5] = True
    return Doubted(
        logits=logits,
        fake=fake,
        judged=np.ones(400, bool),
        found={Doubt(name): flags for name, flags in found.items()},
        sets=np.array(["a", "b"] * 200),
        groups=tuple(str(number) for number in range(400)),
    )


def test_a_doubt_about_errors_lowers_the_area_and_a_blind_one_does_not():
    wrong = (doubted().logits >= 1.0) != doubted().fake
    blind = np.random.default_rng(0).random(400) < wrong.mean()
    total, *_ = measure(doubted(unstable=wrong & (doubted().logits > 1.0), far=blind), LIMITS, FEW)
    band, unstable, far, both = total.ways
    assert (band.doubts, band.lower, band.doubted.count) == ((), None, 0)
    assert unstable.doubts == (Doubt.UNSTABLE,)
    assert unstable.lower.high < 0.0
    assert unstable.lower.value == pytest.approx(unstable.selective.aurc.value - band.selective.aurc.value)
    assert (unstable.doubted.count, unstable.errors.value) == (19, 1.0)
    assert unstable.selective.right.value > band.selective.right.value
    assert far.lower.high > 0.0
    assert far.errors.value < 0.5
    assert both.doubts == (Doubt.UNSTABLE, Doubt.FAR)
    assert both.selective.answered.count <= min(unstable.selective.answered.count, far.selective.answered.count)


def test_each_set_has_its_figures_and_a_small_one_has_none():
    faces = doubted(far=np.zeros(400, bool))
    faces.sets[:10] = "few"
    assert [(part.name, part.pictures) for part in measure(faces, LIMITS, FEW)] == [(ALL, 400), ("a", 195), ("b", 195)]


def test_what_is_already_open_is_not_counted_for_a_doubt():
    inside = (doubted().logits >= 0.0) & (doubted().logits < 1.0)
    assert inside.sum() > 10
    (_, far), *_ = (part.ways for part in measure(doubted(far=inside), LIMITS, FEW))
    assert (far.doubted.count, far.errors.value) == (0, None)


def test_the_command_measures_a_bundle_and_says_how_to_repeat_it(tiny_whole_bundle, planted, tmp_path):
    options = EvaluateOptions(split=Split.VAL, settings=Settings(resampling=FEW), crops=tmp_path / "crops")
    found = bench_uncertainty(str(tiny_whole_bundle), planted, options, limit=12)
    assert found.command.endswith(f"{planted} --split val --limit 12")
    assert [part.pictures for part in found.parts] == [48, 24, 24]
    assert [way.doubts for way in found.parts[0].ways] == [(), (Doubt.UNSTABLE,)]  # this model knows no distance
    write(found, tmp_path / "uncertainty.json")
    content = json.loads((tmp_path / "uncertainty.json").read_text())
    assert content["parts"][0]["ways"][1]["doubts"] == ["unstable"]
    assert content["model"]["onnx_sha256"] == found.card.onnx_sha256
