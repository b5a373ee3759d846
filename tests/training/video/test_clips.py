"""Clips come from folders or a manifest, each is watched once, and what cannot be used is named."""

import csv

import numpy as np
import pytest

from deepfake_detector.core.errors import DataError
from deepfake_detector.scoring.sequence import OWN_CHANNELS
from deepfake_detector.training.data.samples import Label, Split
from deepfake_detector.training.video.clips import NO_PERSON, read_clips, watch_clips


def counts(samples):
    return {
        (split.value, label.name): sum(one.split is split and one.label is label for one in samples)
        for split in (Split.TRAIN, Split.VAL)
        for label in Label
    }


def write_clips(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_a_split_tree(settings):
    samples = read_clips(settings().data)
    assert counts(samples) == {
        ("train", "REAL"): 40, ("train", "FAKE"): 40, ("val", "REAL"): 24, ("val", "FAKE"): 24,
    }  # fmt: skip


def test_plain_folders_are_split_and_pictures_in_them_are_left_alone(settings, tmp_path):
    names = [f"data/{label}/{index}.webm" for label in ("Real", "Fake") for index in range(10)]
    write_clips(tmp_path, [*names, "data/Real/poster.jpg"])
    samples = read_clips(settings(data={"source": str(tmp_path / "data"), "ratios": [0.5, 0.5, 0.0]}).data)
    assert len(samples) == 20
    assert set(counts(samples).values()) == {5}


def test_clips_of_a_group_stay_together(settings, tmp_path):
    rows = [(f"{index}.mp4", ("real", "fake")[index % 2], f"pair-{index // 4}") for index in range(40)]
    write_clips(tmp_path / "data", [name for name, _, _ in rows])
    with (tmp_path / "data" / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label", "group"), *rows])
    samples = read_clips(settings(data={"source": str(tmp_path / "data")}).data)
    sides = {}
    for sample in samples:
        sides.setdefault(sample.group, set()).add(sample.split)
    assert len(sides) == 10
    assert all(len(side) == 1 for side in sides.values())


def test_a_side_without_a_class_is_an_error(settings, tmp_path):
    write_clips(tmp_path, ["data/Real/0.mp4", "data/Fake/0.mp4"])
    with pytest.raises(DataError, match="both classes are needed in train and val"):
        read_clips(settings(data={"source": str(tmp_path / "data")}).data)


def test_each_clip_is_watched_once(settings, watch, tmp_path):
    config = settings()
    samples, watched = read_clips(config.data)[:6], []

    def counted(path):
        watched.append(path)
        return watch(path)

    first = watch_clips(samples, counted, tmp_path / "seen")
    again = watch_clips(samples, counted, tmp_path / "seen")
    assert watched == [sample.path for sample in samples]
    for one, other in zip(first.all, again.all, strict=True):
        assert one.rows.shape[1] == OWN_CHANNELS + 6
        np.testing.assert_array_equal(one.rows, other.rows)


def test_damaged_clips_and_those_without_a_person_are_named(settings, watch, tmp_path):
    write_clips(tmp_path, [f"data/{label}/{index}.mp4" for label in ("Real", "Fake") for index in range(8)])
    (tmp_path / "data/Real/cut.mp4").write_bytes(b"")
    (tmp_path / "data/Real/nobody.mp4").write_bytes(b"nobody")
    config = settings(data={"source": str(tmp_path / "data"), "ratios": [0.5, 0.5, 0.0]}).data
    found = watch_clips(read_clips(config), watch, tmp_path / "seen")
    assert len(found.all) == 16
    reasons = {path.name: reason for path, reason in found.skipped.items()}
    assert reasons["nobody.mp4"] == NO_PERSON
    assert reasons["cut.mp4"].startswith("damaged: ")
