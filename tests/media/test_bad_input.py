"""load_image on what is broken, hostile or no picture: each has its own error, and nothing else comes out."""

import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from deepfake_detector.core.errors import (
    DamagedInputError,
    EmptyInputError,
    InputError,
    LimitExceededError,
    UnreadableInputError,
    UnsupportedFormatError,
)
from deepfake_detector.core.settings import Limits
from deepfake_detector.media.formats import EXTENSIONS
from deepfake_detector.media.image import load_image

FORMATS = tuple(EXTENSIONS)


def test_every_format_cut_off_in_the_middle_is_damaged(samples):
    for name, data in samples.items():
        if name in {"JPEG multi-picture", "PNG animated", "GIF animated", "TIFF pages"}:
            continue  # their first picture may be whole in half of the file
        for share in (0.3, 0.5, 0.7):
            with pytest.raises(DamagedInputError, match="cut off"):
                load_image(data[: int(len(data) * share)])


def test_a_big_photo_that_lost_its_end_is_damaged(astronaut, encode):
    for format_name in FORMATS:
        data = encode(astronaut, format_name)
        for share in (0.02, 0.5, 0.97):
            with pytest.raises(InputError) as caught:
                load_image(data[: int(len(data) * share)])
            assert type(caught.value) is DamagedInputError, (format_name, share)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIC"])
def test_a_download_that_broke_off_and_left_zeros_is_damaged_or_told(format_name, astronaut, encode):
    data = encode(astronaut, format_name)
    half = data[: len(data) // 2] + bytes(len(data) - len(data) // 2)
    try:
        warnings = load_image(half).warnings
    except DamagedInputError:
        return
    assert format_name in {"WEBP", "AVIF", "HEIC"}, "this format's decoder can tell"
    assert any("broken download" in warning for warning in warnings)


def test_truncated_images_stay_refused_whatever_the_host_program_set(encode, astronaut, monkeypatch):
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    data = encode(astronaut, "JPEG")
    with pytest.raises(DamagedInputError):
        load_image(data[: len(data) // 2])


def test_no_bytes_are_empty(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    for source in (b"", path):
        with pytest.raises(EmptyInputError, match="0 bytes"):
            load_image(source)


def zero_sized_png() -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", 0, 0, 8, 2, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + end


def test_pictures_without_pixels_are_empty(encode, scene):
    gif = bytearray(encode(scene, "GIF"))
    gif[6:8] = b"\0\0"
    bmp = bytearray(encode(scene, "BMP"))
    bmp[22:26] = b"\0\0\0\0"
    for data in (zero_sized_png(), bytes(gif), bytes(bmp)):
        with pytest.raises(EmptyInputError, match="without a pixel"):
            load_image(data)


@pytest.mark.parametrize(
    ("data", "looks_like"),
    [
        (b"Dear Sir or Madam,\n", "a text file"),
        ("Grüße, Łódź\n".encode(), "a text file"),
        (b"BM is how this text starts, and it goes on", "a text file"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"8BPS\0\1", "a Photoshop document"),
        (b"\0\0\0\x20ftypisom\0\0\2\0isomiso2mp41", "a video"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "a camera's raw picture"),
        (b"II*\0\x10\0\0\0CR\2\0" + b"\0" * 40, "a camera's raw picture"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1miafj2ki", "a HEIF picture of a codec"),
        (b"RIFF\0\0\0\0AVI LIST", "a video"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL picture"),
        (b"\x00\x01\x02\x03" * 20, "nothing known"),
        (b"\xff", "nothing known"),
    ],
)
def test_what_is_no_picture_is_named(data, looks_like, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(UnsupportedFormatError) as caught:
        load_image(path)
    assert looks_like in str(caught.value)
    assert "JPEG, PNG" in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("format_name", ["PPM", "TGA", "ICO", "PCX", "EPS", "JPEG2000", "DDS", "SGI", "PDF"])
def test_formats_that_pillow_knows_and_the_allow_list_does_not(format_name, encode, scene):
    with pytest.raises(UnsupportedFormatError):
        load_image(encode(scene, format_name))


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}], ids=["thumbnail first", "DNG"])
def test_camera_raw_in_tiff_clothes_is_refused(encode, scene, tags):
    from PIL import TiffImagePlugin

    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in tags.items():
        info[tag] = value
        info.tagtype[tag] = 4 if tag == 254 else 1
    with pytest.raises(UnsupportedFormatError, match="raw"):
        load_image(encode(scene, "TIFF", tiffinfo=info))


def bomb(side: int) -> bytes:
    """A PNG of some hundred bytes that claims to have side² pixels."""
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


@pytest.mark.parametrize("side", [11_000, 13_000, 30_000, 40_000, 2_000_000_000])
def test_decompression_bombs_are_refused_before_decoding(side, recwarn, capfd):
    with pytest.raises(LimitExceededError) as caught:
        load_image(bomb(side))
    assert "make it smaller" in str(caught.value)
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


def test_a_large_picture_within_the_limits_gives_no_bomb_warning(monkeypatch, encode, scene, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    assert load_image(encode(scene, "PNG")).warnings == ()
    assert not recwarn.list


def test_limits_of_bytes_and_sides(tmp_path, encode, scene):
    data = encode(scene, "PNG")
    path = tmp_path / "photo.png"
    path.write_bytes(data)
    for source in (data, path):
        with pytest.raises(LimitExceededError, match="bytes"):
            load_image(source, Limits(max_bytes=len(data) - 1))
        with pytest.raises(LimitExceededError, match="64 × 48"):
            load_image(source, Limits(max_side=60))
        with pytest.raises(LimitExceededError, match="64 × 48"):
            load_image(source, Limits(max_pixels=64 * 48 - 1))
        assert load_image(source, Limits(max_bytes=len(data), max_side=64, max_pixels=64 * 48)).info.bytes == len(data)


def test_what_is_no_readable_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableInputError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(UnreadableInputError, match=r"missing\.jpg"):
        load_image(tmp_path / "missing.jpg")
    with pytest.raises(UnreadableInputError):
        load_image("a\0b.jpg")
    with pytest.raises(UnreadableInputError):
        load_image("x" * 5000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_does_not_hang(tmp_path):
    pipe = tmp_path / "pipe.jpg"
    os.mkfifo(pipe)
    with pytest.raises(UnreadableInputError, match="regular"):
        load_image(pipe)


def test_a_file_that_may_not_be_read(tmp_path, encode, scene, monkeypatch):
    path = tmp_path / "photo.png"
    path.write_bytes(encode(scene, "PNG"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Replaced and not chmod'ed: the tests may run as root, who may read everything.
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UnreadableInputError, match="Permission denied"):
        load_image(path)
