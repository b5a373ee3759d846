"""The probe: finds a planted shortcut and names it, passes clean crops, and learns no picture by heart."""

import csv
import json
from collections import Counter
from dataclasses import astuple, fields
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Box, CropMode, CropRule, Landmarks
from deepfake_detector.faces.align import Jitter, whole_matrix
from deepfake_detector.faces.mesh import FaceMesh
from deepfake_detector.training.config import load_config
from deepfake_detector.training.data.crops import CachedCrop
from deepfake_detector.training.data.dataloader import CropLoader, LoaderConfig, Shown
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.probe import (
    LIMIT,
    ProbeOptions,
    Trivia,
    as_json,
    judge,
    probe,
    shown_places,
    trivia_of,
    verdict,
)
from deepfake_detector.training.data.samples import Label, Sample, class_of
from deepfake_detector.training.data.synthetic import SyntheticFakes
from deepfake_detector.training.intervals import Resampling
from deepfake_detector.training.prepare import chosen_samples

RULE = CropRule(CropMode.WHOLE, 64)
USUAL = Trivia(sharpness=2.3, high_frequency=-2.6, brightness=115.0, saturation=0.36, padding=0.02, scale=1.0)
SPREAD = Trivia(sharpness=0.3, high_frequency=0.2, brightness=20.0, saturation=0.1, padding=0.01, scale=0.2)


def loader_of(number, groups=None):
    """A loader of ``number`` pictures that are never read, every second one a fake."""
    names = groups or [""] * number
    samples = [Sample(Path(f"{i}.png"), Label(i % 2), set="photos", group=names[i]) for i in range(number)]
    crops = [CachedCrop(one.path, one, Box(0, 0, 9, 9), None, True, 9, 9) for one in samples]
    return CropLoader(crops, RULE, LoaderConfig(shuffle=False))


def drawn(rng, **more):
    """The features of a usual crop, and so much more of some of them."""
    noise = rng.normal(size=6) * astuple(SPREAD)
    return Trivia(*(np.array(astuple(USUAL)) + noise + [more.get(field.name, 0.0) for field in fields(Trivia)]))


def judged(fakes_have, number=300, resamples=60):
    rng = np.random.default_rng(0)
    loader = loader_of(number)
    trivia = [drawn(rng, **(fakes_have if index % 2 else {})) for index in range(number)]
    places = [(index, 0, index) for index in range(number)]
    return judge(loader, places, trivia, ProbeOptions(number, Resampling(resamples)), "f" * 64)


def test_a_planted_shortcut_is_found_and_named():
    found = judged({"brightness": 30.0})
    assert not found.clean
    assert found.auc.low > LIMIT
    assert found.strongest.feature.name == found.most_missed.feature.name == "brightness"
    assert found.strongest.fake > found.strongest.real + 15.0
    assert found.most_missed.without < LIMIT
    assert "Shortcut" in verdict(found)
    assert "brightness tells most alone" in verdict(found)


def test_of_two_features_that_say_the_same_neither_is_missed():
    found = judged({"sharpness": -0.9, "high_frequency": -0.6})
    by_name = {carrier.feature.name: carrier for carrier in found.carriers}
    for name in ("sharpness", "high_frequency"):
        assert by_name[name].alone.value > 0.85
        assert by_name[name].without > 0.85
    assert found.strongest.feature.name in ("sharpness", "high_frequency")
    assert found.strongest.fake < found.strongest.real


def test_clean_crops_pass():
    found = judged({}, 500)
    assert found.clean
    assert verdict(found).startswith("No shortcut")
    assert (found.real, found.fake, found.groups) == (250, 250, 500)
    assert {name: pool.crops for name, pool in found.pools.items()} == {"photos/fake": 250, "photos/real": 250}
    assert found.pools["photos/real"].medians.brightness == pytest.approx(115.0, abs=5.0)


def test_pictures_that_are_shown_often_are_not_learnt_by_heart():
    rng = np.random.default_rng(1)
    loader = loader_of(80)
    own = [drawn(rng) for _ in range(80)]  # each picture has a look of its own, and all of its crops have it
    places = [(index, epoch, index) for epoch in range(10) for index in range(80)]
    found = judge(loader, places, [own[index] for index, *_ in places], ProbeOptions(800, Resampling(20)), "")
    assert found.groups == 80
    assert found.auc.value < 0.65


def test_too_few_sources_are_refused():
    with pytest.raises(DataError, match=r"too few to probe: 19 independent real"):
        judged({}, 38)
    rng = np.random.default_rng(2)
    loader = loader_of(100, ["one"] * 100)
    with pytest.raises(DataError, match="1 independent real and 1 fake"):
        judge(loader, [(i, 0, i) for i in range(100)], [drawn(rng) for _ in range(100)], ProbeOptions(), "")


