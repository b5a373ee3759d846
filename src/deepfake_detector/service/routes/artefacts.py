"""What is made of an answer when somebody asks for it: the HTML report, a preview, heat maps, progress."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Path as PathParameter
from fastapi.responses import StreamingResponse

from deepfake_detector.core.types import Report
from deepfake_detector.report.case import case_json
from deepfake_detector.report.schema import from_json
from deepfake_detector.service.access import Caller, Reader, ServicesHere
from deepfake_detector.service.db.tables import Analysis, State
from deepfake_detector.service.jobs.messages import Work, command
from deepfake_detector.service.jobs.pool import TaskTimeoutError, WorkerDiedError
from deepfake_detector.service.jobs.runner import POLL, task_for
from deepfake_detector.service.model_summary import model_summary
from deepfake_detector.service.problems import CODES, Problem, responses
from deepfake_detector.service.records import heatmaps, summary
from deepfake_detector.service.routes.analyses import AnalysisId, found
from deepfake_detector.service.services import Services

router = APIRouter(prefix="/v1/analyses/{name}", tags=["results"])

STREAM_SECONDS = 600.0
"""A stream of events ends after this; browsers then open it anew by themselves."""

KEEP_ALIVE = 15.0
"""Seconds between comments in a stream where nothing happens, so that nobody between takes it for dead."""

_PROBLEMS = (
    "unauthorized", "forbidden", "not_found", "file_gone", "conflict", "timeout", "analysis_crashed", "rate_limited",
)  # fmt: skip
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)
_CACHED = {"Cache-Control": "private, max-age=3600"}


@router.get(
    "/report.html",
    summary="The HTML report",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}}, **responses(*_PROBLEMS)},
)
async def report(name: AnalysisId, caller: Reader, services: ServicesHere, download: bool = False) -> Response:
    """A page that stands by itself; the browser opens it in a sandbox, without scripts and without network."""
    row = await _done(services, caller, name)
    return _page(await _draw(services, row, "report"), f"deepfake-report-{name}.html" if download else None)


@router.get(
    "/case.json",
    summary="The report as data",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}, **responses(*_PROBLEMS)},
)
async def case(name: AnalysisId, caller: Reader, services: ServicesHere) -> Response:
    """The answer with all sentences of the report, the model's terms and limits, and the command that repeats it."""
    row = _of_a_picture(await _done(services, caller, name))
    outcome = from_json(row.report or "")
    assert isinstance(outcome, Report)  # what is done has a report
    task = task_for(row, services.folder, "report")
    made = datetime.fromtimestamp(task.made, UTC)
    text = case_json(outcome, model_summary(services.bundle.card), command(task), made)
    headers = {"Content-Disposition": f'attachment; filename="deepfake-case-{name}.json"'}
    return Response(text, 200, headers, "application/json")


@router.get(
    "/forensic.html",
    summary="Forensic views",
    response_class=Response,
    responses={200: {"content": {"text/html": {}}}, **responses(*_PROBLEMS)},
)
async def forensic(name: AnalysisId, caller: Reader, services: ServicesHere) -> Response:
    """Error level, noise residual, spectrum, quantisation tables: views, and no verdicts."""
    return _page(await _draw(services, _of_a_picture(await _done(services, caller, name)), "forensic"))


@router.get(
    "/preview.jpg",
    summary="A preview of the picture",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, **responses(*_PROBLEMS)},
)
async def preview(name: AnalysisId, caller: Reader, services: ServicesHere) -> Response:
    """The upright picture, drawn anew without metadata; the file itself is never sent to a browser."""
    row = await _done(services, caller, name)
    return Response(await _draw(services, row, "preview"), 200, _CACHED, "image/jpeg")


@router.get(
    "/heatmaps/{number}.png",
    summary="The heat map of a face",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}, **responses(*_PROBLEMS, "no_heatmap")},
)
async def heatmap(
    name: AnalysisId,
    number: Annotated[int, PathParameter(ge=1, le=10_000, description="The number of the face, from 1.")],
    caller: Reader,
    services: ServicesHere,
) -> Response:
    """Where the evidence lies, to be faded in over the preview; orange speaks for fake, purple for real."""
    row = await _done(services, caller, name)
    there = heatmaps(row)
    if number > len(there) or not there[number - 1]:
        raise Problem("no_heatmap", f"the report has no heat map of face {number}")
    return Response(await _draw(services, row, "heatmap", number - 1), 200, _CACHED, "image/png")


