"""Published data sets: miniature trees of the same shape are read with their labels, groups and official splits."""

import json
import logging
from collections import Counter

import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Kind
from deepfake_detector.training.data.layouts import read_published
from deepfake_detector.training.data.manifest import read_data, read_samples
from deepfake_detector.training.data.samples import Label, Split


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".jpg", ".png"):
        Image.new("RGB", (32, 32), (len(path.name) * 7 % 256, 90, 30)).save(path)
    else:
        path.write_bytes(b"a clip")
    return path


@pytest.fixture
def kaggle(tmp_path):
    for folder in ("Train", "Validation", "Test"):
        for name in ("Real/real_0.jpg", "Fake/fake_0.jpg", "Fake/fake_1.jpg"):
            touch(tmp_path / "Dataset" / folder / name)
    return tmp_path


@pytest.fixture
def faces_140k(tmp_path):
    """As it is unpacked: the pictures two folders deep, the tables beside them."""
    for word in ("train", "valid", "test"):
        lines = [",original_path,id,label,label_str,path"]
        for index, (name, label) in enumerate((("real/31355.jpg", 1), ("fake/0A4MRGQZ.jpg", 0))):
            touch(tmp_path / "real_vs_fake" / "real-vs-fake" / word / name)
            stem = name[5:-4]
            lines.append(f"{index},/kaggle/input/{stem}.jpg,{stem},{label},{name[:4]},{word}/{name}")
        (tmp_path / f"{word}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


PAIRS = {"train": [["071", "054"], ["087", "081"]], "val": [["720", "672"]], "test": [["953", "974"]]}


@pytest.fixture
def ffpp(tmp_path):
    """Four identity pairs, two methods, two qualities of which one is complete, and clips without an official split."""
    for pairs in PAIRS.values():
        for a, b in pairs:
            for name in (a, b):
                touch(tmp_path / "original_sequences/youtube/c23/videos" / f"{name}.mp4")
            for method in ("Deepfakes", "NeuralTextures"):
                for name in (f"{a}_{b}", f"{b}_{a}"):
                    touch(tmp_path / "manipulated_sequences" / method / "c23/videos" / f"{name}.mp4")
    touch(tmp_path / "manipulated_sequences/Face2Face/c40/videos/071_054.mp4")
    touch(tmp_path / "original_sequences/youtube/c23/videos/999.mp4")
    for name, pairs in PAIRS.items():
        (tmp_path / "splits").mkdir(exist_ok=True)
        (tmp_path / "splits" / f"{name}.json").write_text(json.dumps(pairs))
    return tmp_path


@pytest.fixture
def celeb_df(tmp_path):
    for person in range(20):
        for clip in range(2):
            touch(tmp_path / "Celeb-real" / f"id{person}_{clip:04d}.mp4")
            touch(tmp_path / "Celeb-synthesis" / f"id{person}_id{(person + 1) % 20}_{clip:04d}.mp4")
        touch(tmp_path / "YouTube-real" / f"{person:05d}.mp4")
    tested = ["1 YouTube-real/00017.mp4", "1 Celeb-real/id1_0001.mp4", "0 Celeb-synthesis/id1_id2_0001.mp4"]
    (tmp_path / "List_of_testing_videos.txt").write_text("\n".join(tested) + "\n")
    return tmp_path


def test_the_kaggle_set_is_read_from_its_root(kaggle):
    samples = read_data(kaggle)
    assert Counter((sample.split, sample.label) for sample in samples) == {
        (split, label): number for split in Split for label, number in ((Label.REAL, 1), (Label.FAKE, 2))
    }
    assert {(sample.set, sample.kind) for sample in samples} == {("deepfake-and-real-images", None)}


@pytest.mark.parametrize("tables", [True, False])
def test_140k_is_read_by_its_tables_or_its_folders(faces_140k, tables):
    if not tables:
        for table in faces_140k.glob("*.csv"):
            table.unlink()
    samples = read_data(faces_140k)
    assert {(sample.split, sample.path.name, sample.label, sample.kind, sample.method) for sample in samples} == {
        (split, *rest)
        for split in Split
        for rest in (
            ("31355.jpg", Label.REAL, None, ""),
            ("0A4MRGQZ.jpg", Label.FAKE, Kind.GENERATED, "StyleGAN"),
        )
    }


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("9,x,y,1,real,train/real/none.jpg", "lists train/real/none.jpg, but there is no"),
        ("9,x,y,1,maybe,train/real/31355.jpg", "a row without path or label_str"),
    ],
)
def test_tables_that_do_not_fit_the_folders_are_refused(faces_140k, row, words):
    with (faces_140k / "train.csv").open("a") as stream:
        stream.write(row + "\n")
    with pytest.raises(DataError, match=words):
        read_data(faces_140k)


