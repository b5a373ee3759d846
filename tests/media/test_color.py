"""load_image on every kind of pixel that a file can hold."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from deepfake_detector.media.image import load_image


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """An RGB profile whose red and green primaries have changed places."""
    data = bytearray(srgb_profile())
    for index in range(struct.unpack_from(">I", data, 128)[0]):
        at = 132 + 12 * index
        if bytes(data[at : at + 4]) in {b"rXYZ", b"gXYZ"}:
            data[at : at + 1] = b"g" if data[at : at + 1] == b"r" else b"r"
    return bytes(data)


def png(ihdr: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file from its raw chunks."""
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in ((b"IHDR", ihdr), *chunks, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + body


def tiff(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, metadata=None, **options)
    return buffer.getvalue()


def grey_of(data: bytes) -> np.ndarray:
    pixels = load_image(data).pixels
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0]


RAMP8 = np.arange(256, dtype=np.uint8).reshape(16, 16)
RAMP16 = RAMP8.astype(np.uint16) * 257


def test_grey(encode):
    np.testing.assert_array_equal(grey_of(encode(RAMP8, "PNG")), RAMP8)
    np.testing.assert_array_equal(grey_of(encode(Image.fromarray(RAMP8).convert("1"), "PNG")) % 255, 0)


def test_16_bit_grey_is_scaled_and_not_clipped(encode):
    np.testing.assert_array_equal(grey_of(encode(RAMP16, "PNG")), RAMP8)
    np.testing.assert_array_equal(grey_of(tiff(RAMP16, byteorder="<")), RAMP8)
    np.testing.assert_array_equal(grey_of(tiff(RAMP16, byteorder=">")), RAMP8)


def test_a_dark_16_bit_picture_stays_dark():
    assert grey_of(tiff(np.full((8, 8), 2570, np.uint16))).max() == 10


def test_16_bit_white_is_zero_is_turned_round():
    np.testing.assert_array_equal(grey_of(tiff(65535 - RAMP16, photometric="miniswhite")), RAMP8)


def test_16_bit_rgb_is_scaled(scene):
    deep = scene.astype(np.uint16) * 257
    np.testing.assert_array_equal(load_image(tiff(deep, photometric="rgb")).pixels, scene)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    data = png(struct.pack(">IIBBBBB", 64, 48, 16, 2, 0, 0, 0), (b"IDAT", zlib.compress(rows)))
    np.testing.assert_array_equal(load_image(data).pixels, scene)


@pytest.mark.parametrize(("top", "word"), [(1.0, "0 to 1"), (255.0, "0 to 255"), (65535.0, "0 to 65535")])
def test_float_tiff_is_read_by_the_smallest_usual_range(top, word):
    loaded = load_image(tiff((RAMP8 / 255.0 * top).astype(np.float32)))
    np.testing.assert_array_equal(loaded.pixels[..., 0], RAMP8)
    assert loaded.warnings[0].endswith(word)


def test_float_tiff_with_values_that_are_no_numbers():
    values = (RAMP8 / 255.0).astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    pixels = load_image(tiff(values)).pixels[..., 0]
    np.testing.assert_array_equal(pixels[0, :3], 0)
    np.testing.assert_array_equal(pixels[1:], RAMP8[1:])


def test_32_bit_grey_pillow_image():
    wide = Image.fromarray(RAMP16.astype(np.int32))
    assert wide.mode == "I"
    np.testing.assert_array_equal(load_image(wide).pixels[..., 0], RAMP8)


def test_cmyk(encode):
    colours = np.zeros((16, 16, 4), np.uint8)
    colours[:, :8, 0] = 255  # cyan on the left, white on the right
    for format_name in ("TIFF", "JPEG"):
        pixels = load_image(
            encode(Image.merge("CMYK", [Image.fromarray(plane) for plane in np.moveaxis(colours, -1, 0)]), format_name)
        ).pixels.astype(int)
        assert np.abs(pixels[8, 2] - (0, 255, 255)).max() <= 4
        assert np.abs(pixels[8, 13] - 255).max() <= 4


