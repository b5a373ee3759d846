"""Asks a service over HTTP what ``Detector`` says in process: the same reports, the same errors; sync and async."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from deepfake_detector.core.concurrency import map_ahead
from deepfake_detector.core.errors import (
    DamagedInputError,
    EmptyInputError,
    InputError,
    LimitExceededError,
    MissingExtraError,
    NoPicturesError,
    ServiceError,
    UnreadableInputError,
    UnsupportedFormatError,
)
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Failure, Outcome, Report

if TYPE_CHECKING:
    import httpx

Source = str | os.PathLike[str] | bytes

RETRIED_STATUSES = frozenset({429, 502, 503, 504})
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
"""Seconds before a repetition: twice as many each time, unless the service says how many."""

_INPUT_ERRORS: Mapping[str, type[InputError]] = {
    kind.code: kind
    for kind in (
        UnreadableInputError, EmptyInputError, UnsupportedFormatError, DamagedInputError, LimitExceededError,
        NoPicturesError, InputError,
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


@dataclass(frozen=True, slots=True)
class _Request:
    """A request, in the words of ``httpx``, which may be sent again."""

    method: str
    place: str
    options: dict[str, Any] = field(default_factory=dict)


class DeepfakeDetectorClient:
    """Asks a service.

    ```python
    with DeepfakeDetectorClient("https://detector.example", key="dfk_…") as client:
        report = client.analyze("photo.jpg")
    ```

    ``settings`` are as for ``Detector``; threads and limits are the service's own affair. What fails on the way is sent
    again, up to ``retries`` times, under a name by which the service knows that it is the same. One client may be used
    by many threads at once. Raises MissingExtraError without the extra [client].
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        settings: AnalysisSettings | None = None,
        *,
        timeout: float = 120.0,
        retries: int = 3,
    ) -> None:
        self._access = Access(address, key, timeout, retries)
        self._settings = settings or AnalysisSettings()
        self._httpx = _library()
        self._http: httpx.Client = self._httpx.Client(**self._access.options())

    def analyze(self, source: Source) -> Report:
        """The report for one picture: a path, or a file's bytes.

        Raises InputError where the picture cannot be analysed, ServiceError where the service cannot be asked.
        """
        path, data = _read(source)
        answer = self._ask(_upload(path, data, self._settings)).json()
        while (waiting := _waiting_for(answer)) is not None:
            time.sleep(FIRST_PAUSE)
            answer = self._ask(_Request("GET", waiting)).json()
        return _report(answer, path)

    def analyze_many(self, sources: Iterable[Source], workers: int = 4) -> Iterator[Outcome]:
        """One outcome for each source, in their order, with ``workers`` requests at a time.

        A picture that cannot be analysed gives a Failure and stops nothing. Raises ServiceError.
        """
        yield from map_ahead(self._outcome, sources, workers)

    def _outcome(self, source: Source) -> Outcome:
        try:
            return self.analyze(source)
        except (InputError, MissingExtraError) as error:
            path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
            return Failure(path, error.code, str(error))

    def model(self) -> dict[str, Any]:
        """Which model answers: ``model``, its ``card``, and the ``limits`` of any answer."""
        found: dict[str, Any] = self._ask(_Request("GET", "/v1/model")).json()
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: _Request) -> httpx.Response:
        attempt = 0
        while True:
            response, error = None, None
            try:
                response = self._http.request(request.method, request.place, **request.options)
            except self._httpx.TransportError as caught:
                error = caught
            if response is not None and response.is_success:
                return response
            pause = self._access.pause(attempt, response)
            if pause is None:
                raise _failure(self._access.address, response, error) from error
            time.sleep(pause)
            attempt += 1


