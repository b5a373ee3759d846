"""Augmentation: what each change does, how often, and that a seed says it all."""

import sys
from collections import Counter

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from deepfake_detector.core.errors import MissingExtraError
from deepfake_detector.core.types import Box, Landmarks
from deepfake_detector.faces.align import Jitter
from deepfake_detector.training.data import degrade
from deepfake_detector.training.data.augment import Augmenter, make_augmenter, stream
from deepfake_detector.training.data.augment_config import (
    AugmentConfig,
    Blur,
    Codec,
    Color,
    Noise,
    Resize,
    Sometimes,
    Video,
)

OPS = {
    "jpeg": degrade.jpeg((40, 95)),
    "webp": degrade.webp((40, 95)),
    "video": degrade.video((20, 36)),
    "resize": degrade.resize((0.4, 1.3)),
    "blur": degrade.blur((0.3, 2.0)),
    "motion": degrade.motion((3.0, 9.0)),
    "sharpen": degrade.sharpen((0.3, 1.5)),
    "noise": degrade.noise((1.0, 10.0)),
    "color": degrade.color(Color()),
    "gray": degrade.gray,
}
BOX = Box(30.0, 20.0, 50.0, 60.0)
MARKS = Landmarks((44.0, 44.0), (66.0, 44.0), (55.0, 56.0), (46.0, 68.0), (64.0, 68.0))


def sharpness(image):
    return cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_64F).var()


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("shape", [(120, 100), (33, 57), (16, 18)])
def test_each_change_keeps_shape_type_and_its_input_and_follows_its_generator(name, shape, draw):
    image = draw(1, shape[1], shape[0])
    before = image.copy()
    outs = [OPS[name](image, np.random.default_rng(seed)) for seed in (5, 5, 6)]
    np.testing.assert_array_equal(image, before)
    assert all(out.shape == image.shape and out.dtype == np.uint8 for out in outs)
    np.testing.assert_array_equal(outs[0], outs[1])
    assert (outs[0] != image).any()
    if name != "gray":
        assert (outs[0] != outs[2]).any()


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_a_lower_quality_loses_more(name, draw):
    image = draw(2)
    make = {"jpeg": degrade.jpeg, "webp": degrade.webp}[name]
    losses = [
        np.abs(make((quality, quality))(image, np.random.default_rng(0)).astype(int) - image).mean()
        for quality in (95, 60, 20)
    ]
    assert losses[0] < losses[1] < losses[2]


def test_a_larger_rate_factor_loses_more(draw):
    image = draw(2)
    losses = [
        np.abs(degrade.video((crf, crf))(image, np.random.default_rng(0)).astype(int) - image).mean()
        for crf in (15, 28, 42)
    ]
    assert losses[0] < losses[1] < losses[2]


def test_frames_of_clips_need_pyav(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"augment\.video.*\[video\]"):
        make_augmenter(AugmentConfig(video=Video(p=0.1)))


def test_jpeg_keeps_the_colours_where_they_are():
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 0] = 200
    for seed in range(8):
        out = degrade.jpeg((90, 90))(image, np.random.default_rng(seed))
        np.testing.assert_allclose(out.mean(axis=(0, 1)), [200, 0, 0], atol=3)


def test_jpeg_uses_several_subsamplings(draw):
    image = draw(2)
    outs = {degrade.jpeg((80, 80))(image, np.random.default_rng(seed)).tobytes() for seed in range(30)}
    assert len(outs) == 3


def test_blurs_and_shrinking_soften_and_sharpening_sharpens(draw):
    image = draw(3)
    rng = np.random.default_rng(0)
    for softer in (degrade.blur((1.0, 2.0)), degrade.motion((5.0, 9.0)), degrade.resize((0.4, 0.6))):
        assert sharpness(softer(image, rng)) < 0.7 * sharpness(image)
    assert sharpness(degrade.sharpen((1.0, 1.5))(image, rng)) > 1.2 * sharpness(image)


