"""``deepfake faces`` as a function."""

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropRule
from deepfake_detector.faces.align import crop
from deepfake_detector.media.image import load_image
from deepfake_detector.training.data.cut_faces import CutOptions, CutSummary, cut_faces
from deepfake_detector.training.data.manifest import read_samples, write_manifest


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
