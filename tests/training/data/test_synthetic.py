"""Fakes that are mixed into the batches: whose they are, how they are counted, and what a seed repeats."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropRule, Kind
from deepfake_detector.training.data.augment_config import AugmentConfig
from deepfake_detector.training.data.crops import build_crops
from deepfake_detector.training.data.dataloader import CropLoader, LoaderConfig
from deepfake_detector.training.data.meshes import build_meshes
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.data.sampling import BalanceConfig
from deepfake_detector.training.data.synthetic import SyntheticConfig, SyntheticFakes

RULE = CropRule(size=96)


@pytest.fixture(scope="module")
def crops(tmp_path_factory, astronaut):
    """Three reals of "a", one real of "b", two fakes of "a": the astronaut, each a bit differently lit."""
    folder = tmp_path_factory.mktemp("faces")
    samples = []
    for index, (name, label) in enumerate([("a", 0), ("a", 0), ("a", 0), ("b", 0), ("a", 1), ("a", 1)]):
        file = folder / f"{index}.png"
        Image.fromarray(np.clip(astronaut[:300] * (0.8 + 0.06 * index), 0, 255).astype(np.uint8)).save(file)
        samples.append(Sample(file, Label(label), Kind.GENERATED if label else None, set=name))
    return build_crops(samples, RULE, folder / "cache").crops


@pytest.fixture(scope="module")
def meshes(crops):
    return build_meshes(crops)


def test_meshes_are_computed_once(crops, meshes, monkeypatch):
    assert set(meshes) == {crop.file for crop in crops}
    for crop in crops:
        inside = meshes[crop.file]
        assert inside.shape == (468, 2)
        assert crop.box.x - crop.box.w < inside[:, 0].min() < inside[:, 0].max() < crop.box.x + 2 * crop.box.w

    def never(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr("deepfake_detector.faces.mesh.FaceMesh.points", never)
    again = build_meshes(crops[1:])
    assert all(np.array_equal(again[crop.file], meshes[crop.file]) for crop in crops[1:])
    assert build_meshes([]) == {}


def test_each_real_gives_one_fake_of_its_own_pool(crops, meshes):
    fakes = SyntheticFakes(crops, meshes)
    assert fakes.sources == (0, 1, 2, 3)
    assert [sample.set for sample in fakes.samples] == ["a+synthetic"] * 3 + ["b+synthetic"]
    assert {(sample.label, sample.kind) for sample in fakes.samples} == {(Label.FAKE, Kind.MANIPULATED)}
    only_b = SyntheticFakes(crops, meshes, SyntheticConfig(sets=("b",)))
    assert only_b.sources == (3,)


def test_what_cannot_be_used_is_said(crops, meshes):
    with pytest.raises(DataError, match="no set 'aa'"):
        SyntheticFakes(crops, meshes, SyntheticConfig(sets=("aa",)))
    with pytest.raises(DataError, match="none has a mesh"):
        SyntheticFakes(crops, {}, SyntheticConfig())


def test_a_face_that_leaves_its_picture_is_no_source(crops, meshes):
    cut = {**meshes, crops[0].file: meshes[crops[0].file] - np.float32([crops[0].box.x + crops[0].box.w / 2, 0])}
    assert SyntheticFakes(crops, cut).sources == (1, 2, 3)


def test_the_loader_shows_them_as_fakes_anew_in_each_epoch(crops, meshes):
    synthetic = SyntheticFakes(crops, meshes, SyntheticConfig(disturb_reals=0.0))
    loader = CropLoader(crops, RULE, LoaderConfig(batch_size=4, shuffle=False), synthetic=synthetic)
    assert loader.indices(0).tolist() == list(range(10))
    assert loader.targets.fake.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert loader.targets.kind.tolist() == [0, 0, 0, 0, 1, 1, 0, 0, 0, 0]
    assert loader.targets.kind_weight.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    first, again, later = (
        np.concatenate([images.numpy() for images, _, _ in loader.epoch_dataset(epoch)]) for epoch in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert np.array_equal(first[:6], later[:6])
    for number in range(4):
        assert (first[6 + number] != first[number]).any()
        assert (first[6 + number] != later[6 + number]).any()


def test_reals_get_the_plain_changes_too(crops, meshes):
    always = SyntheticFakes(crops, meshes, SyntheticConfig(disturb_reals=1.0))
    plain = CropLoader(crops, RULE, LoaderConfig(shuffle=False))
    loader = CropLoader(crops, RULE, LoaderConfig(shuffle=False), synthetic=always)
    for index, crop in enumerate(crops):
        changed = (loader.example(index, 0, index) != plain.example(index, 0, index)).any()
        assert changed == (crop.sample.label is Label.REAL)


def test_they_are_balanced_and_paired_with_reals_of_their_set(crops, meshes):
    synthetic = SyntheticFakes(crops, meshes)
    balance = BalanceConfig(balance="source", pairs=True, epoch_size=40, weights={"a/fake": 0.0, "a+synthetic": 1.0})
    config = LoaderConfig(batch_size=4, balance=balance)
    loader = CropLoader(crops, RULE, config, AugmentConfig(), synthetic)
    order = loader.indices(0)
    assert len(order) == 40
    fakes = order[order >= 4]
    assert len(fakes) == 20
    assert (fakes >= 6).all()
    sets = [*(crop.sample.set for crop in crops), *(sample.set.split("+")[0] for sample in synthetic.samples)]
    pairs = order.reshape(-1, 2)
    same = [sets[a] == sets[b] for a, b in pairs]
    assert np.mean(same) > 0.8
    assert loader.example(int(fakes[0]), 0, 0).shape == (96, 96, 3)


def test_a_fake_is_never_made_from_a_fake(crops, meshes):
    relabelled = [replace(crop, sample=replace(crop.sample, label=Label.FAKE)) for crop in crops[:3]]
    assert SyntheticFakes([*relabelled, *crops[3:]], meshes).sources == (3,)
