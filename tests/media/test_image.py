"""load_image on pictures that are in order: formats, orientation, frames, hashes, sources."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import EmptyInputError, InputError, LimitExceededError, MissingExtraError
from deepfake_detector.core.settings import Limits
from deepfake_detector.media.formats import EXTENSIONS
from deepfake_detector.media.image import load_image

LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}, "TIFF": {}, "BMP": {}}
TURNS = {
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.transpose(a, (1, 0, 2)),
    6: np.rot90,
    7: lambda a: np.transpose(np.rot90(a, 2), (1, 0, 2)),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("format_name", EXTENSIONS)
def test_every_format_is_opened_and_named(format_name, encode, scene):
    data = encode(scene, format_name)
    loaded = load_image(data)
    assert loaded.pixels.dtype == np.uint8
    assert loaded.pixels.shape == scene.shape
    assert np.abs(loaded.pixels.astype(int) - scene).mean() < 12  # GIF has 256 colours, the others lose little
    assert loaded.info.format == format_name
    assert (loaded.info.width, loaded.info.height) == (64, 48)
    assert loaded.info.sha256 == hashlib.sha256(data).hexdigest()
    assert loaded.info.bytes == len(data)
    assert loaded.info.path is None
    assert loaded.warnings == ()


@pytest.mark.parametrize("format_name", LOSSLESS)
def test_lossless_formats_keep_every_pixel(format_name, encode, scene):
    data = encode(scene, format_name, **LOSSLESS[format_name])
    np.testing.assert_array_equal(load_image(data).pixels, scene)


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_honoured(format_name, orientation, encode, scene):
    stored = TURNS[orientation](scene)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(np.ascontiguousarray(stored), format_name, exif=exif, **LOSSLESS[format_name])
    loaded = load_image(data)
    np.testing.assert_array_equal(loaded.pixels, scene)
    assert (loaded.info.width, loaded.info.height) == (64, 48)


@pytest.mark.parametrize("format_name", ["JPEG", "AVIF", "HEIC"])
def test_exif_orientation_is_honoured_once_in_lossy_formats(format_name, encode, scene):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(np.ascontiguousarray(np.rot90(scene)), format_name, exif=exif.tobytes(), quality=95)
    loaded = load_image(data)
    assert loaded.pixels.shape == scene.shape
    assert np.abs(loaded.pixels.astype(int) - scene).mean() < 6


def test_damaged_exif_does_not_stop_the_picture(encode, scene):
    data = encode(scene, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\x7f" + b"\xff" * 40)
    assert load_image(data).pixels.shape == scene.shape


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "TIFF", "PNG", "AVIF", "MPO"])
def test_only_the_first_frame_is_taken_and_said(format_name, encode, scene):
    other = Image.fromarray(255 - scene)
    data = encode(scene, format_name, save_all=True, append_images=[other])
    loaded = load_image(data)
    assert np.abs(loaded.pixels.astype(int) - scene).mean() < 12
    assert ["only the first" in warning for warning in loaded.warnings] == [True]
    assert loaded.info.format == ("JPEG" if format_name == "MPO" else format_name)


def test_path_is_kept_as_given(tmp_path, encode, scene, monkeypatch):
    (tmp_path / "photo.png").write_bytes(encode(scene, "PNG"))
    monkeypatch.chdir(tmp_path)
    assert load_image("photo.png").info.path == "photo.png"
    assert load_image(Path("photo.png")).info.path == "photo.png"
    assert load_image("photo.png").warnings == ()


def test_wrong_extension_is_a_warning_in_words(tmp_path, encode, scene):
    path = tmp_path / "photo.JPG"
    path.write_bytes(encode(scene, "PNG"))
    loaded = load_image(path)
    np.testing.assert_array_equal(loaded.pixels, scene)
    assert loaded.info.format == "PNG"
    assert ".jpg" in loaded.warnings[0]
    assert "PNG" in loaded.warnings[0]


def test_unknown_extension_is_no_warning(tmp_path, encode, scene):
    path = tmp_path / "photo.dat"
    path.write_bytes(encode(scene, "PNG"))
    assert load_image(path).warnings == ()


def test_heic_without_the_extra_names_it(encode, scene, monkeypatch):
    data = encode(scene, "HEIC")
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*\[heic\]"):
        load_image(data)


def test_array_and_pillow_image_of_the_same_pixels_are_the_same_picture(scene):
    from_array, from_pillow = load_image(scene), load_image(Image.fromarray(scene))
    np.testing.assert_array_equal(from_array.pixels, scene)
    np.testing.assert_array_equal(from_pillow.pixels, scene)
    assert from_array.info.sha256 == from_pillow.info.sha256
    assert from_array.info.sha256 == hashlib.sha256(b"RGB 64x48\n" + scene.tobytes()).hexdigest()
    assert from_array.info.sha256 != load_image(scene.reshape(64, 48, 3)).info.sha256
    assert (from_array.info.format, from_array.info.bytes, from_array.info.path) == ("array", scene.nbytes, None)


def test_pixels_are_a_copy(scene):
    loaded = load_image(scene)
    loaded.pixels[:] = 0
    assert scene.any()


def test_arrays_of_other_layouts(scene):
    grey = scene[..., 0]
    np.testing.assert_array_equal(load_image(grey).pixels, np.repeat(grey[..., None], 3, axis=2))
    opaque = np.dstack([scene, np.full(grey.shape, 255, np.uint8)])
    np.testing.assert_array_equal(load_image(opaque).pixels, scene)
    np.testing.assert_array_equal(load_image(scene[:, ::-1]).pixels, scene[:, ::-1])
    invisible = load_image(np.dstack([scene, np.zeros(grey.shape, np.uint8)]))
    assert (invisible.pixels == 255).all()
    assert "white" in invisible.warnings[0]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint16),
        np.zeros((8, 8, 2), np.uint8),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros(8, np.uint8),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_other_arrays_are_refused_with_what_was_got(array):
    with pytest.raises(InputError) as caught:
        load_image(array)
    assert str(array.dtype) in str(caught.value)
    assert str(array.shape) in str(caught.value)


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 8, 3), (8, 0)])
def test_arrays_without_pixels_are_empty(shape):
    with pytest.raises(EmptyInputError):
        load_image(np.zeros(shape, np.uint8))


def test_limits_hold_for_arrays_and_pillow_images(scene):
    for source in (scene, Image.fromarray(scene)):
        with pytest.raises(LimitExceededError, match="64 × 48"):
            load_image(source, Limits(max_pixels=3000))
        with pytest.raises(LimitExceededError):
            load_image(source, Limits(max_side=63))
        assert load_image(source, Limits(max_pixels=64 * 48, max_side=64)).info.width == 64


def test_an_object_that_is_no_picture_is_refused():
    with pytest.raises(InputError, match="int"):
        load_image(7)
