"""Reading labelled data: what is understood, and what is refused with which words."""

import csv
import logging
from pathlib import Path

import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Kind
from deepfake_detector.training.data.manifest import (
    Label,
    Sample,
    SetCount,
    Split,
    count,
    fingerprint,
    read_data,
    read_manifest,
    read_samples,
    select,
    write_manifest,
)


def write_table(folder: Path, rows, header="path,label,kind,set,method,group,split"):
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header.split(","))
        writer.writerows(rows)
    return folder / "manifest.csv"


@pytest.fixture
def pictures(tmp_path):
    """``r0.png`` … ``f3.png`` and one with a comma in its name."""
    names = [f"{letter}{index}.png" for letter in "rf" for index in range(4)] + ["a, b.png"]
    for index, name in enumerate(names):
        Image.new("RGB", (20 + index, 20), (index * 20, 90, 10)).save(tmp_path / name)
    return tmp_path


def test_a_manifest_is_read_with_all_its_columns(pictures):
    table = write_table(
        pictures,
        [
            ["a, b.png", "real", "real", "one", "", "g1", "train"],
            ["f0.png", "Fake", "generated", "two", "stylegan", "g2", "Validation"],
            ["f1.png", "fake", "", "two", "", "", "test"],
        ],
    )
    samples = read_data(pictures)
    assert samples == read_data(table)
    assert samples == (
        Sample(pictures / "a, b.png", Label.REAL, None, "one", "", "g1", Split.TRAIN),
        Sample(pictures / "f0.png", Label.FAKE, Kind.GENERATED, "two", "stylegan", "g2", Split.VAL),
        Sample(pictures / "f1.png", Label.FAKE, None, "two", "", "", Split.TEST),
    )


def test_two_columns_are_enough_and_a_byte_order_mark_is_no_harm(pictures):
    (pictures / "manifest.csv").write_text("\ufeffpath,label\nr0.png,real\nf0.png,fake\n", encoding="utf-8")
    assert [sample.split for sample in read_samples(pictures)] == [None, None]


def test_rows_that_are_no_pictures_are_left_out_and_counted(pictures, caplog):
    table = write_table(
        pictures,
        [["r0.png", "real"], ["f0.png", "fake"], ["clip.mp4", "fake"], ["clip2.MP4", "fake"], ["odd", "fake"]],
        "path,label",
    )
    assert read_manifest(table).left_out == {".mp4": 2, "(no suffix)": 1}
    with caplog.at_level(logging.WARNING):
        assert len(read_samples(table)) == 2
    assert "2 .mp4" in caplog.text


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["r0.png", "reel", "", "", "", "", ""], r"line 4: unknown label 'reel' \(did you mean 'real'\?\)"),
        (["r0.png", "", "", "", "", "", ""], "unknown label ''"),
        (["f1.png", "fake", "generatd", "", "", "", ""], "did you mean 'generated'"),
        (["f1.png", "fake", "real", "", "", "", ""], "unknown kind 'real'"),
        (["r0.png", "real", "generated", "", "", "", ""], "a real picture has the kind 'generated'"),
        (["f1.png", "fake", "", "", "", "", "vall"], r"unknown split 'vall' \(did you mean 'val'\?\)"),
        (["", "fake", "", "", "", "", ""], "the path is empty"),
        (["gone.png", "fake", "", "", "", "", ""], r"1 of 3 files are missing: .*gone\.png"),
        (["f0.png", "fake", "", "", "", "", ""], r"listed twice: .*f0\.png"),
    ],
)
def test_a_wrong_row_is_refused_with_its_place(pictures, row, words):
    rows = [["r1.png", "real", "", "", "", "", ""], ["f0.png", "fake", "", "", "", "", ""], row]
    with pytest.raises(DataError, match=words):
        read_samples(write_table(pictures, rows))


def test_many_missing_files_are_counted_and_the_first_are_named(pictures):
    table = write_table(pictures, [[f"gone{index}.png", "real"] for index in range(9)], "path,label")
    with pytest.raises(DataError, match=r"9 of 9 files are missing: .*gone0\.png.* and 4 more"):
        read_samples(table)


