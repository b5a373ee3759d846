import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.core.types import Doubt
from deepfake_detector.scoring.bundle import load_bundle, write_bundle
from deepfake_detector.scoring.card import DataSet
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.samples import Label, Sample, Split
from deepfake_detector.training.familiarity import Choice, familiarise, fit_known, limit_of
from deepfake_detector.training.predict import score_crops

DIRECTIONS = np.random.default_rng(5).normal(size=(6, 40))


def features(rng, number, shift):
    """Six hidden causes seen in 40 features, on which one never moves; ``shift`` moves the first cause."""
    causes = rng.normal(size=(number, 6))
    causes[:, 0] = 0.1 * causes[:, 0] + shift
    seen = causes @ DIRECTIONS + 0.05 * rng.normal(size=(number, 40))
    return np.column_stack([seen, np.ones(number)]).astype(np.float32)


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(0)
    data = np.concatenate([features(rng, 300, -3.0), features(rng, 300, 3.0)])
    return fit_known(data, ["a/real"] * 300 + ["a/fake"] * 300, dimensions=6)


def test_faces_of_a_known_group_have_a_distance_of_about_one(known):
    rng = np.random.default_rng(1)
    for shift in (-3.0, 3.0):
        assert np.sqrt((known.distance(features(rng, 200, shift)) ** 2).mean()) == pytest.approx(1.0, abs=0.1)


def test_between_the_groups_and_beyond_them_is_far(known):
    """A single Gaussian for all would call the middle of two groups the most familiar place."""
    rng = np.random.default_rng(2)
    near = known.distance(features(rng, 200, 3.0))
    for shift in (0.0, 6.0):
        assert known.distance(features(rng, 200, shift)).min() > 2.0 * np.quantile(near, 0.98)


def test_few_faces_are_refused():
    rng = np.random.default_rng(3)
    with pytest.raises(DataError, match="100 faces of 1 groups"):
        fit_known(features(rng, 100, 0.0), ["a/real"] * 100)
    with pytest.raises(DataError, match=r"0 faces of 0 groups \(of 60\)"):
        fit_known(features(rng, 300, 0.0), [f"{number % 60}" for number in range(300)])


def test_the_limit_leaves_the_promised_share_of_each_set_alike(tmp_path):
    def sample(set_, label):
        return Sample(tmp_path / "x.png", label, set=set_)

    samples = [sample("large", Label.REAL)] * 900 + [sample("small", Label.REAL)] * 100
    samples += [sample("large", Label.FAKE)] * 1000
    distances = np.concatenate([np.ones(900), np.linspace(1.0, 2.0, 100), np.ones(1000)])
    # A quarter of the weight is on the small set, and 2 % of all are 8 % of it.
    assert limit_of(distances, samples) == pytest.approx(1.92, abs=0.02)


@pytest.fixture(scope="module")
def familiar(planted, tiny_model, tiny_card, tmp_path_factory):
    """The tiny model, which knows two sets, with a distance in its graph; the bundle without; the data; its crops."""
    from deepfake_detector.core.types import CropMode

    folder = tmp_path_factory.mktemp("familiar")
    sets = tuple(DataSet(name=name, real=48, fake=48, terms="none") for name in "ab")
    card = tiny_card(crop=CropMode.WHOLE).model_copy(update={"data": sets})
    plain = load_bundle(write_bundle(folder / "plain", tiny_model(), card))
    samples = read_data(planted)
    made = familiarise(plain, samples, folder / "crops", Choice(most=180, in_use=(Doubt.FAR,)))
    return load_bundle(write_bundle(folder / "familiar", *made)), plain, samples, folder / "crops"


def test_a_bundle_learns_what_it_knows(familiar):
    bundle, plain, samples, crops = familiar
    assert bundle.card.outputs.distance == "distance"
    assert bundle.card.doubts.in_use == (Doubt.FAR,)
    assert bundle.card.doubts.far.fitted_on.startswith("180 faces of the training split, the limit on 96 of")
    validation = [one for one in samples if one.split is Split.VAL]
    scored = score_crops(bundle, validation, crops)
    before = score_crops(plain, validation, crops)
    assert scored.scores.fake_logit.tolist() == before.scores.fake_logit.tolist()
    assert (scored.scores.distance > bundle.card.doubts.far.limit).sum() == pytest.approx(0.02 * 96, abs=1)
    bright = np.full((1, 32, 32, 3), 255, np.uint8)
    assert Scorer(bundle).score(bright).distance[0] > bundle.card.doubts.far.limit


def test_it_learns_once_and_from_features(familiar):
    bundle, plain, samples, crops = familiar
    with pytest.raises(ConfigError, match="has a distance already"):
        familiarise(bundle, samples, crops)
    outputs = plain.card.outputs.model_copy(update={"features": None})
    blind = type(plain)(plain.card.model_copy(update={"outputs": outputs}), plain.model)
    with pytest.raises(ConfigError, match="gives no features"):
        familiarise(blind, samples, crops)
