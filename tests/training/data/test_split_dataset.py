"""``deepfake split`` as a function: three sides, nothing torn, nothing overwritten."""

import shutil

import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Kind
from deepfake_detector.training.data import split_dataset
from deepfake_detector.training.data.manifest import Label, Split, count, read_data, read_samples, write_manifest
from deepfake_detector.training.data.samples import Sample
from deepfake_detector.training.data.split_dataset import Mode, SplitOptions, split


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_copies_go_to_three_sides_with_both_classes(picture_folder, tmp_path):
    source = picture_folder(real=20, fake=10)
    summary = split(source, tmp_path / "out", SplitOptions(seed=7))
    assert [(row.split, row.real, row.fake) for row in summary.counts] == [
        (Split.TRAIN, 16, 8),
        (Split.VAL, 2, 1),
        (Split.TEST, 2, 1),
    ]
    found = files(tmp_path / "out")
    assert len(found) == 30
    assert {name.rsplit("/", 1)[0] for name in found} == {
        f"{s}/{c}" for s in ("train", "val", "test") for c in ("Real", "Fake")
    }
    assert len(files(source)) == 30
    assert count(read_data(tmp_path / "out"))[0].real == 16
    one = next(iter((tmp_path / "out" / "val" / "Fake").iterdir()))
    assert one.read_bytes() == (source / "Fake" / one.name).read_bytes()


def test_the_split_is_that_of_reading_the_plain_folder(picture_folder, tmp_path):
    source = picture_folder(real=20, fake=10)
    split(source, tmp_path / "out", SplitOptions(seed=7))
    direct = {(s.split.value, s.label.name.title(), s.path.name) for s in read_data(source, seed=7)}
    assert {tuple(name.split("/")) for name in files(tmp_path / "out")} == direct


def test_the_same_seed_gives_the_same_split_wherever_the_data_lies(picture_folder, tmp_path):
    source = picture_folder(real=20, fake=20)
    shutil.copytree(source, tmp_path / "other name")
    split(source, tmp_path / "a", SplitOptions(seed=1))
    split(tmp_path / "other name", tmp_path / "b", SplitOptions(seed=1))
    split(source, tmp_path / "c", SplitOptions(seed=2))
    assert files(tmp_path / "a") == files(tmp_path / "b") != files(tmp_path / "c")


def test_near_duplicates_stay_on_one_side_over_the_classes(picture_folder, tmp_path):
    source = picture_folder(real=12, fake=12)
    for index in range(12):
        with Image.open(source / "Real" / f"{index:03d}.png") as picture:
            picture.save(source / "Fake" / f"copy{index:03d}.jpg", quality=60)
    summary = split(source, tmp_path / "out", SplitOptions((0.5, 0.25, 0.25)))
    assert (summary.groups, summary.grouped) == (12, 24)
    for side in ("train", "val", "test"):
        reals = {path.stem for path in (tmp_path / "out" / side / "Real").iterdir()}
        copies = {path.stem[4:] for path in (tmp_path / "out" / side / "Fake").glob("copy*")}
        assert reals == copies


def test_links_take_no_space(picture_folder, tmp_path):
    source = picture_folder()
    split(source, tmp_path / "out", SplitOptions(mode=Mode.HARDLINK))
    one = next((tmp_path / "out").rglob("*.png"))
    assert one.stat().st_nlink == 2
    assert any(one.samefile(path) for path in source.rglob("*.png"))


@pytest.mark.parametrize("name", ["listed", "listed.csv"])
def test_a_manifest_only_lists(picture_folder, tmp_path, name):
    source = picture_folder(real=10, fake=10)
    split(source, tmp_path / "below" / name, SplitOptions(mode=Mode.MANIFEST, seed=3))
    listed = read_data(tmp_path / "below" / name)
    expected = {(sample.path.resolve(), sample.split) for sample in read_data(source, seed=3)}
    assert {(sample.path.resolve(), sample.split) for sample in listed} == expected
    assert len(files(tmp_path / "below")) == 1


