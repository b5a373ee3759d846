"""What a client and a service say to each other: requests that may be sent again, answers, errors by their codes."""

from __future__ import annotations

import io
import json
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from deepfake_detector.core.errors import (
    DamagedInputError,
    DecodeTimeoutError,
    EmptyInputError,
    InputError,
    LimitExceededError,
    NoFramesError,
    NoPicturesError,
    NoVideoStreamError,
    ServiceError,
    UnreadableInputError,
    UnsupportedCodecError,
    UnsupportedFormatError,
)
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Report
from deepfake_detector.core.video import Progress, VideoReport
from deepfake_detector.media.formats import is_video

if TYPE_CHECKING:
    import httpx

Source = str | os.PathLike[str] | bytes

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds before a repetition: twice as many each time, unless the service says how many."""

VIDEO_PAUSE = 1.0
"""Seconds between two questions how far a video is."""

HEAD = 64
"""Bytes that tell a video from a picture."""

_INPUT_ERRORS: Mapping[str, type[InputError]] = {
    kind.code: kind
    for kind in (
        UnreadableInputError, EmptyInputError, UnsupportedFormatError, UnsupportedCodecError, DamagedInputError,
        LimitExceededError, DecodeTimeoutError, NoVideoStreamError, NoFramesError, NoPicturesError, InputError,
    )
}  # fmt: skip
_ABOUT_THE_FILE = frozenset({*_INPUT_ERRORS, "timeout", "analysis_crashed", "missing_extra", "cancelled"})


@dataclass(frozen=True, slots=True)
class Access:
    """How a service is asked: its address, a key (None on loopback), seconds to wait for an answer, repetitions."""

    address: str
    key: str | None = None
    timeout: float = 120.0
    retries: int = 3

    def options(self) -> dict[str, Any]:
        """What both kinds of ``httpx`` client take."""
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        return {"base_url": self.address, "headers": headers, "timeout": self.timeout}

    def pause(self, attempt: int, response: httpx.Response | None) -> float | None:
        """Seconds before the next attempt (the first one was 0); None if there is to be no other."""
        if attempt >= self.retries or (response is not None and response.status_code not in RETRIED_STATUSES):
            return None
        if response is not None and _code(response) == "quota_exceeded":
            return None
        asked = "" if response is None else response.headers.get("retry-after", "")
        if asked.isdecimal():
            return min(float(asked), LONGEST_PAUSE)
        jitter: float = random.uniform(0.5, 1.0)  # noqa: S311 - many clients shall not come back at once
        return min(FIRST_PAUSE * 2.0**attempt, LONGEST_PAUSE) * jitter

    def failure(self, response: httpx.Response | None, error: httpx.TransportError | None) -> Exception:
        """What went wrong, as one of our errors."""
        if response is None:
            return ServiceError(f"cannot reach the service at {self.address} ({error}); is it running, and there?")
        code = _code(response)
        try:
            detail = str(response.json()["detail"])
        except (ValueError, KeyError, TypeError):
            detail = f"{response.status_code} {response.reason_phrase}; is this the address of a deepfake service?"
        if code in _ABOUT_THE_FILE:
            return _input_error(code, detail)
        return ServiceError(f"the service at {self.address} says: {detail}", response.status_code, code)


@dataclass(frozen=True, slots=True)
class Call:
    """A request, in the words of ``httpx``, which may be sent again."""

    method: str
    place: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way: its path, as given, whether it is a video, and the request that carries it."""

    path: str | None
    video: bool
    call: Call


@contextmanager
def upload(source: Source, settings: AnalysisSettings) -> Iterator[Upload]:
    """The request for a path, which is read while it is sent, or for a file's bytes. Raises UnreadableInputError."""
    path = None if isinstance(source, bytes) else os.fspath(source)
    with _opened(source) as file:
        video = is_video(file.read(HEAD))
        file.seek(0)
        yield Upload(path, video, _call(path, file, settings))


@contextmanager
def _opened(source: Source) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(source).open("rb"))
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            raise UnreadableInputError(f"cannot read {os.fspath(source)}: {said}") from error
        yield file


def _call(path: str | None, file: BinaryIO, settings: AnalysisSettings) -> Call:
    name = Path(path).name.encode("utf-8", "replace").decode() if path else "file"
    options = {
        "operating_point": settings.operating_point.value,
        "prior": repr(settings.prior),
        "all_faces": str(settings.all_faces).lower(),
        "explain": str(settings.explain).lower(),
    }
    headers = {"Idempotency-Key": os.urandom(16).hex()}
    files = {"file": (name, file, "application/octet-stream")}
    return Call("POST", "/v1/analyses", {"files": files, "data": options, "headers": headers})


def waiting_for(answer: Mapping[str, Any]) -> str | None:
    """Where to look for an analysis that has not ended; None if it has."""
    found = answer["analyses"][0] if "analyses" in answer else answer
    if "report" in answer and found["state"] not in ("queued", "running"):
        return None
    place: str = found["links"]["self"]
    return place


def progress(answer: Mapping[str, Any]) -> Progress:
    """How far an analysis is, in hundredths."""
    found = answer["analyses"][0] if "analyses" in answer else answer
    return Progress(round(found["progress"] * 100), 100, found.get("seconds_left"))


def report_of(answer: Mapping[str, Any], path: str | None) -> Report | VideoReport:
    """The report in an analysis that has ended. Raises InputError."""
    from deepfake_detector.report.schema import from_json

    if answer["report"] is None:
        error = answer["error"] or {"code": "cancelled", "message": "the analysis was cancelled"}
        raise _input_error(error["code"], error["message"])
    found = from_json(json.dumps(answer["report"]))
    if isinstance(found, VideoReport):
        return replace(found, input=replace(found.input, path=path))
    assert isinstance(found, Report)  # what has a report did not fail
    return replace(found, input=replace(found.input, path=path))


def _input_error(code: str, message: str) -> InputError:
    return _INPUT_ERRORS.get(code, InputError)(message)


def _code(response: httpx.Response) -> str | None:
    try:
        found = response.json()["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(found)
