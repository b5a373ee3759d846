"""A threshold of one's own: set so that it keeps its promise, for one face and for several, and for one model only."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepfake_detector.core.errors import ConfigError, DataError, ThresholdModelError
from deepfake_detector.core.settings import OwnThreshold
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.scoring.calibration import conformal_rank, just_above, threshold_logit
from deepfake_detector.scoring.own_threshold import (
    own_threshold_warning,
    photos_needed,
    read_thresholds,
    set_threshold,
    shipped_threshold,
    threshold_curve,
    uncertain_band,
    write_thresholds,
)


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.mark.parametrize(("fpr", "needed"), [(0.01, 99), (0.05, 19), (0.1, 9), (0.03, 33), (0.5, 1), (0.001, 999)])
def test_so_many_photos_are_needed(fpr, needed):
    assert photos_needed(fpr) == needed
    assert conformal_rank(needed, fpr) <= needed
    assert conformal_rank(needed - 1, fpr) > needed - 1


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30), st.data())
def test_the_threshold_lies_between_two_scores(scores, data):
    ordered = np.sort(np.array(scores, dtype=np.float64))
    rank = data.draw(st.integers(1, len(scores)))
    found = just_above(ordered, rank)
    assert found > ordered[rank - 1]
    assert (ordered[ordered > ordered[rank - 1]] > found).all()


def test_new_photos_keep_to_the_rate(bundle):
    rng = np.random.default_rng(0)
    start = shipped_threshold(bundle, 0.1).logit
    fresh = rng.normal(size=20_000)
    shares = [(fresh >= set_threshold(bundle, 0.1, rng.normal(size=60)).logit - start).mean() for _ in range(300)]
    assert np.mean(shares) == pytest.approx(6 / 61, abs=0.008)  # (n + 1 - k) / (n + 1), by the theory


def test_too_few_photos_are_an_error_that_says_how_many(bundle):
    with pytest.raises(
        DataError, match=r"98 photos can be used \(not used: 1 damaged, 2 no_face\).* at least 99"
    ) as said:
        set_threshold(bundle, 0.01, [0.0] * 98, ["no_face", "damaged", "no_face"])
    assert "--fpr 0.011 or more" in str(said.value)
    assert set_threshold(bundle, 0.011, [0.0] * 98).photos == 98
    with pytest.raises(DataError, match=r"^0 photos can be used, and") as nothing:
        set_threshold(bundle, 0.01, [])
    assert "--fpr" not in str(nothing.value)


def test_the_curve_is_moved_as_a_whole(bundle):
    calibration = bundle.card.calibration
    shipped = threshold_curve(bundle)
    own = OwnThreshold(0.02, 3.5, 80, bundle.card.onnx_sha256, bundle.card.version)
    moved = threshold_curve(bundle, own)
    assert moved(0.02) == pytest.approx(3.5)
    steps = {moved(rate) - shipped(rate) for rate in (0.1, 0.02, 0.004, 0.0001)}
    assert max(steps) - min(steps) < 1e-12
    assert shipped(0.03) == threshold_logit(calibration, 0.03)


@pytest.mark.parametrize(("logit", "band"), [(3.5, 3.0), (1.0, 0.5), (0.5, 0.0), (-2.0, 0.0)])
def test_what_is_called_real_stays_where_the_card_has_it(bundle, logit, band):
    own = OwnThreshold(0.02, logit, 80, bundle.card.onnx_sha256, bundle.card.version)
    assert uncertain_band(bundle, own) == band  # the card: real below 0.5
    assert uncertain_band(bundle) == bundle.card.calibration.band_below


@pytest.mark.parametrize("change", [{"model_sha256": "0" * 64}, {"model_version": "9"}])
def test_a_threshold_of_another_model_is_refused(bundle, change):
    facts = {"model_sha256": bundle.card.onnx_sha256, "model_version": bundle.card.version} | change
    with pytest.raises(ThresholdModelError, match="set one for this model"):
        threshold_curve(bundle, OwnThreshold(0.02, 3.5, 80, **facts))


def test_the_file_comes_back_as_it_was_written(bundle, tmp_path):
    made = set_threshold(bundle, 0.1, np.linspace(-3, 1, 40), ["no_face"])
    path = tmp_path / "new" / "cameras.json"
    write_thresholds(made, path, bundle)
    assert read_thresholds(path) == made
    assert made.own == OwnThreshold(0.1, made.logit, 40, bundle.card.onnx_sha256, "0.0.1")
    assert (made.model_name, made.skipped) == ("tiny", {"no_face": 1})
    assert made.created.utcoffset().total_seconds() == 0
    assert "40 real photos for 10 % false alarms" in own_threshold_warning(made.own)[0]
    assert own_threshold_warning(None) == ()


def test_the_model_stays_as_it_is(bundle, tiny_bundle, tmp_path):
    made = set_threshold(bundle, 0.1, [0.0] * 20)
    before = sorted(path.name for path in tiny_bundle.iterdir())
    for place in (tiny_bundle / "own.json", tiny_bundle / "deeper" / "own.json"):
        with pytest.raises(ConfigError, match="stays as it is"):
            write_thresholds(made, place, bundle)
    assert sorted(path.name for path in tiny_bundle.iterdir()) == before
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write to"):
        write_thresholds(made, tmp_path / "file" / "own.json", bundle)


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"fpr": 0.0},
        {"fpr": 1.0},
        {"photos": 0},
        {"model_sha256": "x"},
        {"more": 1},
        {"logit": "NaN"},
    ],
    ids=str,
)
def test_a_file_that_is_not_one_is_refused(bundle, tmp_path, change):
    path = tmp_path / "own.json"
    write_thresholds(set_threshold(bundle, 0.1, [0.0] * 20), path, bundle)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ConfigError, match=f"no threshold file that this version can read .{next(iter(change))}"):
        read_thresholds(path)


def test_other_files_and_no_file_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the threshold file"):
        read_thresholds(tmp_path / "missing.json")
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8" * 100_000)
    with pytest.raises(ConfigError, match="no threshold file"):
        read_thresholds(tmp_path / "a.jpg")