def test_the_columns_and_groups_of_a_manifest_are_kept(picture_folder, tmp_path):
    source = picture_folder(real=12, fake=12)
    samples = [
        Sample(
            sample.path,
            sample.label,
            Kind.GENERATED if sample.label is Label.FAKE else None,
            "one" if index % 2 else "two",
            "gan" if sample.label is Label.FAKE else "",
            f"g{index % 8}",
        )
        for index, sample in enumerate(read_samples(source))
    ]
    write_manifest(samples, source / "manifest.csv")
    split(source, tmp_path / "out", SplitOptions((0.5, 0.25, 0.25)))
    back = read_data(tmp_path / "out")
    assert len(back) == 24
    assert {(s.kind, s.method) for s in back} == {(Kind.GENERATED, "gan"), (None, "")}
    for group in range(8):
        sides = {sample.split for sample in back if sample.group == f"g{group}"}
        assert len(sides) == 1
    assert len({sample.split for sample in back}) == 3


def test_files_of_one_name_in_two_folders_do_not_collide(picture_folder, tmp_path):
    picture_folder("set/a", real=4, fake=4)
    picture_folder("set/b", real=4, fake=4, seed=50)
    samples = [s for part in ("a", "b") for s in read_samples(tmp_path / "set" / part)]
    write_manifest(samples, tmp_path / "set" / "manifest.csv")
    split(tmp_path / "set", tmp_path / "out")
    assert len([name for name in files(tmp_path / "out") if name.endswith(".png")]) == 16
    assert any(name.startswith("train/Real/a/") for name in files(tmp_path / "out"))


def test_two_folders_of_one_class_do_not_collide(picture_folder, tmp_path):
    source = picture_folder(real=3, fake=3)
    (source / "Fakes").mkdir()
    for seed in range(3):
        Image.new("RGB", (30, 30 + seed), (seed * 90, 0, 255)).save(source / "Fakes" / f"{seed:03d}.png")
    split(source, tmp_path / "out")
    assert len(files(tmp_path / "out")) == 9


def test_what_cannot_be_read_is_named_and_left_out(picture_folder, tmp_path):
    source = picture_folder()
    (source / "Fake" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    summary = split(source, tmp_path / "out")
    assert list(summary.unreadable) == [source / "Fake" / "broken.jpg"]
    assert "broken.jpg" not in {path.name for path in (tmp_path / "out").rglob("*")}
    assert len(files(tmp_path / "out")) == 12


def test_nothing_is_overwritten(picture_folder, tmp_path):
    source = picture_folder()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("dear")
    with pytest.raises(DataError, match="nothing is overwritten"):
        split(source, tmp_path / "out")
    assert files(tmp_path / "out") == ["mine.txt"]
    (tmp_path / "list.csv").write_text("dear")
    with pytest.raises(DataError, match="nothing is overwritten"):
        split(source, tmp_path / "list.csv", SplitOptions(mode=Mode.MANIFEST))
    assert (tmp_path / "list.csv").read_text() == "dear"


def test_an_empty_folder_may_be_filled(picture_folder, tmp_path):
    (tmp_path / "out").mkdir()
    split(picture_folder(), tmp_path / "out")
    assert len(files(tmp_path / "out")) == 12


def test_places_that_make_no_sense_are_refused(picture_folder, tmp_path):
    source = picture_folder()
    with pytest.raises(DataError, match="lies inside of"):
        split(source, source / "split")
    with pytest.raises(DataError, match="needs --mode manifest"):
        split(source, tmp_path / "out.csv")
    with pytest.raises(DataError, match="shares of train, val and test"):
        split(source, tmp_path / "out", SplitOptions((0.8, 0.1, 0.2)))
    assert not (tmp_path / "out").exists()


def test_what_is_split_already_is_refused(picture_folder, tmp_path):
    split(picture_folder(), tmp_path / "out")
    with pytest.raises(DataError, match="is split already"):
        split(tmp_path / "out", tmp_path / "again")


def test_a_failure_half_way_leaves_nothing(picture_folder, tmp_path, monkeypatch):
    source = picture_folder()
    copies = []

    def fail_later(path, target):
        copies.append(target)
        if len(copies) == 5:
            raise KeyboardInterrupt
        return shutil.copyfile(path, target)

    monkeypatch.setattr(split_dataset.shutil, "copy2", fail_later)
    with pytest.raises(KeyboardInterrupt):
        split(source, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]
    assert len(copies) == 5


def test_links_over_file_systems_say_what_to_do(picture_folder, tmp_path, monkeypatch):
    def refuse(self, target):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(split_dataset.Path, "hardlink_to", refuse)
    with pytest.raises(DataError, match="--mode copy works everywhere"):
        split(picture_folder(), tmp_path / "out", SplitOptions(mode=Mode.HARDLINK))