def test_motion_blur_follows_a_line_in_every_direction():
    image = np.zeros((41, 41, 3), np.uint8)
    image[20, 20] = 255
    spreads = []
    for seed in range(30):
        out = degrade.motion((9.0, 9.0))(image, np.random.default_rng(seed))[..., 0].astype(float)
        rows, columns = np.nonzero(out)
        spreads.append((np.ptp(rows), np.ptp(columns)))
        assert 200 < out.sum() < 310
    assert max(rows for rows, _ in spreads) >= 8
    assert max(columns for _, columns in spreads) >= 8
    assert min(rows for rows, _ in spreads) <= 3


def test_noise_has_the_strength_that_was_asked_for():
    image = np.full((200, 200, 3), 128, np.uint8)
    for seed in range(8):
        out = degrade.noise((6.0, 6.0))(image, np.random.default_rng(seed)).astype(float)
        assert out.std() == pytest.approx(6.0, rel=0.1)
        assert out.mean() == pytest.approx(128.0, abs=0.5)


def test_noise_is_even_or_grows_with_the_light_and_is_coloured_or_grey():
    image = np.zeros((100, 200, 3), np.uint8)
    image[:, :100], image[:, 100:] = 60, 220
    seen = set()
    for seed in range(40):
        out = degrade.noise((5.0, 5.0))(image, np.random.default_rng(seed)).astype(float)
        grows = out[:, 100:].std() > 1.4 * out[:, :100].std()
        grain = out[:, :100] - 60
        seen.add((bool(grows), bool(np.array_equal(grain[..., 0], grain[..., 1]))))
    assert len(seen) == 4


def test_colour_changes_stay_within_their_range():
    image = np.full((8, 8, 3), (120, 130, 125), np.uint8)
    still = Color(brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0, gamma=0.0)
    np.testing.assert_allclose(degrade.color(still)(image, np.random.default_rng(0)), image, atol=1)
    light = degrade.color(still.model_copy(update={"brightness": 0.1}))
    means = [light(image, np.random.default_rng(seed)).mean() for seed in range(50)]
    assert min(means) >= 125 - 27
    assert max(means) <= 125 + 27
    assert max(means) - min(means) > 30


def test_hue_and_saturation_leave_grey_alone():
    gray = np.repeat(np.arange(0, 256, dtype=np.uint8)[:, None, None], 3, axis=2)
    change = degrade.color(Color(brightness=0.0, contrast=0.0, gamma=0.0, saturation=1.0, hue=180.0))
    for seed in range(10):
        np.testing.assert_allclose(change(gray, np.random.default_rng(seed)).astype(int), gray, atol=1)


def test_grey_has_three_equal_channels(draw):
    out = degrade.gray(draw(4), np.random.default_rng(0))
    np.testing.assert_array_equal(out[..., 0], out[..., 1])
    np.testing.assert_array_equal(out[..., 0], out[..., 2])