def test_a_table_without_a_needed_column_or_of_another_kind_is_refused(pictures):
    with pytest.raises(DataError, match="no column 'label'; its columns are path, class"):
        read_samples(write_table(pictures, [["r0.png", "real"]], "path,class"))
    (pictures / "manifest.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(DataError, match="UTF-8"):
        read_samples(pictures)
    with pytest.raises(DataError, match=r"there is no .*nowhere"):
        read_samples(pictures / "nowhere")


def test_a_half_filled_split_column_is_refused(pictures):
    table = write_table(pictures, [["r0.png", "real", "train"], ["f0.png", "fake", ""]], "path,label,split")
    with pytest.raises(DataError, match="1 of 2 rows have no split"):
        read_data(table)


@pytest.mark.parametrize(
    "names", [("Train", "Validation", "Test"), ("train", "val", "test"), ("training", "valid", "TEST")]
)
def test_a_split_tree_is_taken_as_it_is(picture_folder, tmp_path, names):
    for index, name in enumerate(names):
        picture_folder(f"tree/{name}", real=2, fake=3, seed=100 * index)
    rows = count(read_data(tmp_path / "tree"))
    assert rows == tuple(SetCount("tree", split, 2, 3) for split in (Split.TRAIN, Split.VAL, Split.TEST))


def test_plain_folders_are_split_the_same_each_time(picture_folder):
    folder = picture_folder(real=20, fake=30)
    (folder / "Real" / "notes.txt").write_text("no picture")
    samples = read_data(folder, seed=4)
    assert count(samples) == (
        SetCount("set", Split.TRAIN, 16, 24),
        SetCount("set", Split.VAL, 2, 3),
        SetCount("set", Split.TEST, 2, 3),
    )
    assert read_data(folder, seed=4) == samples
    assert read_data(folder, seed=5) != samples
    assert count(read_data(folder, ratios=(0.5, 0.5, 0.0)))[1] == SetCount("set", Split.VAL, 10, 15)


def test_pictures_in_folders_inside_of_a_class_are_found(picture_folder):
    folder = picture_folder(real=1, fake=1)
    inner = folder / "Fake" / "method" / "deep"
    inner.mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(inner / "x.JPG", "JPEG")
    assert sum(sample.label is Label.FAKE for sample in read_samples(folder)) == 2


def test_a_missing_class_names_the_near_miss(tmp_path):
    for name in ("Reel", "Fake"):
        (tmp_path / "set" / name).mkdir(parents=True)
    with pytest.raises(DataError, match=r"no folder 'Real' \(did you mean 'Reel'\?\).*it has the folders Fake, Reel"):
        read_samples(tmp_path / "set")


def test_an_empty_class_is_refused(picture_folder):
    with pytest.raises(DataError, match="has no real pictures"):
        read_samples(picture_folder(real=0))


def test_an_empty_class_in_one_split_is_refused(picture_folder, tmp_path):
    picture_folder("tree/train")
    picture_folder("tree/test", fake=0)
    with pytest.raises(DataError, match=r"test has no fake pictures"):
        read_samples(tmp_path / "tree")


def test_sets_are_chosen_and_left_out_by_name():
    samples = [
        Sample(Path(f"{name}{split}"), Label.REAL, set=name, split=split)
        for name in ("utk", "sd21", "web")
        for split in Split
    ]
    assert {sample.set for sample in select(samples, sets=["utk", "web"])} == {"utk", "web"}
    assert {sample.set for sample in select(samples, exclude_sets=["utk"])} == {"sd21", "web"}
    assert len(select(samples, ["utk"], splits=[Split.TRAIN, Split.VAL])) == 2
    assert select(samples) == tuple(samples)
    with pytest.raises(DataError, match=r"no set 'utkk' \(did you mean 'utk'\?\); the sets are sd21, utk, web"):
        select(samples, exclude_sets=["utkk"])


def test_what_is_written_is_read_back(pictures, tmp_path):
    table = write_table(
        pictures,
        [
            ["a, b.png", "real", "", "one", "", "g1", "train"],
            ["f0.png", "fake", "manipulated", "two", "m", "", "val"],
        ],
    )
    samples = read_samples(table)
    (tmp_path / "elsewhere").mkdir()
    write_manifest(samples, tmp_path / "elsewhere" / "copy.csv")
    back = read_samples(tmp_path / "elsewhere" / "copy.csv")
    assert [(s.path.resolve(), s.label, s.kind, s.set, s.method, s.group, s.split) for s in back] == [
        (s.path.resolve(), s.label, s.kind, s.set, s.method, s.group, s.split) for s in samples
    ]


def test_the_fingerprint_changes_with_what_matters_and_not_with_the_order(pictures, tmp_path):
    samples = [
        Sample(pictures / f"{letter}{index}.png", Label(letter == "f"), split=Split.TRAIN)
        for letter in "rf"
        for index in range(4)
    ]
    first = fingerprint(samples)
    assert len(first) == 64
    assert fingerprint(samples[::-1]) == first
    assert fingerprint(samples[1:]) != first
    assert fingerprint([Sample(samples[0].path, Label.FAKE, split=Split.TRAIN), *samples[1:]]) != first
    assert fingerprint([Sample(samples[0].path, Label.REAL, split=Split.VAL), *samples[1:]]) != first
    with samples[0].path.open("ab") as stream:
        stream.write(b"more")
    assert fingerprint(samples) != first


def test_the_fingerprint_does_not_hang_on_where_the_data_lies(picture_folder, tmp_path):
    folder = picture_folder()
    before = fingerprint(read_samples(folder))
    folder.rename(tmp_path / "moved")
    assert fingerprint(read_samples(tmp_path / "moved")) == before


@pytest.mark.shared_data
def test_the_shared_sets_are_read(shared_data):
    samples = read_data(shared_data)
    rows = {(row.set, row.split): (row.real, row.fake) for row in count(samples)}
    assert rows[("ffhq_stylegan", Split.TRAIN)] == (880, 879)
    assert rows[("studio_gan", Split.TEST)] == (0, 200)
    assert "ffpp_c23" not in {sample.set for sample in samples}
    assert {sample.kind for sample in samples if sample.label is Label.REAL} == {None}


def test_paths_may_be_absolute_or_lead_out_of_the_folder(pictures, monkeypatch):
    (pictures / "lists").mkdir()
    write_table(pictures / "lists", [[str(pictures / "r0.png"), "real"], ["../f0.png", "fake"]], "path,label")
    monkeypatch.chdir(pictures)
    samples = read_samples(Path("lists"))
    assert [sample.path.absolute() for sample in samples] == [pictures / "r0.png", pictures / "f0.png"]
    assert len(fingerprint(samples)) == 64
