"""The loader: what is fed is what is served, and a seed and an epoch say all."""

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropMode, CropRule
from deepfake_detector.faces.align import crop
from deepfake_detector.media.image import load_image
from deepfake_detector.training.data.augment_config import AugmentConfig
from deepfake_detector.training.data.crops import CropOptions, build_crops
from deepfake_detector.training.data.dataloader import CropLoader, LoaderConfig
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.data.sampling import BalanceConfig
from deepfake_detector.training.fitdata import WHOLE, Part

RULE = CropRule(size=48)


@pytest.fixture
def cached(tmp_path, make_samples, finder):
    return build_crops(make_samples(4), RULE, tmp_path / "cache", CropOptions(finder, "test")).crops


def batches(loader, epoch, part=WHOLE):
    return [
        (images.numpy(), {k: v.numpy() for k, v in answers.items()}, {k: v.numpy() for k, v in weights.items()})
        for images, answers, weights in loader.epoch_dataset(epoch, part)
    ]


def pictures(loader, epoch):
    return np.concatenate([images for images, _, _ in batches(loader, epoch)])


def test_without_augmentation_the_crop_is_the_one_that_is_served(cached, finder):
    loader = CropLoader(cached, RULE, LoaderConfig(shuffle=False))
    for entry, shown in zip(cached, pictures(loader, 0), strict=True):
        original = load_image(entry.sample.path).pixels
        face = finder.find(original)[0]
        np.testing.assert_array_equal(shown, crop(original, face.box, face.landmarks, RULE))


def test_with_the_shipped_finder_too(tmp_path, astronaut):
    from deepfake_detector.faces.find import find_faces
    from deepfake_detector.faces.mtcnn import MtcnnFinder

    samples = []
    for index, size in enumerate((512, 333, 211)):
        path = tmp_path / f"{size}.png"
        Image.fromarray(astronaut[:, 17 * index :]).resize((size, size)).save(path)
        samples.append(Sample(path, Label.REAL))
    cached = build_crops(samples, CropRule(), tmp_path / "cache").crops
    shown = pictures(CropLoader(cached, CropRule(), LoaderConfig(shuffle=False)), 0)
    finder = MtcnnFinder()
    for sample, image in zip(samples, shown, strict=True):
        original = load_image(sample.path).pixels
        face = find_faces(finder, original)[0]
        np.testing.assert_array_equal(image, crop(original, face.box, face.landmarks, CropRule()))


def test_whole_pictures_are_served_as_they_are_fed(tmp_path, make_samples):
    rule = CropRule(mode=CropMode.WHOLE, size=48)
    cached = build_crops(make_samples(1), rule, tmp_path / "cache").crops
    shown = pictures(CropLoader(cached, rule, LoaderConfig(shuffle=False)), 0)
    for entry, image in zip(cached, shown, strict=True):
        np.testing.assert_array_equal(image, crop(load_image(entry.sample.path).pixels, None, None, rule))
    changed = pictures(CropLoader(cached, rule, LoaderConfig(shuffle=False), AugmentConfig()), 0)
    assert changed.shape == shown.shape
    assert (changed != shown).any()


def test_shapes_types_and_targets(cached):
    loader = CropLoader(cached, RULE, LoaderConfig(batch_size=5, shuffle=False))
    found = batches(loader, 0)
    assert [images.shape for images, _, _ in found] == [(5, 48, 48, 3), (5, 48, 48, 3), (2, 48, 48, 3)]
    assert loader.steps() == 3
    images, answers, weights = found[0]
    assert images.dtype == np.uint8
    # The samples go round: a real, a manipulated fake, a generated fake.
    np.testing.assert_array_equal(answers["fake"], np.float32([0, 1, 1, 0, 1]))
    np.testing.assert_array_equal(answers["kind"], np.float32([0, 0, 1, 0, 0]))
    np.testing.assert_array_equal(weights["fake"], np.float32([1, 1, 1, 1, 1]))
    np.testing.assert_array_equal(weights["kind"], np.float32([0, 1, 1, 0, 1]))
    assert answers["fake"].dtype == weights["kind"].dtype == np.float32


