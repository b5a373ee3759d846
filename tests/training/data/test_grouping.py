"""Near-duplicates and the dealing out of groups."""

import time

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.grouping import close_pairs, hash_pictures, near_duplicates, stratify


def joined(pairs, size):
    groups = {index: {index} for index in range(size)}
    for a, b in pairs:
        both = groups[a] | groups[b]
        for member in both:
            groups[member] = both
    return {frozenset(group) for group in groups.values()}


@pytest.mark.parametrize("distance", [0, 1, 4, 7, 12])
def test_bucketed_search_finds_the_groups_of_the_exhaustive_one(distance):
    rng = np.random.default_rng(distance)
    bases = rng.integers(0, 2**64, 60, dtype=np.uint64)
    hashes = []
    for base in bases:
        for flips in (0, distance // 2, distance, distance + 1, distance + 3):
            bits = rng.choice(64, flips, replace=False).astype(np.uint64)
            hashes.append(base ^ np.bitwise_or.reduce(np.uint64(1) << bits, initial=np.uint64(0)))
    hashes = np.array(hashes)
    distances = np.array([[int(a ^ b).bit_count() for b in hashes.tolist()] for a in hashes.tolist()])
    all_pairs = [(int(a), int(b)) for a, b in np.argwhere(distances <= distance) if a < b]
    found = close_pairs(hashes, distance)
    assert all(distances[a, b] <= distance for a, b in found)
    assert joined(found, len(hashes)) == joined(all_pairs, len(hashes))


def test_many_equal_hashes_are_linked_once_each():
    hashes = np.zeros(5000, dtype=np.uint64)
    assert len(close_pairs(hashes, 4)) == 4999
    assert close_pairs(np.zeros(0, dtype=np.uint64), 4) == []


def test_a_hundred_thousand_hashes_take_seconds():
    hashes = np.random.default_rng(0).integers(0, 2**64, 100_000, dtype=np.uint64)
    hashes[1::1000] = hashes[::1000] ^ np.uint64(0b101)
    start = time.perf_counter()
    assert len({frozenset(pair) for pair in close_pairs(hashes, 4)}) == 100
    assert time.perf_counter() - start < 60


def test_copies_of_a_picture_are_near_duplicates_and_others_are_not(tmp_path, draw):
    paths = []
    for seed in range(8):
        paths.append(tmp_path / f"{seed}.png")
        Image.fromarray(draw(seed, 256, 256)).save(paths[-1])
    picture = Image.fromarray(draw(3, 256, 256))
    for name, changed, options in (
        ("again.jpg", picture, {"quality": 40}),
        ("small.png", picture.resize((128, 128)), {}),
        ("bright.png", picture.point(lambda level: min(255, level + 12)), {}),
    ):
        paths.append(tmp_path / name)
        changed.save(paths[-1], **options)
    groups = near_duplicates(paths, [""] * len(paths)).groups
    assert len(set(groups)) == 8
    assert groups[3] == groups[8] == groups[9] == groups[10]


def test_groups_of_the_data_are_joined_with_what_looks_alike(tmp_path, draw):
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for path, seed in zip(paths, (1, 2, 2, 3, 4), strict=True):
        Image.fromarray(draw(seed, 128, 128)).save(path)
    groups = near_duplicates(paths, ["person", "", "other", "other", "person"]).groups
    assert groups[0] == groups[4]
    assert groups[1] == groups[2] == groups[3]
    assert groups[0] != groups[1]


def test_an_unreadable_picture_is_named_and_keeps_its_own_group(tmp_path, draw):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.fromarray(draw(1)).save(good)
    bad.write_bytes(good.read_bytes()[:200])
    near = near_duplicates([good, bad], ["", ""])
    assert list(near.unreadable) == [bad]
    assert near.unreadable[bad].startswith("damaged")
    assert len(set(near.groups)) == 2
    steps = []
    hash_pictures([good, bad], lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]


def test_shares_are_met_in_every_class_and_groups_are_whole():
    rng = np.random.default_rng(1)
    names = [f"{index:04d}" for index in range(1000)]
    strata = ["real"] * 700 + ["fake"] * 300
    groups = [str(group) for group in rng.integers(0, 600, 1000)]
    sides = np.array(stratify(names, strata, groups, (0.7, 0.2, 0.1), seed=3))
    for stratum, total in (("real", 700), ("fake", 300)):
        shares = np.bincount(sides[np.array(strata) == stratum], minlength=3) / total
        np.testing.assert_allclose(shares, [0.7, 0.2, 0.1], atol=0.01)
    for group in set(groups):
        assert len(set(sides[np.array(groups) == group])) == 1


def test_the_order_of_the_list_does_not_matter():
    names = [f"{index:03d}" for index in range(90)]
    strata = ["real" if index % 3 else "fake" for index in range(90)]
    groups = [str(index // 2) for index in range(90)]
    sides = dict(zip(names, stratify(names, strata, groups, (0.8, 0.1, 0.1), 5), strict=True))
    order = np.random.default_rng(0).permutation(90)
    shuffled = stratify(
        [names[i] for i in order], [strata[i] for i in order], [groups[i] for i in order], (0.8, 0.1, 0.1), 5
    )
    assert {names[i]: side for i, side in zip(order, shuffled, strict=True)} == sides


def test_a_share_of_nothing_gets_nothing():
    sides = stratify(["a", "b", "c"], ["x"] * 3, ["0", "1", "2"], (1.0, 0.0, 0.0), 0)
    assert sides == [0, 0, 0]


@pytest.mark.parametrize(
    "ratios", [(0.8, 0.1, 0.2), (1.2, -0.1, -0.1), (0.0, 0.5, 0.5), (float("nan"), 0.5, 0.5), (0.5, 0.5)]
)
def test_ratios_that_are_no_shares_are_refused(ratios):
    with pytest.raises(DataError, match="shares of train, val and test"):
        stratify(["a"], ["x"], ["0"], ratios, 0)