@router.get(
    "/frames/{milliseconds}.jpg",
    summary="A frame of a video",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, **responses(*_PROBLEMS)},
)
async def frame(
    name: AnalysisId,
    milliseconds: Annotated[int, PathParameter(ge=0, le=86_400_000, description="From the start of the video.")],
    caller: Reader,
    services: ServicesHere,
) -> Response:
    """What the video shows at a time, upright, drawn anew; the file itself is never sent to a browser."""
    row = await _done(services, caller, name)
    if not row.video:
        raise Problem("not_found", "this is a picture, without frames; see its preview")
    return Response(await _draw(services, row, "frame", time=milliseconds / 1000.0), 200, _CACHED, "image/jpeg")


@router.get(
    "/events",
    summary="Progress",
    response_class=StreamingResponse,
    responses={
        200: {"description": "Server-sent events `progress` and, last, `end`", "content": {"text/event-stream": {}}},
        **responses("unauthorized", "forbidden", "not_found", "rate_limited"),
    },
)
async def events(name: AnalysisId, caller: Reader, services: ServicesHere) -> StreamingResponse:
    """The analysis (as lists show it) whenever it changes, until it ends."""
    row = await asyncio.to_thread(found, services, caller, name)
    return StreamingResponse(_stream(services, row), media_type="text/event-stream")


async def _stream(services: Services, row: Analysis) -> AsyncIterator[str]:
    clock = asyncio.get_running_loop().time
    end, last_word, said = clock() + STREAM_SECONDS, clock(), ""
    with services.runner.watching(row.id) as watch:
        while clock() < end:
            watch.changed.clear()
            fresh = await asyncio.to_thread(services.analyses.get, row.owner, row.id)
            if fresh is None:
                return
            text = summary(fresh).model_dump_json()
            if text != said:
                final = State(fresh.state).final
                yield f"event: {'end' if final else 'progress'}\ndata: {text}\n\n"
                if final:
                    return
                said, last_word = text, clock()
            elif clock() - last_word > KEEP_ALIVE:
                yield ": still waiting\n\n"
                last_word = clock()
            try:
                await asyncio.wait_for(watch.changed.wait(), POLL)
            except TimeoutError:
                continue


async def _done(services: Services, caller: Caller, name: str) -> Analysis:
    row = await asyncio.to_thread(found, services, caller, name)
    if row.state != State.DONE:
        raise Problem("conflict", f"the analysis is {row.state}; there is a report only once it is done")
    return row


def _of_a_picture(row: Analysis) -> Analysis:
    if row.video:
        raise Problem("not_found", "this is made of pictures only; the analysis is of a video")
    return row


async def _draw(services: Services, row: Analysis, work: Work, face: int = 0, time: float = 0.0) -> bytes:
    """Have a worker draw something. Raises Problem."""
    task = replace(task_for(row, services.folder, work, face), time=time)
    try:
        result = await services.pool.do(task, services.settings.analysis_timeout)
    except TaskTimeoutError:
        raise Problem("timeout", "drawing it took too long") from None
    except WorkerDiedError:
        raise Problem("analysis_crashed", "the file brought the worker down that was to draw it") from None
    if result.code is not None:
        raise Problem(result.code if result.code in CODES else "input_error", result.message)
    return result.payload


def _page(page: bytes, saved_as: str | None = None) -> Response:
    """A page that stands by itself, in a sandbox."""
    styles = " ".join(_hash(style) for style in _STYLE.findall(page)) or "'none'"
    headers = {
        "Content-Security-Policy": (
            f"sandbox; default-src 'none'; img-src data:; style-src {styles}; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
        )
    }
    if saved_as is not None:
        headers["Content-Disposition"] = f'attachment; filename="{saved_as}"'
    return Response(page, 200, headers, "text/html; charset=utf-8")


def _hash(style: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(style).digest()).decode()}'"
