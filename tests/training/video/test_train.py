"""A whole training on clips, up to the bundle that the scorer opens."""

import json
from pathlib import Path

import pytest

from deepfake_detector.core.errors import ConfigError, DataError, ModelSchemaError
from deepfake_detector.scoring.bundle import Bundle
from deepfake_detector.scoring.sequence import SequenceScorer, load_sequence_bundle
from deepfake_detector.training.run import create_run
from deepfake_detector.training.settings_file import check_settings, load_settings
from deepfake_detector.training.video.clips import read_clips
from deepfake_detector.training.video.config import VideoConfig
from deepfake_detector.training.video.train import DEFAULT_VIDEO_CONFIG, summary, train_video


def test_from_clips_to_a_bundle_that_tells_them_apart(settings, frame_model, watch):
    config = settings()
    trained = train_video(create_run(config), config, frame_model, watch)
    assert trained.fitted.loss < 0.7 * trained.fitted.loss_before
    assert "deepfake detect --temporal-model" in summary(trained)

    bundle = load_sequence_bundle(trained.bundle, frame_model)
    assert bundle.card.channels == 3 + 6
    assert bundle.card.frame_model_sha256 == frame_model.card.onnx_sha256
    assert [(one.real, one.fake) for one in bundle.card.data] == [(40, 40)]
    assert "48 clips" in bundle.card.calibration.fitted_on

    scorer = SequenceScorer(bundle, threads=1)
    val = [sample for sample in read_clips(config.data) if sample.split == "val"]
    threshold = next(point.logit for point in bundle.card.calibration.fpr_curve if point.fpr == 0.1)
    called = [scorer.calibrated(watch(sample.path)) >= threshold for sample in val]
    assert sum(one for one, sample in zip(called, val, strict=True) if sample.label == 0) <= 3
    assert sum(one for one, sample in zip(called, val, strict=True) if sample.label == 1) >= 16

    record = json.loads((trained.run.path / "run.json").read_text())
    assert record["finished"]
    assert {(count["part"], count["real"], count["fake"]) for count in record["counts"]} == {
        ("train", 40, 40), ("val", 24, 24),
    }  # fmt: skip

    other = Bundle(frame_model.card.model_copy(update={"onnx_sha256": "f" * 64}), b"")
    with pytest.raises(ModelSchemaError, match="was trained on the frame model"):
        load_sequence_bundle(trained.bundle, other)


def test_clips_in_which_nobody_is_seen_are_an_error_that_says_so(settings, frame_model):
    config = settings()
    with pytest.raises(DataError, match=r"no real clips are left in train \(128 × no person in three frames\)"):
        train_video(create_run(config), config, frame_model, lambda path: ())


def test_the_config_that_ships_is_valid_and_a_typo_is_named(clips):
    config = load_settings(DEFAULT_VIDEO_CONFIG, VideoConfig, [f"data.source={clips}", "train.epochs=3"])
    assert config.train.epochs == 3
    with pytest.raises(ConfigError, match=r"unknown key 'model.unit'; did you mean 'units'"):
        check_settings({"data": {"source": "x"}, "model": {"unit": 3}}, "a test", VideoConfig)


def test_every_setting_is_in_the_documentation():
    config = VideoConfig.model_validate({"data": {"source": "x"}})
    text = Path("docs/training.md").read_text(encoding="utf-8")
    for name, section in (("data", config.data), ("model", config.model), ("train", config.train)):
        for key, field in type(section).model_fields.items():
            value = "–" if field.is_required() else f"`{_written(field.default)}`"
            assert f"| `{name}.{key}` | {value} | {field.description} |" in text


def _written(value):
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return "null" if value is None else str(value)