def test_ffpp_has_its_official_splits_and_pairs(ffpp, caplog):
    with caplog.at_level(logging.WARNING):
        samples = read_published(ffpp)
    place = {(sample.path.stem, sample.method): (sample.split, sample.group) for sample in samples}
    assert place["071", ""] == place["054_071", "Deepfakes"] == (Split.TRAIN, "054_071")
    assert place["672_720", "NeuralTextures"] == (Split.VAL, "672_720")
    assert place["953", ""] == (Split.TEST, "953_974")
    assert Counter(sample.split for sample in samples) == {Split.TRAIN: 12, Split.VAL: 6, Split.TEST: 6}
    assert {(sample.label, sample.kind) for sample in samples} == {
        (Label.REAL, None),
        (Label.FAKE, Kind.MANIPULATED),
    }
    assert {sample.set for sample in samples} == {"ffpp_c23"}
    assert "no Face2Face in the quality c23" in caplog.text
    assert "1 files are in no official split" in caplog.text


def test_ffpp_without_the_lists_keeps_the_pairs_for_a_split_by_chance(ffpp):
    (ffpp / "splits" / "val.json").unlink()
    samples = read_published(ffpp)
    assert {sample.split for sample in samples} == {None}
    assert {sample.group for sample in samples if "071" in sample.path.stem} == {"054_071"}
    assert {sample.group for sample in samples if sample.path.stem == "999"} == {"999"}


def test_ffpp_lists_that_are_none_are_refused(ffpp):
    (ffpp / "splits" / "val.json").write_text("{")
    with pytest.raises(DataError, match=r"val\.json is no list of pairs"):
        read_published(ffpp)


def test_frames_that_were_cut_out_already_are_pictures_of_their_clip(tmp_path):
    for folder in ("original_sequences/youtube", "manipulated_sequences/FaceSwap"):
        for clip in ("071", "054") if "original" in folder else ("071_054",):
            for frame in range(2):
                touch(tmp_path / folder / "c23" / "images" / clip / f"{frame:04d}.png")
    samples = read_samples(tmp_path)
    assert Counter((sample.group, sample.label) for sample in samples) == {
        ("054_071", Label.REAL): 4,
        ("054_071", Label.FAKE): 2,
    }


def test_celeb_df_has_its_official_test_clips(celeb_df):
    samples = read_published(celeb_df)
    assert {s.path.stem for s in samples if s.split is Split.TEST} == {"00017", "id1_0001", "id1_id2_0001"}
    groups = {sample.path.stem: sample.group for sample in samples}
    assert groups["id3_0000"] == groups["id3_id4_0000"] == "id3_0000"
    assert groups["00003"] == "00003"


def test_celeb_df_validates_with_people_that_it_does_not_train_on(celeb_df):
    samples = [sample for sample in read_published(celeb_df) if sample.split is not Split.TEST]
    persons = {
        split: {sample.group.split("_")[0] for sample in samples if sample.split is split}
        for split in (Split.TRAIN, Split.VAL)
    }
    assert not persons[Split.TRAIN] & persons[Split.VAL]
    counts = Counter((sample.split, sample.label) for sample in samples)
    assert all(0 < counts[Split.VAL, label] <= counts[Split.TRAIN, label] / 5 for label in Label)


def test_celeb_df_without_its_list_is_not_split(celeb_df):
    (celeb_df / "List_of_testing_videos.txt").unlink()
    assert {sample.split for sample in read_published(celeb_df)} == {None}


def test_clips_must_be_cut_before_anything_is_trained_on_them(celeb_df):
    with pytest.raises(DataError, match="holds clips; cut their faces first: deepfake faces"):
        read_data(celeb_df)


def test_other_folders_are_none_of_them(picture_folder):
    assert read_published(picture_folder()) == ()
