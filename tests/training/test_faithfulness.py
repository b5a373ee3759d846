import numpy as np
import pytest

from deepfake_detector.core.types import CropRule, Kind
from deepfake_detector.explain.maps import blurred
from deepfake_detector.training.data.crops import CachedCrop
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.faithfulness import (
    FIGURES,
    Marks,
    Suspects,
    compare,
    gaussian_map,
    mark,
    mean_of,
    overlap,
    points_into,
    random_maps,
    rank_correlations,
    removal,
    sanity,
)
from deepfake_detector.training.masked_fakes import COMPOSITE, HULLS, OFF_CENTER, composites, synthesised
from deepfake_detector.training.models.joined import Mixture, SoftMaximum, joined_network
from deepfake_detector.training.models.network import HeadSpec, build_network
from deepfake_detector.training.models.spec import BackboneSpec

SIZE = 56


def _logits(crops):
    """Looks at red in the upper left eighth of the crop only."""
    return crops[:, :20, :20, 0].mean(axis=(1, 2)).astype(np.float32) / 20.0


def _crop():
    crop = np.random.default_rng(0).integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
    crop[:20, :20, 0] = 250
    return crop


def _hot(row, column):
    values = np.zeros((7, 7), np.float32)
    values[row : row + 3, column : column + 3] = 1.0
    return values


MASK = np.zeros((SIZE, SIZE), bool)
MASK[:20, :20] = True


def test_the_true_map_beats_a_wrong_one_in_every_figure():
    crops, masks = [_crop()] * 2, [MASK] * 2
    suspects = Suspects.of(_logits, crops, masks)
    true, wrong = (mark(_logits, suspects, np.stack([values] * 2)) for values in (_hot(0, 0), _hot(4, 4)))
    for name in FIGURES:
        assert (getattr(true, name) > getattr(wrong, name)).all(), name
    assert true.pointing.tolist() == [1.0, 1.0]
    assert wrong.pointing.tolist() == [0.0, 0.0]


def test_without_a_mask_two_figures_are_unknown():
    marks = mark(_logits, Suspects.of(_logits, [_crop()], [None]), _hot(0, 0)[None])
    assert np.isnan(marks.pointing).all()
    assert np.isnan(marks.iou).all()
    assert set(compare(marks, {}, ["a"])) == {"deletion", "insertion", "both"}


def test_deletion_and_insertion_of_some_are_measured():
    suspects = Suspects.of(_logits, [_crop()] * 5, [MASK] * 5, curves=2)
    marks = mark(_logits, suspects, np.stack([_hot(0, 0)] * 5))
    assert np.isfinite(marks.both).tolist() == [True, False, False, False, True]
    assert marks.pointing.tolist() == [1.0] * 5


def test_deletion_and_insertion_are_falls_and_rises_of_the_logit():
    crop = _crop()
    fine = np.zeros((SIZE, SIZE), np.float32)
    fine[:20, :20] = 1.0
    ends = tuple(_logits(np.stack([crop, blurred(crop)])))
    deletion, insertion = removal(_logits, crop, ends, fine)
    assert deletion > 0.0
    assert insertion > 0.0
    assert removal(lambda crops: np.zeros(len(crops), np.float32), crop, (0.0, 0.0), fine) == (0.0, 0.0)


def test_overlap_takes_as_many_pixels_as_were_altered():
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    mask = np.zeros((4, 4), bool)
    mask[3] = True
    assert overlap(values, mask) == 1.0
    assert overlap(-values, mask) == 0.0
    mask[2, 3], mask[3, 0] = True, False
    assert overlap(values, mask) == pytest.approx(3 / 5)


def test_pointing_shares_a_point_among_equals():
    mask = np.array([[True, False], [False, False]])
    assert points_into(np.array([[1.0, 1.0], [0.0, 0.0]], np.float32), mask) == 0.5


def test_the_gaussian_looks_at_the_middle():
    values = gaussian_map(7)
    assert values.argmax() == 24
    assert values[0, 0] < 0.3


