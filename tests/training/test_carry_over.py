"""Calibration, thresholds and limits on the logits of another model of the same pictures."""

from pathlib import Path

import numpy as np
import pytest

from deepfake_detector.core.errors import DataError, ExportError
from deepfake_detector.core.types import Scores
from deepfake_detector.scoring.calibration import calibrated_logit, threshold_logit
from deepfake_detector.scoring.card import DataSet, Doubts, FarFaces
from deepfake_detector.training.carry_over import carried_over
from deepfake_detector.training.data.samples import Label, Sample, Split

SAMPLES = [
    Sample(Path(f"{name}{place}"), Label(place % 2), set=name, split=Split.VAL)
    for name in ("known", "other")
    for place in range(400)
]
REAL = np.array([one.label is Label.REAL for one in SAMPLES])
OTHER = np.array([one.set == "other" for one in SAMPLES])


def _scores(fake, kind=None, distance=None):
    arrays = (None if array is None else np.asarray(array, np.float32) for array in (fake, kind, distance))
    return Scores(**dict(zip(("fake_logit", "kind_logit", "distance"), arrays, strict=True)))


@pytest.fixture
def before():
    rng = np.random.default_rng(0)
    fake = rng.normal(np.where(REAL, -2.0, 2.0), 1.0)
    return _scores(fake, rng.normal(0.0, 2.0, len(fake)), rng.gamma(9.0, 1 / 9.0, len(fake)))


@pytest.fixture
def card(tiny_card):
    sets = (DataSet(name="known", real=1, fake=1, terms="none"),)
    far = FarFaces(limit=1.5, beyond=0.02, fitted_on="these")
    card = tiny_card()
    outputs = card.outputs.model_copy(update={"distance": "distance"})
    return card.model_copy(update={"data": sets, "doubts": Doubts(far=far), "outputs": outputs})


def test_logits_on_another_scale_mean_the_same(card, before):
    after = _scores(3.0 * before.fake_logit - 1.0, 2.0 * before.kind_logit, before.distance)
    found = carried_over(card, before, after, SAMPLES).calibration
    old = card.calibration
    said = calibrated_logit(after.fake_logit, found)
    np.testing.assert_allclose(said, calibrated_logit(before.fake_logit, old), atol=1e-5)
    assert found.kind_temperature == pytest.approx(2.0 * old.kind_temperature)
    assert found.band_below == pytest.approx(old.band_below, abs=1e-6)
    assert [point.logit for point in found.fpr_curve] == pytest.approx([point.logit for point in old.fpr_curve])
    assert found.fitted_on == f"{old.fitted_on}; carried over to this model on 800 validation faces"


def test_a_source_that_would_exceed_a_rate_raises_its_threshold(card, before):
    fake = before.fake_logit.copy()
    suspects = np.flatnonzero(REAL & OTHER)[:40]
    fake[suspects] = np.linspace(1.5, 3.0, 40)
    found = carried_over(card, before, _scores(fake, before.kind_logit), SAMPLES).calibration
    old, said = card.calibration, calibrated_logit(fake, found)
    assert (said[REAL & OTHER] >= threshold_logit(old, 0.05)).mean() > 0.15
    # 200 reals of a source are enough for 5 %; for 1 % all of them count together.
    for rate, sources in ((0.1, (REAL & OTHER, REAL & ~OTHER)), (0.05, (REAL & OTHER, REAL & ~OTHER)), (0.01, (REAL,))):
        for source in sources:
            assert (said[source] >= threshold_logit(found, rate)).mean() <= rate
    # What was rather real than uncertain still is.
    edges = [threshold_logit(one, 0.05) - one.band_below for one in (old, found)]
    assert edges[1] == pytest.approx(edges[0])


def test_false_alarms_that_the_old_model_raises_too_raise_no_threshold(card, before):
    low = tuple(point.model_copy(update={"logit": point.logit - 4.0}) for point in card.calibration.fpr_curve)
    loose = card.model_copy(update={"calibration": card.calibration.model_copy(update={"fpr_curve": low})})
    found = carried_over(loose, before, before, SAMPLES).calibration
    assert (before.fake_logit[REAL] >= low[1].logit).mean() > 0.5
    assert [point.logit for point in found.fpr_curve] == [point.logit for point in low]


def test_the_limit_of_far_faces_is_set_again_on_known_sets(card, before):
    distance = np.where(OTHER, 9.0, 1.2 * before.distance)
    found = carried_over(card, before, _scores(before.fake_logit, None, distance), SAMPLES).doubts.far
    known = distance[~OTHER]
    assert (known > found.limit).mean() == pytest.approx(0.02, abs=0.005)
    assert found.fitted_on == "these; the limit for this model on 400 of the validation split"
    assert carried_over(card, before, _scores(before.fake_logit), SAMPLES).doubts.far == card.doubts.far


def test_what_cannot_be_carried_over_is_said(card, before):
    with pytest.raises(ExportError, match="nothing to do with"):
        carried_over(card, before, _scores(-before.fake_logit), SAMPLES)
    with pytest.raises(ExportError, match="nothing to do with"):
        carried_over(card, before, _scores(np.zeros(800)), SAMPLES)
    few = Scores(before.fake_logit[:30])
    with pytest.raises(DataError, match="15 real and 15 fake"):
        carried_over(card, few, few, SAMPLES[:30])
