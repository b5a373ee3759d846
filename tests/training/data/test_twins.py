"""Twins of a real face: what a decoder and an interpolation make of the same small picture, and how they are listed."""

import hashlib

import cv2
import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError, MissingExtraError, WeightsError
from deepfake_detector.core.types import CropRule, Kind
from deepfake_detector.training.data import decoders
from deepfake_detector.training.data.crops import build_crops, read_cached
from deepfake_detector.training.data.decoders import NcnnDecoder, Pin
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.samples import Label, Sample, Split
from deepfake_detector.training.data.twins import TwinConfig, make_twins, write_twins

TWICE = """7767517
2 2
Input   input  0 1 data
Interp  up     1 1 data output 0=1 1=2.000000e+00 2=2.000000e+00
"""


class Nearest:
    """Stands for a network: enlarges by repeating pixels."""

    def __init__(self, name="nearest", scale=2):
        self.name, self.scale = name, scale

    def __call__(self, pixels):
        return np.repeat(np.repeat(pixels, self.scale, axis=0), self.scale, axis=1)


@pytest.fixture(scope="module")
def samples(tmp_path_factory, astronaut):
    """Two training reals and a test real of "a", a validation real of "b", a fake."""
    folder = tmp_path_factory.mktemp("photos")
    rows = [
        ("a", 0, Split.TRAIN),
        ("a", 0, Split.TRAIN),
        ("a", 0, Split.TEST),
        ("b", 0, Split.VAL),
        ("a", 1, Split.TRAIN),
    ]
    made = []
    for index, (name, label, split) in enumerate(rows):
        file = folder / f"{index}.png"
        Image.fromarray(np.clip(astronaut[:300] * (0.8 + 0.06 * index), 0, 255).astype(np.uint8)).save(file)
        made.append(Sample(file, Label(label), None, set=name, group=f"person-{index}", split=split))
    return made


@pytest.fixture(scope="module")
def crop(samples, tmp_path_factory):
    return build_crops(samples[:1], CropRule(), tmp_path_factory.mktemp("cache")).crops[0]


@pytest.mark.parametrize("scale", [2, 3])
def test_both_twins_show_the_same_small_face(crop, scale):
    pixels = read_cached(crop)
    twins = make_twins(pixels, crop, Nearest(scale=scale), 64.0, np.random.default_rng(0))
    assert twins.decoded.shape == twins.resampled.shape
    assert twins.decoded.dtype == twins.resampled.dtype == np.uint8
    expected = 1.7 * crop.box.long_side * 64.0 / crop.box.long_side * scale
    assert max(twins.decoded.shape) == pytest.approx(expected, abs=3 * scale)
    small = [
        cv2.resize(picture, None, fx=1 / scale, fy=1 / scale, interpolation=cv2.INTER_AREA)
        for picture in (twins.decoded, twins.resampled)
    ]
    assert np.abs(small[0].astype(int) - small[1].astype(int)).mean() < 4.0
    assert (twins.decoded != twins.resampled).any()


def test_a_small_face_is_not_enlarged_before(crop):
    pixels = read_cached(crop)
    twins = make_twins(pixels, crop, Nearest(), 10_000.0, np.random.default_rng(0))
    assert max(twins.decoded.shape) <= 2 * max(pixels.shape)


def test_they_are_listed_as_sets_of_their_own(samples, tmp_path):
    config = TwinConfig(cache=tmp_path / "cache")
    made = write_twins(samples, tmp_path / "twins", [Nearest("x"), Nearest("y")], config)
    listed = read_data(tmp_path / "twins" / "manifest.csv")
    assert len(made) == 6
    assert [(s.label, s.set, s.group, s.split) for s in listed[:5]] == [
        (s.label, s.set, s.group, s.split) for s in samples
    ]
    twins = listed[5:]
    assert [(s.set, s.label, s.kind, s.split, s.group) for s in twins if s.label is Label.FAKE] == [
        ("a-twins", Label.FAKE, Kind.GENERATED, Split.TRAIN, "person-0"),
        ("a-twins", Label.FAKE, Kind.GENERATED, Split.TRAIN, "person-1"),
        ("b-twins", Label.FAKE, Kind.GENERATED, Split.VAL, "person-3"),
    ]
    assert {s.method for s in twins if s.label is Label.FAKE} <= {"x", "y"}
    assert [s.method for s in twins if s.label is Label.REAL] == ["resampled"] * 3
    times = {s.path: s.path.stat().st_mtime_ns for s in made}
    again = write_twins(samples, tmp_path / "twins", [Nearest("x"), Nearest("y")], config)
    assert again == made
    assert {s.path: s.path.stat().st_mtime_ns for s in again} == times


def test_sets_and_numbers_are_chosen(samples, tmp_path):
    config = TwinConfig(sets=("a",), number=1, cache=tmp_path / "cache")
    assert [s.set for s in write_twins(samples, tmp_path / "twins", [Nearest()], config)] == ["a-twins"] * 2
    with pytest.raises(DataError, match="no reals in a set 'c'"):
        write_twins(samples, tmp_path / "none", [Nearest()], TwinConfig(sets=("c",)))
    with pytest.raises(DataError, match="outside of the test split"):
        write_twins(samples[2:3], tmp_path / "none", [Nearest()], TwinConfig())


def test_a_network_runs_and_is_checked(tmp_path, monkeypatch):
    (tmp_path / "twice.param").write_text(TWICE)
    (tmp_path / "twice.bin").write_bytes(b"")
    hashes = [hashlib.sha256((tmp_path / f"twice.{part}").read_bytes()).hexdigest() for part in ("param", "bin")]
    monkeypatch.setitem(decoders.NETWORKS, "twice", Pin(2, *hashes))
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    np.testing.assert_array_equal(NcnnDecoder(tmp_path, "twice")(pixels), Nearest()(pixels))
    (tmp_path / "twice.param").write_text(TWICE.replace("2.000000e+00", "3.000000e+00"))
    with pytest.raises(WeightsError, match="SHA-256"):
        NcnnDecoder(tmp_path, "twice")
    with pytest.raises(WeightsError, match="cannot read"):
        NcnnDecoder(tmp_path, "realesrgan-x4plus")


def test_without_ncnn_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ncnn", None)
    with pytest.raises(MissingExtraError, match=r"\[twins\]"):
        NcnnDecoder(tmp_path, "realesrgan-x4plus")
