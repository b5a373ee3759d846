"""What a picture file says beside its pixels: EXIF, XMP and text chunks, as plain named texts."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image

from deepfake_detector.core.errors import InputError
from deepfake_detector.media.decode import header_of

MOST_TEXT = 200_000
"""Characters of a field that are looked at; what generators write comes first."""

_BASE = {"Make": 0x010F, "Model": 0x0110, "Software": 0x0131, "ImageDescription": 0x010E, "Artist": 0x013B}
_USER_COMMENT = 0x9286
_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
_XMP_FIELDS = ("CreatorTool", "Credit", "description", "Description", "softwareAgent")
# As an attribute, or as an element, perhaps within a list. Every repetition is bounded: strangers write this text.
_XMP_FIELD = r':{name}(?:="([^"]{{0,2000}})"|>(?:\s{{0,99}}<[^<>]{{0,200}}>){{0,4}}([^<]{{1,2000}})<)'
_SOURCE_TYPE = re.compile(r"digitalsourcetype/(\w{1,64})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Field:
    """A text in a file; ``where`` is such as "EXIF Software", "PNG text parameters" or "XMP CreatorTool"."""

    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The texts of a file, its IPTC digital source types (last word of the URI), its JPEG quantisation tables.

    Each table has 64 numbers, luminance first, in the order of rows.
    """

    fields: tuple[Field, ...] = ()
    source_types: tuple[str, ...] = ()
    tables: tuple[tuple[int, ...], ...] = ()

    def text(self, where: str) -> str | None:
        """The text of a field, or None."""
        return next((field.text for field in self.fields if field.where == where), None)


def read_metadata(data: bytes) -> Metadata:
    """The metadata of a picture file; what is damaged is left out."""
    try:
        with header_of(data, "the file") as image:
            xmp = _xmp(image)
            fields = (*_texts(image), *_xmp_fields(xmp), *_exif(image))
            tables = tuple(tuple(table) for _, table in sorted(getattr(image, "quantization", {}).items()))
    except InputError:
        return Metadata()
    types = dict.fromkeys(_SOURCE_TYPE.findall(xmp))
    return Metadata(tuple(field for field in fields if field.text), tuple(types), tables)


def _texts(image: Image.Image) -> Iterator[Field]:
    """Text chunks of PNG, comments of JPEG and GIF."""
    for key, value in image.info.items():
        if isinstance(key, str) and key not in (*_XMP_KEYS, "exif", "icc_profile", "photoshop"):
            text = _plain(value)
            if text and isinstance(value, str | bytes):
                yield Field(f"{image.format} text {key[:60]}", text)


def _exif(image: Image.Image) -> Iterator[Field]:
    exif = image.getexif()
    for name, tag in _BASE.items():
        yield Field(f"EXIF {name}", _plain(exif.get(tag)))
    yield Field("EXIF UserComment", _user_comment(exif.get_ifd(ExifTags.IFD.Exif).get(_USER_COMMENT)))


def _user_comment(value: Any) -> str:
    """EXIF 2.32, 4.6.5: eight bytes name the coding of the comment."""
    if not isinstance(value, bytes):
        return _plain(value)
    code, rest = value[:8], value[8:]
    if code.startswith(b"UNICODE"):
        # The standard leaves the order of bytes open; text in Latin letters has its zeros in front in big-endian.
        big = rest[0::2].count(0) >= rest[1::2].count(0)
        return _plain(rest.decode("utf-16-be" if big else "utf-16-le", "replace"))
    return _plain(rest if code.startswith((b"ASCII", b"JIS", b"\0\0\0\0")) else value)


def _xmp(image: Image.Image) -> str:
    return next((_plain(image.info[key]) for key in _XMP_KEYS if key in image.info), "")


def _xmp_fields(xmp: str) -> Iterator[Field]:
    """A few fields by their names. The XML is not parsed: it comes from strangers, and no structure is needed."""
    for name in _XMP_FIELDS:
        for attribute, element in re.findall(_XMP_FIELD.format(name=name), xmp):
            yield Field(f"XMP {name}", html.unescape((attribute or element).strip()))


def _plain(value: Any) -> str:
    if isinstance(value, bytes):
        value = value[:MOST_TEXT].decode("utf-8", "replace")
    return value.replace("\0", " ").strip()[:MOST_TEXT] if isinstance(value, str) else ""
