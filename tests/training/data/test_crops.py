"""The crop cache: the same pixels as the picture, kept over runs and interruptions."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Box, CropMode, CropRule, DetectedFace, Landmarks
from deepfake_detector.faces.align import crop
from deepfake_detector.media.image import load_image
from deepfake_detector.training.data import crops as crops_module
from deepfake_detector.training.data.crop_index import INDEX_NAME
from deepfake_detector.training.data.crops import CropOptions, build_crops, context_region, read_cached
from deepfake_detector.training.data.samples import Label, Sample

RULE = CropRule(size=64, ratio=1.1)


def options(finder, version="test-1", **more):
    return CropOptions(finder=finder, finder_version=version, **more)


class FixedFinder:
    """Always finds the one face that it was made with."""

    def __init__(self, face):
        self.face = face

    def find(self, image):
        return (self.face,)


def test_a_crop_from_the_cache_equals_one_from_the_picture_bit_for_bit(tmp_path, draw):
    rng = np.random.default_rng(3)
    for case in range(60):
        width, height = (int(side) for side in rng.integers(60, 700, 2))
        path = tmp_path / f"{case}.png"
        pixels = draw(case, width, height)
        Image.fromarray(pixels).save(path)
        side = float(rng.uniform(12, 0.9 * min(width, height)))
        box = Box(
            float(rng.uniform(-0.3 * side, width - side / 2)),
            float(rng.uniform(0, height - side / 2)),
            side,
            0.8 * side,
        )
        if case % 2:
            box = Box(*(float(round(value)) for value in (box.x, box.y, box.w, box.h)))
        x, y = box.center
        lean = float(rng.uniform(-0.8, 0.8)) * side * 0.2
        marks = Landmarks((x - side / 5, y - lean), (x + side / 5, y + lean), (x, y), (x - 5, y + 9), (x + 5, y + 9))
        face = DetectedFace(box, marks, 1.0)
        rule = CropRule(size=96, ratio=(1.0, 1.1, 1.3)[case % 3])
        index = build_crops([Sample(path, Label.REAL)], rule, tmp_path / f"cache{case}", options(FixedFinder(face)))
        cached = index.crops[0]
        from_cache = crop(read_cached(cached), cached.box, cached.landmarks, rule)
        np.testing.assert_array_equal(from_cache, crop(pixels, box, marks, rule))


def test_the_cache_holds_the_context_and_not_the_whole_picture(tmp_path, draw):
    path = tmp_path / "large.png"
    Image.fromarray(draw(1, 800, 600)).save(path)
    face = DetectedFace(Box(300.0, 200.0, 80.0, 100.0), Landmarks(*[(320.0, 230.0)] * 5), 1.0)
    cached = build_crops([Sample(path, Label.REAL)], RULE, tmp_path / "cache", options(FixedFinder(face))).crops[0]
    assert 220 <= cached.width == cached.height <= 226
    pixels = read_cached(cached)
    original = load_image(path).pixels
    part = original[cached.top : cached.top + cached.height, cached.left : cached.left + cached.width]
    np.testing.assert_array_equal(pixels, part)
    assert cached.box == Box(300.0 - cached.left, 200.0 - cached.top, 80.0, 100.0)


def test_the_largest_face_is_taken(tmp_path, make_samples, finder):
    cached = build_crops(make_samples(1), RULE, tmp_path / "cache", options(finder)).crops[0]
    assert cached.box.w > 50


def test_a_second_run_looks_at_nothing_again(tmp_path, make_samples, finder):
    samples = make_samples(4)
    first = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    assert (finder.calls, first.reused) == (12, 0)
    seen = []
    second = build_crops(samples, RULE, tmp_path / "cache", options(finder), progress=lambda *step: seen.append(step))
    assert (finder.calls, second.reused) == (12, 12)
    assert second.crops == first.crops
    assert seen == [(12, 12)]


def test_the_order_is_that_of_the_samples(tmp_path, make_samples, finder):
    samples = make_samples(3)
    index = build_crops(samples[::-1], RULE, tmp_path / "cache", options(finder, workers=2))
    assert [cached.sample for cached in index.crops] == samples[::-1]


def test_a_changed_picture_is_looked_at_again(tmp_path, make_samples, finder, draw):
    samples = make_samples(2)
    build_crops(samples, RULE, tmp_path / "cache", options(finder))
    changed = samples[3].path
    Image.fromarray(draw(99, 200, 150)).save(changed)
    index = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    assert finder.calls == 7
    cached = index.crops[3]
    np.testing.assert_array_equal(
        read_cached(cached), draw(99, 200, 150)[cached.top :, cached.left :][: cached.height, : cached.width]
    )


def test_a_touched_or_moved_picture_with_the_same_bytes_is_not_searched_again(tmp_path, make_samples, finder):
    samples = make_samples(2)
    build_crops(samples, RULE, tmp_path / "cache", options(finder))
    os.utime(samples[0].path, ns=(1, 1))
    moved = samples[1].path.rename(tmp_path / "elsewhere.png")
    index = build_crops([samples[0], Sample(moved, Label.FAKE)], RULE, tmp_path / "cache", options(finder))
    assert finder.calls == 6
    assert [cached.sample.path for cached in index.crops] == [samples[0].path, moved]


def test_another_finder_or_margin_has_a_cache_of_its_own(tmp_path, make_samples, finder):
    samples = make_samples(1)
    small = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    build_crops(samples, RULE, tmp_path / "cache", options(finder, "test-2"))
    assert finder.calls == 6
    wide = build_crops(samples, RULE, tmp_path / "cache", options(finder, margin=3.0))
    assert finder.calls == 9
    assert small.crops[0].file != wide.crops[0].file


def test_a_ratio_wider_than_the_margin_widens_it(tmp_path, make_samples, finder):
    wide = CropRule(size=64, ratio=2.0)
    cached = build_crops(make_samples(1), wide, tmp_path / "cache", options(finder)).crops[0]
    assert (cached.width, cached.height) == (130, 110)


def test_an_interruption_loses_nothing_that_was_done(tmp_path, make_samples, finder):
    samples = make_samples(8)

    def stop(done, total):
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_crops(samples, RULE, tmp_path / "cache", options(finder), progress=stop)
    resumed = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    assert resumed.reused >= 10
    fresh = build_crops(samples, RULE, tmp_path / "other", options(finder))
    assert [cached.box for cached in resumed.crops] == [cached.box for cached in fresh.crops]


def test_a_line_cut_off_in_the_index_costs_one_picture(tmp_path, make_samples, finder):
    samples = make_samples(2)
    build_crops(samples, RULE, tmp_path / "cache", options(finder))
    (log,) = (tmp_path / "cache").rglob(INDEX_NAME)
    log.write_text(log.read_text()[:-40])
    again = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    assert (finder.calls, again.reused) == (7, 5)
    assert build_crops(samples, RULE, tmp_path / "cache", options(finder)).reused == 6


def test_a_deleted_crop_is_made_again(tmp_path, make_samples, finder):
    samples = make_samples(1)
    first = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    first.crops[1].file.unlink()
    with pytest.raises(DataError, match="missing or damaged"):
        read_cached(first.crops[1])
    second = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    assert finder.calls == 4
    assert read_cached(second.crops[1]).shape == (second.crops[1].height, second.crops[1].width, 3)


def test_the_index_does_not_grow_without_end(tmp_path, make_samples, finder):
    samples = make_samples(1)
    for turn in range(12):
        os.utime(samples[0].path, ns=(turn, turn))
        build_crops(samples, RULE, tmp_path / "cache", options(finder))
    (log,) = (tmp_path / "cache").rglob(INDEX_NAME)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(lines) <= 2 * 3 + 3
    assert finder.calls == 3


def test_what_cannot_be_used_is_named_and_counted(tmp_path, make_samples, finder):
    samples = make_samples(1)
    text, black, gone = (tmp_path / name for name in ("text.jpg", "black.png", "gone.png"))
    text.write_text("no picture")
    Image.new("RGB", (50, 50)).save(black)
    bad = [Sample(path, Label.REAL) for path in (text, black, gone)]
    for _ in range(2):
        index = build_crops([*samples, *bad], RULE, tmp_path / "cache", options(finder))
        assert len(index.crops) == 3
        assert [skip.path for skip in index.skipped] == [text, black, gone]
        assert index.reasons() == {"unsupported_format": 1, "no face was found": 1, "unreadable": 1}


def test_nothing_left_is_an_error_that_says_why(tmp_path, finder):
    black = tmp_path / "black.png"
    Image.new("RGB", (50, 50)).save(black)
    with pytest.raises(DataError, match=r"1 × no face was found"):
        build_crops([Sample(black, Label.REAL)], RULE, tmp_path / "cache", options(finder))


def test_whole_pictures_are_referred_to_and_not_copied(tmp_path, make_samples):
    samples = make_samples(1)
    rule = CropRule(mode=CropMode.WHOLE, size=64)
    index = build_crops(samples, rule, tmp_path / "cache")
    cached = index.crops[0]
    assert (cached.file, cached.whole, cached.landmarks) == (samples[0].path, True, None)
    assert cached.box == Box(0.0, 0.0, 130.0, 110.0)
    assert not list((tmp_path / "cache").rglob("*.png"))
    np.testing.assert_array_equal(read_cached(cached), load_image(samples[0].path).pixels)


@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
def test_the_region_stays_inside_of_the_picture(edge):
    box = {
        "left": Box(-20.0, 40.0, 50.0, 60.0),
        "right": Box(180.0, 40.0, 50.0, 60.0),
        "top": Box(80.0, -20.0, 50.0, 60.0),
        "bottom": Box(80.0, 120.0, 50.0, 60.0),
    }[edge]
    left, top, right, bottom = context_region(box, 2.2, 200, 150)
    assert 0 <= left < right <= 200
    assert 0 <= top < bottom <= 150


def test_the_shipped_finder_finds_the_astronaut(tmp_path, astronaut):
    path = tmp_path / "astronaut.png"
    Image.fromarray(astronaut).save(path)
    rule = CropRule()
    cached = build_crops([Sample(path, Label.REAL)], rule, tmp_path / "cache").crops[0]
    in_picture = Box(cached.box.x + cached.left, cached.box.y + cached.top, cached.box.w, cached.box.h)
    x, y = in_picture.center
    assert 190 < x < 260
    assert 80 < y < 160
    assert crops_module.shipped_finder_version() in _header(tmp_path / "cache")
    np.testing.assert_array_equal(
        crop(read_cached(cached), cached.box, cached.landmarks, rule), crop(astronaut, in_picture, None, rule)
    )


def _header(cache: Path) -> str:
    (log,) = cache.rglob(INDEX_NAME)
    return json.loads(log.read_text().splitlines()[0])["finder"]


@pytest.mark.shared_data
def test_a_set_in_the_cache_is_ready_in_no_time(tmp_path, shared_data, finder):
    files = sorted((shared_data / "utk").rglob("*.jpg"))
    samples = [Sample(path, Label.REAL) for path in files]
    build_crops(samples, RULE, tmp_path / "cache", options(finder))
    start = time.perf_counter()
    again = build_crops(samples, RULE, tmp_path / "cache", options(finder))
    assert again.reused == len(samples) > 1000
    assert time.perf_counter() - start < 2.0
