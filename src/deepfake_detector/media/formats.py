"""The formats that are opened, told by their first bytes and never by the name of the file."""

from __future__ import annotations

import struct
from pathlib import PurePath

EXTENSIONS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "AVIF": (".avif",),
    "HEIC": (".heic", ".heif", ".hif"),
}
"""The allow-list: each format with the endings that its files usually have."""

FORMAT_OF_EXTENSION = {extension: name for name, extensions in EXTENSIONS.items() for extension in extensions}

VIDEO_EXTENSIONS = {
    "MP4": (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2"),
    "Matroska": (".mkv", ".webm"),
    "AVI": (".avi",),
    "GIF": (),
}
"""The allow-list of videos. A GIF is looked for as a picture, and opened as a video only where that is asked for."""

VIDEO_OF_EXTENSION = {extension: name for name, extensions in VIDEO_EXTENSIONS.items() for extension in extensions}

VIDEOS_IN_WORDS = "MP4, MOV, Matroska, WebM, AVI and GIF"

FORMATS_IN_WORDS = "JPEG, PNG, WebP, TIFF, BMP, GIF, AVIF and HEIC"

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_STILL_BRANDS = {b"mif1", b"msf1", b"crx "}
_BMP_HEADER_SIZES = {12, 16, 40, 52, 56, 64, 108, 124}
_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
)
_KNOWN_STRANGERS = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"FUJIFILMCCD-RAW", "a camera's raw picture"),
)


def sniff(data: bytes) -> str | None:
    """The format (a key of ``EXTENSIONS``) that the first bytes of a file tell, or None."""
    for magic, name in _MAGIC:
        if data.startswith(magic):
            return None if _is_canon_raw(data) else name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:2] == b"BM" and len(data) >= 18 and struct.unpack_from("<I", data, 14)[0] in _BMP_HEADER_SIZES:
        return "BMP"
    brands = _brands(data)
    if brands & _AVIF_BRANDS:
        return "AVIF"
    if brands & _HEIC_BRANDS:
        return "HEIC"
    return None


# Atoms with which QuickTime files begin that have no "ftyp" (QuickTime File Format, "Movie files").
_QUICKTIME_STARTS = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}


def sniff_video(data: bytes) -> str | None:
    """The container (a key of ``VIDEO_EXTENSIONS``) that the first bytes of a file tell, or None; a GIF is one, too."""
    if data.startswith(b"\x1aE\xdf\xa3"):
        return "Matroska"
    if data[:4] == b"RIFF" and data[8:11] == b"AVI":
        return "AVI"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data[4:8] in _QUICKTIME_STARTS:
        return "MP4"
    brands = _brands(data)
    return "MP4" if brands and not brands & (_AVIF_BRANDS | _HEIC_BRANDS | _STILL_BRANDS) else None


def is_video(data: bytes) -> bool:
    """True if the first bytes (64 are enough) are those of a video; a GIF, animated or not, counts as a picture."""
    return sniff_video(data) not in {None, "GIF"}


def _is_canon_raw(data: bytes) -> bool:
    return data[:4] == b"II*\x00" and data[8:10] == b"CR"


def _brands(data: bytes) -> set[bytes]:
    """The brands in the ``ftyp`` box (ISO/IEC 14496-12, 4.3) that opens a HEIF, AVIF or MP4 file."""
    if data[4:8] != b"ftyp":
        return set()
    end = min(struct.unpack_from(">I", data, 0)[0], len(data), 512)
    return {data[8:12]} | {data[at : at + 4] for at in range(16, end - 3, 4)}


def has_no_pixels(data: bytes, name: str) -> bool:
    """True if the header of a PNG, GIF or BMP file says that the picture has no width or no height."""
    layout = {"PNG": (">II", 16), "GIF": ("<HH", 6), "BMP": ("<ii", 18)}.get(name)
    if name == "BMP" and data[14:15] == b"\x0c":
        layout = ("<HH", 18)
    if layout is None or len(data) < layout[1] + struct.calcsize(layout[0]):
        return False
    return 0 in struct.unpack_from(layout[0], data, layout[1])


def describe(data: bytes) -> str:
    """What bytes that are not on the allow-list look like, in words, for an error message."""
    for magic, words in _KNOWN_STRANGERS:
        if data.startswith(magic):
            return words
    if _is_canon_raw(data) or data[4:12] == b"ftypcrx ":
        return "a camera's raw picture"
    if _brands(data) & {b"mif1", b"msf1"}:
        return "a HEIF picture of a codec that is not opened here"
    if data[4:8] in {b"ftyp", b"moov"}:
        return "a video (MP4 or MOV)"
    if data[:4] == b"RIFF":
        return "a video or a sound (AVI or WAV)"
    return _describe_text(data[:4096])


def _describe_text(start: bytes) -> str:
    try:
        text = start[:-3].decode() if len(start) == 4096 else start.decode()
    except UnicodeDecodeError:
        return "nothing known"
    head = text.lstrip("\ufeff \t\r\n").lower()
    if "<svg" in head[:2000]:
        return "an SVG drawing"
    if head.startswith(("<!doctype html", "<html")):
        return "a web page"
    if any(ord(character) < 32 and character not in "\t\r\n\f" for character in text):
        return "nothing known"
    return "a text file"


def padding_warning(data: bytes, name: str) -> str | None:
    """A warning, in words, if the end of a file is nothing but zeros, as a download that broke off leaves it.

    The decoders of the formats that pack pictures into boxes do not notice; those of the others do.
    """
    zeros = len(data) - len(data.rstrip(b"\0"))
    if name not in {"WEBP", "AVIF", "HEIC"} or zeros < max(256, len(data) // 100):
        return None
    return f"the last {zeros} bytes of the file are zeros, as in a broken download; part of the picture may be missing"


def extension_warning(path: str, name: str) -> str | None:
    """A warning, in words, if a file's ending is that of another format than ``name``."""
    extension = PurePath(path).suffix.lower()
    promised = FORMAT_OF_EXTENSION.get(extension)
    if promised is None or promised == name:
        return None
    return f"the file's name ends in {extension}, but it holds a {name} picture; it was read as {name}"