def test_the_features_of_a_crop(draw):
    pixels = np.full((64, 64, 3), (200, 100, 100), np.uint8)
    flat = trivia_of(Shown(pixels, whole_matrix(128, 128, RULE), 128, 128))
    assert flat.scale == pytest.approx(2.0)
    assert flat.padding == 0.0
    assert flat.saturation == pytest.approx(0.5, abs=0.01)
    assert flat.brightness == pytest.approx(130, abs=1.0)
    moved = trivia_of(Shown(pixels, whole_matrix(128, 128, RULE, Jitter(zoom=0.5, shift_x=0.75)), 128, 128))
    assert moved.scale == pytest.approx(1.0)
    assert moved.padding == pytest.approx(0.25, abs=0.02)  # from 80 to 144 of 128
    rough = trivia_of(Shown(draw(0, 64, 64), whole_matrix(64, 64, RULE), 64, 64))
    assert rough.sharpness > flat.sharpness
    assert rough.high_frequency > flat.high_frequency


def test_the_crops_are_those_of_the_first_epochs():
    crops = loader_of(5).crops
    loader = CropLoader(crops, RULE, LoaderConfig(seed=4))
    places = shown_places(loader, 12)
    assert [epoch for _, epoch, _ in places] == [0] * 5 + [1] * 5 + [2] * 2
    assert [place for _, _, place in places] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert [index for index, epoch, _ in places if epoch == 1] == loader.indices(1).tolist()


def test_a_synthesised_fake_belongs_to_its_photo(astronaut, tmp_path):
    box, marks = Box(53.0, 45.0, 105.0, 125.0), Landmarks((85, 90), (127, 88), (107, 115), (88, 132), (128, 130))
    cut = np.ascontiguousarray(astronaut[20:240, 120:340])
    crops = []
    for index, label in enumerate((Label.FAKE, Label.REAL, Label.REAL)):
        file = tmp_path / f"{index}.png"
        cv2.imwrite(str(file), cut[..., ::-1])
        crops.append(CachedCrop(file, Sample(file, label, set="photos"), box, marks, False, 220, 220))
    mesh, _ = FaceMesh(1).points(cut, box, marks)
    loader = CropLoader(crops, CropRule(size=64), synthetic=SyntheticFakes(crops, {c.file: mesh for c in crops}))
    assert [loader.source(index) for index in range(5)] == [*crops, crops[1], crops[2]]
    assert np.array_equal(loader.shown(3, 0, 0).pixels, loader.example(3, 0, 0))


def test_all_figures_are_in_the_json():
    found = judged({"padding": 0.01})
    content = json.loads(json.dumps(as_json(found, "a.yaml", 3, ["train.epochs=1"]), allow_nan=False))
    assert (content["config"], content["seed"], content["changed"]) == ("a.yaml", 3, ["train.epochs=1"])
    assert content["crops"] == content["real"] + content["fake"] == 300
    assert content["auc"]["value"] == pytest.approx(found.auc.value, rel=1e-3)
    assert list(content["features"]) == [field.name for field in fields(Trivia)]
    assert content["pools"]["photos/real"]["crops"] == found.real
    assert content["clean"] is (content["auc"]["value"] <= content["limit"])


ROOT = Path(__file__).parents[3]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["generated", "manipulated"])
def test_the_configs_of_the_shipped_model_have_no_clear_shortcut(shared_data, name, tmp_path, monkeypatch):
    """On some pictures of each set; `deepfake probe` on all of them is in benchmarks/results."""
    monkeypatch.chdir(ROOT)
    whole = load_config(ROOT / "configs" / f"{name}.yaml")
    rows, taken = [["path", "label", "set", "group", "split"]], Counter()
    for sample in chosen_samples(read_data(shared_data / "manifest.csv"), whole.data):
        taken[class_of(sample), sample.split] += 1
        if taken[class_of(sample), sample.split] <= (40 if sample.split == "train" else 24):
            rows.append([sample.path, sample.label.name.lower(), sample.set, sample.group, sample.split])
    with (tmp_path / "some.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    changes = [f"data.source={tmp_path / 'some.csv'}", f"data.cache={tmp_path / 'cache'}", "data.exclude=[]"]
    found = probe(load_config(ROOT / "configs" / f"{name}.yaml", changes), ProbeOptions(400, Resampling(200)))
    assert found.auc.low <= LIMIT, verdict(found)
