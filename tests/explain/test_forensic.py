import cv2
import numpy as np
import pytest

from deepfake_detector.explain.forensic import SPECTRUM_SIDE, error_level, noise_residual, spectrum, views


def test_each_view_is_a_picture_with_words(astronaut):
    found = views(astronaut)
    assert [view.name for view in found] == ["error-level", "noise", "spectrum"]
    for view in found:
        assert view.picture.dtype == np.uint8
        assert view.picture.shape[2] == 3
        assert view.title
        assert "can" in view.note  # what else may be the cause is said


def test_a_part_with_another_history_stands_out(astronaut):
    _, data = cv2.imencode(".jpg", astronaut, [cv2.IMWRITE_JPEG_QUALITY, 90])
    saved = cv2.imdecode(data, cv2.IMREAD_COLOR)
    noise = np.random.default_rng(0).integers(-12, 13, (96, 96, 3))
    saved[200:296, 200:296] = np.clip(saved[200:296, 200:296] + noise, 0, 255)
    level = error_level(saved).mean(axis=2)
    assert level[200:296, 200:296].mean() > 2.0 * np.median(level[300:, 300:])


def test_the_noise_residual_shows_noise_where_there_is_some():
    picture = np.full((128, 128, 3), 120, np.uint8)
    picture[:, 64:] = np.clip(120 + np.random.default_rng(0).normal(0, 8, (128, 64, 1)), 0, 255)
    residual = noise_residual(picture)
    assert (residual[:, :60] == 128).all()
    assert residual[:, 68:].std() > 20.0


@pytest.mark.parametrize("shape", [(512, 512), (700, 1100), (60, 90)])
def test_a_regular_pattern_is_a_bright_point_in_the_spectrum(shape):
    rng = np.random.default_rng(0)
    x = np.arange(shape[1])
    pattern = 120 + 30 * np.cos(2 * np.pi * x / 4)[None, :] + rng.normal(0, 4, shape)
    picture = np.repeat(np.clip(pattern, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    seen = spectrum(picture)[..., 0].astype(int)
    assert seen.shape == (SPECTRUM_SIDE, SPECTRUM_SIDE)
    middle = SPECTRUM_SIDE // 2
    at_pattern = seen[middle - 2 : middle + 3, middle + SPECTRUM_SIDE // 4 - 2 : middle + SPECTRUM_SIDE // 4 + 3].max()
    assert at_pattern > np.percentile(seen, 99)


def test_flat_pictures_have_views():
    for view in views(np.zeros((40, 40, 3), np.uint8)):
        assert np.isfinite(view.picture).all()
