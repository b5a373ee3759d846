"""The files and options of a request, read while they come in, and checked before anything is kept."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from deepfake_detector.core.types import SHIPPED_POINTS, OperatingPoint
from deepfake_detector.media.formats import FORMATS_IN_WORDS, VIDEOS_IN_WORDS, describe, is_video, sniff
from deepfake_detector.report.text import encodable, printable
from deepfake_detector.service.problems import Problem
from deepfake_detector.service.settings import ServiceSettings

FILE_FIELD = "file"
MOST_FIELDS = 16
FIELD_BYTES = 4096
NAME_LENGTH = 255
NO_NAME = "file without a name"
HEAD = 4096
"""Bytes that tell the format."""


class Options(BaseModel):
    """How the files of a request are to be analysed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    operating_point: OperatingPoint = OperatingPoint.FPR5
    prior: float = Field(default=0.5, gt=0.0, lt=1.0)
    all_faces: bool = False
    explain: bool = False

    @field_validator("operating_point")
    @classmethod
    def _of_the_model(cls, point: OperatingPoint) -> OperatingPoint:
        if point not in SHIPPED_POINTS:
            raise ValueError(f"give one of the model's own: {', '.join(SHIPPED_POINTS)}")
        return point


@dataclass(frozen=True, slots=True)
class Upload:
    """One file: what its owner called it, its bytes, and what is wrong with it (code and message), or None."""

    name: str
    sha256: str
    size: int
    content: BinaryIO
    video: bool
    error: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Uploads:
    """What a request sent; ``digest`` is the SHA-256 of all that it means, for the comparison with a repetition."""

    files: tuple[Upload, ...]
    options: Options
    digest: str


@asynccontextmanager
async def uploads_of(request: Request, settings: ServiceSettings) -> AsyncIterator[Uploads]:
    """Read a request's form; its files live as long as the block. Raises Problem."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise Problem("bad_request", f"send the files as multipart/form-data, each in a part named {FILE_FIELD!r}")
    try:
        form = request.form(max_files=settings.max_files, max_fields=MOST_FIELDS, max_part_size=FIELD_BYTES)
        async with form as fields:
            yield await run_in_threadpool(_uploads, fields, settings)
    except HTTPException as error:
        if "Too many files" in str(error.detail):
            raise Problem("too_many_files", f"at most {settings.max_files} files go into one request") from error
        raise Problem("bad_request", f"the form cannot be read: {error.detail}") from error


def _uploads(fields: FormData, settings: ServiceSettings) -> Uploads:
    """Check all parts; what is wrong with one file of several concerns that file alone."""
    found = [part for part in fields.getlist(FILE_FIELD) if isinstance(part, UploadFile)]
    if not found:
        raise Problem("invalid", f"there is no file; send at least one part named {FILE_FIELD!r} with a filename")
    stray = {name for name, part in fields.multi_items() if isinstance(part, UploadFile)} - {FILE_FIELD}
    if stray:
        raise Problem("invalid", f"a file came in the part {min(stray)[:80]!r}; name it {FILE_FIELD!r}")
    options = _options(fields)
    files = tuple(_upload(part, settings) for part in found)
    digest = hashlib.sha256(options.model_dump_json().encode())
    for file in files:
        digest.update(file.sha256.encode())
    return Uploads(files, options, digest.hexdigest())


def _options(fields: FormData) -> Options:
    given = {name: part for name, part in fields.multi_items() if not isinstance(part, UploadFile)}
    try:
        return Options.model_validate(given)
    except ValidationError as error:
        said = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()[:5]]
        raise Problem("invalid", "; ".join(said)) from error


def _upload(part: UploadFile, settings: ServiceSettings) -> Upload:
    content = part.file
    digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
    size = content.tell()
    content.seek(0)
    head = content.read(HEAD)
    content.seek(0)
    name = display_name(part.filename or "")
    video = is_video(head)
    return Upload(name, digest, size, content, video, _wrong_with(name, head, size, settings))


def _wrong_with(name: str, head: bytes, size: int, settings: ServiceSettings) -> tuple[str, str] | None:
    video = is_video(head)
    most = settings.video_limits.max_bytes if video else settings.limits.max_bytes
    if size > most:
        return "too_large", f"{name} has {size} bytes; the limit is {most}: send a smaller file"
    if not head:
        return "empty", f"{name} is empty (0 bytes); get the file again from where it came from"
    if not video and sniff(head) is None:
        return "unsupported_format", (
            f"{name} is not a picture or a video of a format that is opened here (it looks like {describe(head)}); "
            f"give one of {FORMATS_IN_WORDS}, or a video in {VIDEOS_IN_WORDS}"
        )
    return None


def display_name(name: str) -> str:
    """What a file is called by its owner, fit for showing: no folders, no control characters, not too long."""
    last = name.replace("\\", "/").rpartition("/")[2]
    plain = printable(unicodedata.normalize("NFC", encodable(last))).strip()
    return plain[:NAME_LENGTH] or NO_NAME