@pytest.mark.parametrize("marks", [MARKS, None])
def test_cut_out_covers_a_part_of_the_face_and_nothing_else(draw, marks):
    image = draw(5)
    places = set()
    for seed in range(60):
        out = degrade.cover_part(image, BOX, marks, np.random.default_rng(seed))
        changed = (out != image).any(axis=2)
        assert 0 < changed.mean() < 0.35
        rows, columns = np.nonzero(changed)
        assert columns.min() >= 14
        assert columns.max() <= 96
        places.add((rows.mean() // 12, columns.mean() // 12))
    assert len(places) >= 4


def test_cut_out_survives_a_face_at_the_edge(draw):
    image = draw(5)
    for box in (Box(-40.0, -50.0, 60.0, 70.0), Box(100.0, 80.0, 60.0, 70.0), Box(300.0, 300.0, 50.0, 50.0)):
        out = degrade.cover_part(image, box, None, np.random.default_rng(1))
        assert out.shape == image.shape


def test_the_geometry_stays_within_the_config_and_uses_all_of_it():
    augmenter = make_augmenter(AugmentConfig(flip=0.3, rotation=10.0, zoom=(0.8, 1.25), shift=0.05))
    jitters = [augmenter.jitter(stream(0, 0, index)) for index in range(2000)]
    assert np.mean([jitter.flip for jitter in jitters]) == pytest.approx(0.3, abs=0.04)
    for values, low, high in (
        ([jitter.rotation for jitter in jitters], -10.0, 10.0),
        ([jitter.zoom for jitter in jitters], 0.8, 1.25),
        ([jitter.shift_x for jitter in jitters], -0.05, 0.05),
        ([jitter.shift_y for jitter in jitters], -0.05, 0.05),
    ):
        span = high - low
        assert low <= min(values) < low + 0.02 * span
        assert high - 0.02 * span < max(values) <= high


def quiet(**more):
    off = {
        name: {"p": 0.0} for name in ("jpeg", "webp", "resize", "blur", "motion", "sharpen", "noise", "color", "gray")
    }
    return AugmentConfig(**{**off, **more})


def test_all_off_changes_nothing(draw):
    augmenter = make_augmenter(quiet(flip=0.0, rotation=0.0, zoom=(1.0, 1.0), shift=0.0))
    image = draw(6)
    assert augmenter.ops == ()
    assert augmenter.jitter(stream(0, 0, 0)) == Jitter()
    np.testing.assert_array_equal(augmenter.degrade(image, stream(0, 0, 0)), image)
    assert augmenter.cut_out(image, BOX, MARKS, stream(0, 0, 0)) is image


def counted(probabilities, most):
    """An augmenter whose changes only count themselves."""
    calls = []

    def op(number):
        def run(image, rng):
            calls[-1].append(number)
            return image

        return run

    ops = tuple((p, op(number)) for number, p in enumerate(probabilities))
    return Augmenter(AugmentConfig(max_degradations=most), ops), calls


def test_at_most_so_many_changes_each_as_often_as_asked_and_in_every_order():
    augmenter, calls = counted([0.3, 0.6, 0.1], 3)
    for index in range(3000):
        calls.append([])
        augmenter.degrade(np.zeros((2, 2, 3), np.uint8), stream(1, 0, index))
    shares = Counter(number for call in calls for number in call)
    for number, p in enumerate([0.3, 0.6, 0.1]):
        assert shares[number] / 3000 == pytest.approx(p, abs=0.03)
    assert {(0, 1), (1, 0)} <= {tuple(call) for call in calls}

    augmenter, calls = counted([1.0] * 6, 2)
    for index in range(300):
        calls.append([])
        augmenter.degrade(np.zeros((2, 2, 3), np.uint8), stream(1, 0, index))
    assert {len(call) for call in calls} == {2}
    assert {number for call in calls for number in call} == set(range(6))


def test_the_stream_hangs_on_seed_epoch_and_place():
    draws = {
        (seed, epoch, place): stream(seed, epoch, place).random()
        for seed in range(3)
        for epoch in range(3)
        for place in range(20)
    }
    assert len(set(draws.values())) == len(draws)
    assert stream(1, 2, 3).random() == draws[(1, 2, 3)]


@pytest.mark.parametrize(
    "settings",
    [
        {"jpeg": {"p": 1.5}},
        {"jpeg": {"quality": [90, 40]}},
        {"jpeg": {"quality": [0, 40]}},
        {"resize": {"scale": [0.0, 1.0]}},
        {"rotation": 90.0},
        {"jpg": {"p": 0.5}},
        {"blur": {"sigma": [1.0, float("inf")]}},
        {"zoom": [1.1, 0.9]},
    ],
)
def test_settings_without_sense_are_refused(settings):
    with pytest.raises(ValidationError):
        AugmentConfig(**settings)


def test_the_config_composes_what_it_names():
    config = AugmentConfig(
        jpeg=Codec(p=0.4), resize=Resize(p=0.0), blur=Blur(p=0.2), noise=Noise(p=0.0), gray=Sometimes(p=0.1)
    )
    assert [p for p, _ in make_augmenter(config).ops] == [0.4, 0.05, 0.2, 0.05, 0.05, 0.3, 0.1]


def test_every_setting_says_what_it_does():
    sections = [AugmentConfig, Codec, Resize, Blur, Noise, Color, Sometimes]
    assert all(field.description for section in sections for field in section.model_fields.values())