def test_random_maps_follow_their_seed():
    first, again, other = (random_maps(2, 7, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert not (first == other).any()
    marks = mark(_logits, Suspects.of(_logits, [_crop()] * 2, [MASK] * 2), first)
    assert (marks.iou < 0.7).all()


def test_a_difference_that_is_always_there_has_an_interval_clear_of_zero():
    rng = np.random.default_rng(0)
    low = rng.normal(0.0, 0.1, 40)
    marks = [Marks(*(low + up for _ in range(4))) for up in (1.0, 0.0)]
    row = compare(marks[0], {"none": marks[1]}, [str(index) for index in range(40)])["iou"]
    assert row["value"].value == pytest.approx(1.0, abs=0.1)
    assert row["more than none"].value == pytest.approx(1.0)
    assert mean_of(low, [str(index) for index in range(40)]).low < 0.0 < mean_of(low + 0.001, ["a", "b"] * 20).value + 1


def test_rank_correlation_is_one_for_the_same_order_and_nought_for_a_flat_map():
    maps = np.random.default_rng(0).random((2, 3, 3)).astype(np.float32)
    assert rank_correlations(maps, np.exp(maps)) == pytest.approx([1.0, 1.0])
    assert rank_correlations(maps, -maps) == pytest.approx([-1.0, -1.0])
    assert rank_correlations(maps, np.ones_like(maps)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("branches", [1, 2])
def test_sanity_checks_destroy_the_map_step_by_step(branches):
    import keras

    keras.utils.set_random_seed(1)
    network = build_network("mobilenetv2", BackboneSpec(size=96, alpha=0.35), HeadSpec())
    if branches == 2:
        other = build_network("mobilenetv2", BackboneSpec(size=96, alpha=0.35), HeadSpec())
        fake = SoftMaximum(np.diag([1.0, 1.5]), np.array([0.1, -0.1]))
        network = joined_network([network, other], fake, Mixture(np.array([1.0, -1.0]), 0.0))
    before = network.get_weights()
    crops = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 3), dtype=np.uint8)
    found = sanity(network, crops, seed=0, shares=(0.5,))
    assert list(found.weights) == ["head", "last 50% of the layers", "everything"]
    assert found.labels.shape == found.others.shape == (6,)
    assert np.abs(found.others).max() <= 1.0
    assert all(np.abs(values).mean() < 0.99 for values in found.weights.values())
    assert all((old == new).all() for old, new in zip(before, network.get_weights(), strict=True))


@pytest.fixture
def cached(astronaut, tmp_path):
    """The astronaut as two reals and as a composite whose name tells that nose and mouth were edited, with a mesh."""
    import cv2

    from deepfake_detector.faces.mesh import FaceMesh
    from deepfake_detector.faces.mtcnn import MtcnnFinder

    (face,) = MtcnnFinder(threads=1).find(astronaut)
    mesh, _ = FaceMesh(threads=1).points(astronaut, face.box, face.landmarks)
    crops, meshes = [], {}
    for name, label in (("a.png", Label.REAL), ("b.png", Label.REAL), ("easy_1_0011.png", Label.FAKE)):
        path = tmp_path / name
        cv2.imwrite(str(path), cv2.cvtColor(astronaut, cv2.COLOR_RGB2BGR))
        kind = Kind.MANIPULATED if label is Label.FAKE else None
        sample = Sample(path, label, kind, "set", "", name, None)
        crops.append(CachedCrop(path, sample, face.box, face.landmarks, False, 512, 512))
        meshes[path] = mesh
    return crops, meshes


RULE = CropRule(size=112, ratio=1.1)


def test_synthesised_fakes_differ_where_their_mask_says(cached):
    crops, meshes = cached
    fakes = list(synthesised(crops, meshes, RULE, 8, seed=0))
    again = list(synthesised(crops, meshes, RULE, 8, seed=0))
    assert len(fakes) == 8
    assert {fake.method for fake in fakes} >= {"part_swap", OFF_CENTER}
    for fake, same in zip(fakes, again, strict=True):
        assert (fake.crop == same.crop).all()
        assert fake.crop.shape == (112, 112, 3)
        assert 0.001 < fake.mask.mean() < 0.7
        assert fake.group in {"a.png", "b.png"}


def test_an_off_centre_patch_is_off_the_centre_and_nowhere_else_is_anything_changed(cached):
    crops, meshes = cached
    fakes = [fake for fake in synthesised(crops, meshes, RULE, 8, seed=1) if fake.method == OFF_CENTER]
    from deepfake_detector.faces.align import crop
    from deepfake_detector.training.data.crops import read_cached

    original = crop(read_cached(crops[0]), crops[0].box, crops[0].landmarks, RULE).astype(int)
    for fake in fakes:
        middle = np.argwhere(fake.mask).mean(axis=0)
        assert np.linalg.norm(middle - 55.5) > 112 * 0.15
        change = np.abs(fake.crop - original).sum(axis=2)
        assert change[fake.mask].mean() > 5.0 * change[~fake.mask].mean()


def test_a_hull_is_pointed_at_by_its_border(cached):
    crops, meshes = cached
    (hull,) = [fake for fake in synthesised(crops, meshes, RULE, 4, seed=2) if fake.method in HULLS]
    middle = hull.mask[45:67, 45:67]
    assert hull.mask.any()
    assert middle.mean() < hull.mask.mean() + 0.5


def test_composites_are_masked_by_their_names(cached):
    crops, meshes = cached
    (fake,) = composites(crops, meshes, RULE)
    assert (fake.method, fake.group) == (COMPOSITE, "easy_1_0011.png")
    rows = np.argwhere(fake.mask)[:, 0]
    assert rows.min() > 112 * 0.25  # below the eyes