class AsyncDeepfakeDetectorClient:
    """The same for ``asyncio``.

    ```python
    async with AsyncDeepfakeDetectorClient("http://127.0.0.1:8000") as client:
        report = await client.analyze("photo.jpg")
    ```
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        settings: AnalysisSettings | None = None,
        *,
        timeout: float = 120.0,
        retries: int = 3,
    ) -> None:
        self._access = Access(address, key, timeout, retries)
        self._settings = settings or AnalysisSettings()
        self._httpx = _library()
        self._http: httpx.AsyncClient = self._httpx.AsyncClient(**self._access.options())

    async def analyze(self, source: Source) -> Report:
        """As ``DeepfakeDetectorClient.analyze``."""
        path, data = await asyncio.to_thread(_read, source)
        answer = (await self._ask(_upload(path, data, self._settings))).json()
        while (waiting := _waiting_for(answer)) is not None:
            await asyncio.sleep(FIRST_PAUSE)
            answer = (await self._ask(_Request("GET", waiting))).json()
        return _report(answer, path)

    async def model(self) -> dict[str, Any]:
        """As ``DeepfakeDetectorClient.model``."""
        found: dict[str, Any] = (await self._ask(_Request("GET", "/v1/model"))).json()
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, request: _Request) -> httpx.Response:
        attempt = 0
        while True:
            response, error = None, None
            try:
                response = await self._http.request(request.method, request.place, **request.options)
            except self._httpx.TransportError as caught:
                error = caught
            if response is not None and response.is_success:
                return response
            pause = self._access.pause(attempt, response)
            if pause is None:
                raise _failure(self._access.address, response, error) from error
            await asyncio.sleep(pause)
            attempt += 1


def _library() -> ModuleType:
    try:
        import httpx
    except ModuleNotFoundError as error:
        raise MissingExtraError("asking a service", "client") from error
    return httpx


def _read(source: Source) -> tuple[str | None, bytes]:
    """The path of a source, as given, and its bytes. Raises UnreadableInputError."""
    if isinstance(source, bytes):
        return None, source
    path = os.fspath(source)
    try:
        return path, Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise UnreadableInputError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _upload(path: str | None, data: bytes, settings: AnalysisSettings) -> _Request:
    name = Path(path).name.encode("utf-8", "replace").decode() if path else "picture"
    options = {
        "operating_point": settings.operating_point.value,
        "prior": repr(settings.prior),
        "all_faces": str(settings.all_faces).lower(),
        "explain": str(settings.explain).lower(),
    }
    headers = {"Idempotency-Key": os.urandom(16).hex()}
    files = {"file": (name, data, "application/octet-stream")}
    return _Request("POST", "/v1/analyses", {"files": files, "data": options, "headers": headers})


def _waiting_for(answer: Mapping[str, Any]) -> str | None:
    """Where to look for an analysis that has not ended; None if it has."""
    found = answer["analyses"][0] if "analyses" in answer else answer
    if "report" in answer and found["state"] not in ("queued", "running"):
        return None
    place: str = found["links"]["self"]
    return place


def _report(answer: Mapping[str, Any], path: str | None) -> Report:
    """The report in an analysis that has ended. Raises InputError."""
    from deepfake_detector.report.schema import AnalysedRecord, from_record

    if answer["report"] is None:
        error = answer["error"] or {"code": "cancelled", "message": "the analysis was cancelled"}
        raise _input_error(error["code"], error["message"])
    report = from_record(AnalysedRecord.model_validate(answer["report"]))
    assert isinstance(report, Report)
    return replace(report, input=replace(report.input, path=path))


def _failure(address: str, response: httpx.Response | None, error: httpx.TransportError | None) -> Exception:
    """What went wrong, as one of our errors."""
    if response is None:
        return ServiceError(f"cannot reach the service at {address} ({error}); is it running, is the address right?")
    code = _code(response)
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.reason_phrase}; is this the address of a deepfake service?"
    if code in _ABOUT_THE_FILE:
        return _input_error(code, detail)
    return ServiceError(f"the service at {address} says: {detail}", response.status_code, code)


def _input_error(code: str, message: str) -> InputError:
    return _INPUT_ERRORS.get(code, InputError)(message)


def _code(response: httpx.Response) -> str | None:
    try:
        found = response.json()["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return str(found)
