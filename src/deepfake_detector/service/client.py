"""Asks a service over HTTP what ``Detector`` says in process: the same reports, the same errors; sync and async."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Self

from deepfake_detector.core.concurrency import map_ahead
from deepfake_detector.core.errors import InputError, MissingExtraError
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Failure, Report
from deepfake_detector.core.video import AnyOutcome, Progress, VideoReport
from deepfake_detector.service.exchange import (
    FIRST_PAUSE,
    VIDEO_PAUSE,
    Access,
    Call,
    Source,
    progress,
    report_of,
    upload,
    waiting_for,
)

if TYPE_CHECKING:
    import httpx

Watch = Callable[[Progress], None]
"""Told how far the analysis of a video is."""


class DeepfakeDetectorClient:
    """Asks a service::

        with DeepfakeDetectorClient("https://detector.example", key="dfk_…") as client:
            report = client.analyze("photo.jpg")

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
        return _picture(self._analyze(source, None))

    def analyze_video(self, source: Source, watch: Watch | None = None) -> VideoReport:
        """The report for one video; ``watch`` is told how far it is. The file is read while it is sent.

        Raises as ``analyze`` does.
        """
        return _video(self._analyze(source, watch))

    def _analyze(self, source: Source, watch: Watch | None) -> Report | VideoReport:
        with upload(source, self._settings) as sent:
            answer = self._ask(sent.call).json()
        while (waiting := waiting_for(answer)) is not None:
            if watch is not None:
                watch(progress(answer))
            time.sleep(VIDEO_PAUSE if sent.video else FIRST_PAUSE)
            answer = self._ask(Call("GET", waiting)).json()
        return report_of(answer, sent.path)

    def analyze_many(
        self, sources: Iterable[Source], workers: int = 4, *, watch: Watch | None = None
    ) -> Iterator[AnyOutcome]:
        """One outcome for each picture or video, in their order, with ``workers`` requests at a time.

        An input that cannot be analysed gives a Failure and stops nothing. Raises ServiceError.
        """
        yield from map_ahead(lambda source: self._outcome(source, watch), sources, workers)

    def _outcome(self, source: Source, watch: Watch | None) -> AnyOutcome:
        try:
            return self._analyze(source, watch)
        except (InputError, MissingExtraError) as error:
            path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
            return Failure(path, error.code, str(error))

    def model(self) -> dict[str, Any]:
        """Which model answers: ``model``, its ``card``, and the ``limits`` of any answer."""
        found: dict[str, Any] = self._ask(Call("GET", "/v1/model")).json()
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

    def _ask(self, call: Call) -> httpx.Response:
        attempt = 0
        while True:
            response, error = None, None
            try:
                response = self._http.request(call.method, call.place, **call.options)
            except self._httpx.TransportError as caught:
                error = caught
            if response is not None and response.is_success:
                return response
            pause = self._access.pause(attempt, response)
            if pause is None:
                raise self._access.failure(response, error) from error
            time.sleep(pause)
            attempt += 1


class AsyncDeepfakeDetectorClient:
    """The same for ``asyncio``::

    async with AsyncDeepfakeDetectorClient("http://127.0.0.1:8000") as client:
        report = await client.analyze("photo.jpg")
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
        return _picture(await self._analyze(source, None))

    async def analyze_video(self, source: Source, watch: Watch | None = None) -> VideoReport:
        """As ``DeepfakeDetectorClient.analyze_video``."""
        return _video(await self._analyze(source, watch))

    async def _analyze(self, source: Source, watch: Watch | None) -> Report | VideoReport:
        with upload(source, self._settings) as sent:
            answer = (await self._ask(sent.call)).json()
        while (waiting := waiting_for(answer)) is not None:
            if watch is not None:
                watch(progress(answer))
            await asyncio.sleep(VIDEO_PAUSE if sent.video else FIRST_PAUSE)
            answer = (await self._ask(Call("GET", waiting))).json()
        return report_of(answer, sent.path)

    async def model(self) -> dict[str, Any]:
        """As ``DeepfakeDetectorClient.model``."""
        found: dict[str, Any] = (await self._ask(Call("GET", "/v1/model"))).json()
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

    async def _ask(self, call: Call) -> httpx.Response:
        attempt = 0
        while True:
            response, error = None, None
            try:
                response = await self._http.request(call.method, call.place, **call.options)
            except self._httpx.TransportError as caught:
                error = caught
            if response is not None and response.is_success:
                return response
            pause = self._access.pause(attempt, response)
            if pause is None:
                raise self._access.failure(response, error) from error
            await asyncio.sleep(pause)
            attempt += 1


def _library() -> ModuleType:
    try:
        import httpx
    except ModuleNotFoundError as error:
        raise MissingExtraError("asking a service", "client") from error
    return httpx


def _picture(report: Report | VideoReport) -> Report:
    if isinstance(report, VideoReport):
        raise InputError(f"{report.input.path or 'the input'} is a video; give it to analyze_video")
    return report


def _video(report: Report | VideoReport) -> VideoReport:
    if isinstance(report, Report):
        raise InputError(f"{report.input.path or 'the input'} is a picture; give it to analyze")
    return report
