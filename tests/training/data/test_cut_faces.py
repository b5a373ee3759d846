"""``deepfake faces`` as a function."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropRule
from deepfake_detector.faces.align import crop
from deepfake_detector.media.image import load_image
from deepfake_detector.training.data.cut_faces import CutOptions, CutSummary, cut_faces
from deepfake_detector.training.data.manifest import read_data, read_samples, write_manifest
from deepfake_detector.training.data.samples import Split


def test_folders_are_kept_and_the_faces_are_what_a_network_sees(picture_folder, tmp_path, finder):
    source = picture_folder(real=2, fake=3)
    summary = cut_faces(source, tmp_path / "out", CutOptions(size=64, finder=finder))
    assert summary == CutSummary(5, 0, ())
    for path in source.rglob("*.png"):
        pixels = load_image(path).pixels
        face = finder.find(pixels)[0]
        cut = load_image(tmp_path / "out" / path.relative_to(source)).pixels
        np.testing.assert_array_equal(cut, crop(pixels, face.box, face.landmarks, CropRule(size=64, ratio=1.1)))


def test_without_a_size_the_pixels_are_those_of_the_picture(picture_folder, tmp_path, finder):
    source = picture_folder(real=1, fake=1)
    cut_faces(source, tmp_path / "out", CutOptions(finder=finder))
    pixels = load_image(source / "Real" / "000.png").pixels
    cut = load_image(tmp_path / "out" / "Real" / "000.png").pixels
    box = finder.find(pixels)[0].box
    height, width = cut.shape[:2]
    assert abs(height - 1.1 * box.long_side) <= 2
    windows = np.lib.stride_tricks.sliding_window_view(pixels, cut.shape)[:, :, 0]
    assert (windows == cut).all(axis=(2, 3, 4)).any()
    assert width == height


def test_what_cannot_be_cut_is_named(picture_folder, tmp_path, finder):
    source = picture_folder(real=2, fake=2)
    Image.new("RGB", (40, 40)).save(source / "Fake" / "black.png")
    (source / "Fake" / "text.jpg").write_text("no picture")
    steps = []
    summary = cut_faces(source, tmp_path / "out", CutOptions(finder=finder), lambda *step: steps.append(step))
    assert summary.written == 4
    assert [(skip.path.name, skip.reason.split(":")[0]) for skip in summary.skipped] == [
        ("black.png", "no face was found"),
        ("text.jpg", "unsupported_format"),
    ]
    assert steps == [(done, 6) for done in range(1, 7)]


def test_a_manifest_gets_one_for_its_faces(picture_folder, tmp_path, finder):
    source = picture_folder(real=2, fake=2)
    Image.new("RGB", (40, 40)).save(source / "Real" / "black.png")
    write_manifest(read_samples(source), source / "manifest.csv")
    cut_faces(source, tmp_path / "out", CutOptions(size=32, finder=finder))
    back = read_samples(tmp_path / "out")
    assert [(sample.path.name, sample.label) for sample in back] == [
        (sample.path.name, sample.label) for sample in read_samples(source) if sample.path.name != "black.png"
    ]


def test_pictures_that_differ_in_the_suffix_only_both_get_a_face(picture_folder, tmp_path, finder, draw):
    source = picture_folder(real=1, fake=1)
    Image.fromarray(draw(77)).save(source / "Real" / "000.jpg")
    assert cut_faces(source, tmp_path / "out", CutOptions(finder=finder)).written == 3
    assert sorted(path.name for path in (tmp_path / "out" / "Real").iterdir()) == ["000.jpg.png", "000.png.png"]


def test_it_overwrites_nothing_and_goes_on_when_asked(picture_folder, tmp_path, finder):
    source = picture_folder(real=4, fake=4)

    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_faces(source, tmp_path / "out", CutOptions(finder=finder), stop)
    with pytest.raises(DataError, match="--resume"):
        cut_faces(source, tmp_path / "out", CutOptions(finder=finder))
    resumed = cut_faces(source, tmp_path / "out", CutOptions(finder=finder, resume=True))
    assert resumed.kept >= 3
    assert resumed.written + resumed.kept == len(list((tmp_path / "out").rglob("*.png"))) == 8


def test_places_that_make_no_sense_are_refused(picture_folder, tmp_path, finder):
    source = picture_folder()
    options = CutOptions(finder=finder)
    with pytest.raises(DataError, match="lies inside of"):
        cut_faces(source, source / "faces", options)
    with pytest.raises(DataError, match="there is no"):
        cut_faces(tmp_path / "nowhere", tmp_path / "out", options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="has no pictures"):
        cut_faces(tmp_path / "empty", tmp_path / "out", options)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file"):
        cut_faces(source, tmp_path / "file", options)
    (tmp_path / "lists").mkdir()
    write_manifest(read_samples(source), tmp_path / "lists" / "manifest.csv")
    with pytest.raises(DataError, match="put the manifest into a folder above"):
        cut_faces(tmp_path / "lists", tmp_path / "out", options)


def test_the_shipped_finder_cuts_the_astronaut(tmp_path, astronaut):
    (tmp_path / "in").mkdir()
    Image.fromarray(astronaut).save(tmp_path / "in" / "astronaut.webp", lossless=True)
    assert cut_faces(tmp_path / "in", tmp_path / "out", CutOptions(size=128)).written == 1
    assert load_image(tmp_path / "out" / "astronaut.png").pixels.shape == (128, 128, 3)


def test_a_published_set_of_clips_becomes_faces_with_its_pairs_and_splits(write_clip, tmp_path, finder):
    root, pairs = tmp_path / "ffpp", {"train": ["071", "054"], "val": ["720", "672"], "test": ["953", "974"]}
    for split, pair in pairs.items():
        (root / "dataset" / "splits").mkdir(parents=True, exist_ok=True)
        (root / "dataset" / "splits" / f"{split}.json").write_text(json.dumps([pair]))
        write_clip(root / "original_sequences/youtube/c23/videos" / f"{pair[0]}.mp4")
        write_clip(root / "manipulated_sequences/Deepfakes/c23/videos" / f"{'_'.join(pair)}.mp4")
    summary = cut_faces(root, tmp_path / "out", CutOptions(finder=finder, frames=3, ratio=2.2))
    assert summary == CutSummary(18, 0, ())
    samples = read_data(tmp_path / "out")
    assert Counter((sample.split, sample.group) for sample in samples) == {
        (Split.TRAIN, "054_071"): 6,
        (Split.VAL, "672_720"): 6,
        (Split.TEST, "953_974"): 6,
    }
    file = tmp_path / "out/original_sequences/youtube/c23/videos/071/0001.png"
    assert file in [sample.path for sample in samples]


def test_frames_of_one_clip_stay_on_one_side(write_clip, tmp_path, finder):
    for label in ("Real", "Fake"):
        for index in range(10):
            write_clip(tmp_path / "set" / label / f"{index}.mp4")
    cut_faces(tmp_path / "set", tmp_path / "out", CutOptions(finder=finder, frames=2))
    samples = read_data(tmp_path / "out", (0.5, 0.5, 0.0))
    assert len(samples) == 40
    assert {sample.split for sample in samples} == {Split.TRAIN, Split.VAL}
    assert len({(sample.path.parent, sample.split) for sample in samples}) == 20


def test_clips_without_a_face_or_that_are_none_are_named_and_resumed(write_clip, tmp_path, finder):
    write_clip(tmp_path / "in" / "half.mp4", (1.0, 1.0, 0.0, 0.0))
    write_clip(tmp_path / "in" / "black.mp4", (0.0,) * 4)
    (tmp_path / "in" / "none.mp4").write_text("no clip")
    (tmp_path / "out" / ".half.part").mkdir(parents=True)
    (tmp_path / "out" / ".half.part" / "9999.png").write_text("of a run that was killed")
    options = CutOptions(finder=finder, frames=4, resume=True)
    summary = cut_faces(tmp_path / "in", tmp_path / "out", options)
    assert [(skip.path.name, skip.reason.split(":")[0]) for skip in summary.skipped] == [
        ("black.mp4", "no face was found"),
        ("none.mp4", "unsupported_format"),
    ]
    assert sorted(path.name for path in (tmp_path / "out" / "half").iterdir()) == ["0000.png", "0001.png"]
    again = cut_faces(tmp_path / "in", tmp_path / "out", options)
    assert (again.written, again.kept, len(again.skipped)) == (0, 1, 2)