def test_lab_is_read_in_colour(encode, scene):
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(Image.fromarray(scene), transform)
    pixels = load_image(encode(lab, "TIFF")).pixels.astype(int)
    assert np.abs(pixels - scene).mean() < 3


def test_palette_with_and_without_transparency(encode):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(0, (0, 0, 4, 8))
    plain = load_image(encode(image, "PNG"))
    np.testing.assert_array_equal(plain.pixels[0, [0, 7]], [[10, 20, 30], [200, 100, 50]])
    assert plain.warnings == ()
    for transparency in (0, b"\x00\xff"):
        loaded = load_image(encode(image, "PNG", transparency=transparency))
        np.testing.assert_array_equal(loaded.pixels[0, [0, 7]], [[255, 255, 255], [200, 100, 50]])
        assert "white" in loaded.warnings[0]


def test_transparent_colour_key_of_grey_and_rgb(encode):
    grey = np.full((8, 8), 90, np.uint8)
    grey[:, 4:] = 40
    assert load_image(encode(grey, "PNG", transparency=90)).pixels[0, [0, 7]].tolist() == [[255] * 3, [40] * 3]
    colour = np.dstack([grey, grey, grey])
    loaded = load_image(encode(colour, "PNG", transparency=(90, 90, 90)))
    assert loaded.pixels[0, [0, 7]].tolist() == [[255] * 3, [40] * 3]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_shown_over_white(encode, mode):
    image = Image.new("RGBA", (4, 4), (100, 100, 100, 128)).convert(mode)
    loaded = load_image(encode(image, "PNG"))
    assert np.abs(loaded.pixels.astype(int) - round(100 * 128 / 255 + 255 * 127 / 255)).max() <= 1
    assert "white" in loaded.warnings[0]
    opaque = load_image(encode(Image.new("RGBA", (4, 4), (100, 100, 100, 255)).convert(mode), "PNG"))
    assert (opaque.pixels == 100).all()
    assert opaque.warnings == ()


@pytest.mark.parametrize("mode", ["RGBa", "La"])
def test_premultiplied_alpha_of_pillow_images(mode):
    image = Image.new("RGBA", (4, 4), (100, 100, 100, 128)).convert(mode.upper()).convert(mode)
    assert np.abs(load_image(image).pixels.astype(int) - 177).max() <= 2


def test_an_srgb_profile_changes_no_pixel(encode, scene):
    loaded = load_image(encode(scene, "PNG", icc_profile=srgb_profile()))
    np.testing.assert_array_equal(loaded.pixels, scene)
    assert loaded.warnings == ()


def test_another_profile_is_converted_to_srgb(encode):
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    loaded = load_image(encode(red, "PNG", icc_profile=swapped_profile()))
    assert np.abs(loaded.pixels.astype(int) - (0, 255, 0)).max() <= 3
    assert loaded.warnings == ()


def test_profile_and_alpha_together(encode):
    colours = np.zeros((8, 8, 4), np.uint8)
    colours[..., 0], colours[:4, :, 3] = 255, 255
    loaded = load_image(encode(colours, "PNG", icc_profile=swapped_profile()))
    assert np.abs(loaded.pixels[0, 0].astype(int) - (0, 255, 0)).max() <= 3
    assert loaded.pixels[7, 7].tolist() == [255, 255, 255]


def test_an_rgb_profile_in_a_grey_picture_is_fine(encode):
    loaded = load_image(encode(RAMP8, "PNG", icc_profile=srgb_profile()))
    np.testing.assert_array_equal(loaded.pixels[..., 0], RAMP8)
    assert loaded.warnings == ()


@pytest.mark.parametrize("profile", [b"no profile at all", srgb_profile()[:200], srgb_profile()[:-100]])
def test_a_broken_profile_is_a_warning(encode, scene, profile):
    loaded = load_image(encode(scene, "PNG", icc_profile=profile))
    np.testing.assert_array_equal(loaded.pixels, scene)
    assert "profile" in loaded.warnings[0]


def test_a_profile_of_another_colour_space_is_a_warning(encode, scene):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    loaded = load_image(encode(scene, "PNG", icc_profile=lab))
    np.testing.assert_array_equal(loaded.pixels, scene)
    assert "Lab" in loaded.warnings[0]