def test_class_weights_give_both_classes_the_same_mass(cached):
    targets = CropLoader(cached, RULE, LoaderConfig(class_weights=True)).targets
    real = targets.fake == 0.0
    assert targets.fake_weight[real].sum() == pytest.approx(targets.fake_weight[~real].sum())
    assert targets.fake_weight.mean() == pytest.approx(1.0)


def test_two_runs_with_one_seed_are_equal_and_another_seed_is_not(cached):
    runs = [pictures(CropLoader(cached, RULE, LoaderConfig(seed=seed), AugmentConfig()), 0) for seed in (7, 7, 8)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_an_epoch_is_the_same_after_a_restart_and_differs_from_the_others(cached):
    config, augment = LoaderConfig(seed=3, batch_size=4), AugmentConfig()
    first = CropLoader(cached, RULE, config, augment)
    epochs = [batches(first, epoch) for epoch in range(3)]
    restarted = batches(CropLoader(cached, RULE, config, augment), 2)
    for (images, answers, _), (images_again, answers_again, _) in zip(epochs[2], restarted, strict=True):
        np.testing.assert_array_equal(images, images_again)
        np.testing.assert_array_equal(answers["fake"], answers_again["fake"])
    assert any((a[0] != b[0]).any() for a, b in zip(epochs[0], epochs[1], strict=True))


def test_the_number_of_workers_and_the_memory_change_nothing(cached):
    configs = [LoaderConfig(seed=1, workers=workers, memory_mb=mb) for workers, mb in ((1, 0), (4, 1), (0, 2048))]
    runs = [pictures(CropLoader(cached, RULE, config, AugmentConfig()), 1) for config in configs]
    np.testing.assert_array_equal(runs[0], runs[1])
    np.testing.assert_array_equal(runs[0], runs[2])


def test_what_fits_in_memory_is_read_once(cached):
    loader = CropLoader(cached, RULE, LoaderConfig(shuffle=False))
    before = pictures(loader, 0)
    for entry in cached:
        entry.file.unlink()
    np.testing.assert_array_equal(pictures(loader, 1), before)


def test_a_shuffled_epoch_shows_each_sample_once(cached):
    loader = CropLoader(cached, RULE, LoaderConfig(seed=5))
    orders = [loader.indices(epoch).tolist() for epoch in range(3)]
    assert all(sorted(order) == list(range(len(cached))) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_balance_reaches_the_batches(cached):
    config = LoaderConfig(batch_size=4, balance=BalanceConfig(balance="class", pairs=True))
    for _, answers, _ in batches(CropLoader(cached, RULE, config), 0):
        assert answers["fake"].mean() == 0.5


def test_the_same_sample_twice_in_an_epoch_is_changed_in_two_ways(cached):
    loader = CropLoader(cached, RULE, LoaderConfig(), AugmentConfig())
    assert (loader.example(0, 0, 1) != loader.example(0, 0, 2)).any()
    np.testing.assert_array_equal(loader.example(0, 0, 1), loader.example(0, 0, 1))


def test_nothing_to_load_and_the_wrong_rule_are_refused(cached):
    with pytest.raises(DataError, match="no crops"):
        CropLoader([], RULE)
    with pytest.raises(DataError, match="'whole'"):
        CropLoader(cached, CropRule(mode=CropMode.WHOLE))


@pytest.mark.parametrize("size", [2, 8])
def test_parts_of_an_epoch_make_the_whole_and_read_nothing_else(cached, size):
    loader = CropLoader(cached, RULE, LoaderConfig(batch_size=8, seed=3), AugmentConfig())
    whole = batches(loader, 1)
    parts = [batches(loader, 1, Part(rank, size)) for rank in range(size)]
    assert {len(part) for part in parts} == {len(whole)} == {2}
    assert min(len(part[-1][0]) for part in parts) == (2 if size == 2 else 0)
    for number, (images, answers, weights) in enumerate(whole):
        for rank, part in enumerate(parts):
            mine, my_answers, my_weights = part[number]
            np.testing.assert_array_equal(mine, images[rank::size])
            np.testing.assert_array_equal(my_answers["fake"], answers["fake"][rank::size])
            np.testing.assert_array_equal(my_weights["kind"], weights["kind"][rank::size])
