"""Send files, look at what became of them, list, cancel, delete."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi import Path as PathParameter
from pydantic import BaseModel

from deepfake_detector.core.types import Verdict
from deepfake_detector.service.access import Analyst, Caller, Reader, Remover, ServicesHere
from deepfake_detector.service.db.analyses import Filters, Retry
from deepfake_detector.service.db.tables import Analysis, State
from deepfake_detector.service.examples import CREATE_BODY, DONE, QUEUED
from deepfake_detector.service.intake import begin_jobs
from deepfake_detector.service.jobs.runner import POLL
from deepfake_detector.service.problems import CODES, Problem, responses
from deepfake_detector.service.records import AnalysisOut, BatchOut, ListOut, summary, whole
from deepfake_detector.service.services import Services
from deepfake_detector.service.uploads import uploads_of

router = APIRouter(prefix="/v1", tags=["analyses"])

ID_PATTERN = r"^[0-9a-f]{32}$"
AnalysisId = Annotated[str, PathParameter(pattern=ID_PATTERN, description="The id of an analysis.")]
_ASYNC = re.compile(r"(?:^|,|;)\s*respond-async\b", re.IGNORECASE)
_WAIT = re.compile(r"(?:^|,|;)\s*wait\s*=\s*(\d{1,6})", re.IGNORECASE)
_CREATE_PROBLEMS = (
    "bad_request", "unauthorized", "forbidden", "upload_too_slow", "cancelled", "too_large", "too_many_files",
    "unsupported_format", "unsupported_codec", "missing_extra", "invalid", "empty", "damaged", "no_video", "no_frames",
    "input_error", "timeout", "decode_timeout", "analysis_crashed",
    "idempotency_mismatch", "rate_limited", "queue_full", "quota_exceeded",
)  # fmt: skip


@router.post(
    "/analyses",
    summary="Analyse pictures",
    response_model=AnalysisOut,
    responses={
        200: {"description": "One picture, answered at once", "content": {"application/json": {"example": DONE}}},
        202: {
            "model": BatchOut,
            "description": "Several pictures, or one that takes longer, or `Prefer: respond-async`: come back later",
            "content": {"application/json": {"example": QUEUED}},
        },
        **responses(*_CREATE_PROBLEMS),
    },
    openapi_extra={"requestBody": CREATE_BODY},
)
async def create(
    request: Request,
    caller: Analyst,
    services: ServicesHere,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, description="A repetition with the same key is not analysed again."),
    ] = None,
    prefer: Annotated[str | None, Header(max_length=200, description="`respond-async`, or `wait=SECONDS`.")] = None,
) -> Response:
    """Send one picture or several, and how to analyse them.

    One picture is answered at once with its report, or with the problem that it has. For several, for one that takes
    longer, and with `Prefer: respond-async`, the answer is 202 with the jobs, which survive a crash of the service.
    """
    async with uploads_of(request, services.settings) as uploads:
        first = uploads.files[0]
        if len(uploads.files) == 1 and first.error is not None:
            raise Problem(*first.error)
        retry = None if idempotency_key is None else Retry(idempotency_key, uploads.digest)
        rows = await begin_jobs(services, caller.owner, uploads, retry)
    video = any(row.video for row in rows)
    patience = _patience(prefer or "", services.settings.answer_within, 0.0 if video else None)
    if len(rows) == 1:
        row = await _wait(services, rows[0], patience)
        if State(row.state).final:
            return _answer(row)
        rows = (row,)
    one = len(rows) == 1
    place = f"/v1/analyses/{rows[0].id}" if one else f"/v1/batches/{rows[0].batch}"
    return _json(_batch(rows), 202, {"Location": place, "Retry-After": "1"})


@router.get("/analyses", summary="List analyses", responses=responses("unauthorized", "forbidden", "rate_limited"))
def list_analyses(  # noqa: PLR0913 - each is a query parameter
    caller: Reader,
    services: ServicesHere,
    *,
    state: State | None = None,
    verdict: Verdict | None = None,
    batch: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,18}-[0-9a-f]{32}$", description="`next` of a page")] = None,
) -> ListOut:
    """Your analyses, the newest first, a page at a time."""
    before = None
    if cursor is not None:
        created, _, name = cursor.partition("-")
        before = int(created), name
    filters = Filters(state, None if verdict is None else verdict.value, batch, before)
    rows = services.analyses.list(caller.owner, filters, limit + 1)
    shown = rows[:limit]
    more = f"{shown[-1].created}-{shown[-1].id}" if len(rows) > limit else None
    return ListOut(analyses=tuple(summary(row) for row in shown), next=more)


@router.get(
    "/analyses/{name}",
    summary="One analysis",
    responses={
        200: {"content": {"application/json": {"example": DONE}}},
        **responses("unauthorized", "forbidden", "not_found", "rate_limited"),
    },
)
def get_analysis(name: AnalysisId, caller: Reader, services: ServicesHere) -> AnalysisOut:
    """Its state, and its report once it is done."""
    return whole(found(services, caller, name))


@router.get(
    "/batches/{name}",
    summary="What came in one request",
    responses=responses("unauthorized", "forbidden", "not_found", "rate_limited"),
)
def get_batch(name: AnalysisId, caller: Reader, services: ServicesHere) -> BatchOut:
    """The analyses of one request, in the order of its files."""
    rows = services.analyses.batch(caller.owner, name)
    if not rows:
        raise Problem("not_found", f"there is no batch {name}, or it belongs to somebody else")
    return _batch(rows)


@router.post(
    "/analyses/{name}/cancel",
    summary="Cancel",
    responses=responses("unauthorized", "forbidden", "not_found", "conflict", "rate_limited"),
)
async def cancel(name: AnalysisId, caller: Analyst, services: ServicesHere) -> AnalysisOut:
    """Stop an analysis that waits or runs."""
    await asyncio.to_thread(found, services, caller, name)
    if not await asyncio.to_thread(services.analyses.cancel, caller.owner, name):
        raise Problem("conflict", "the analysis has ended already; delete it if it is not wanted")
    services.runner.stop_job(name)
    return whole(await asyncio.to_thread(found, services, caller, name))


@router.delete(
    "/analyses/{name}",
    summary="Delete",
    status_code=204,
    responses=responses("unauthorized", "forbidden", "not_found", "rate_limited"),
)
async def delete(name: AnalysisId, caller: Remover, services: ServicesHere) -> Response:
    """Delete an analysis with its file and report; if it runs, it is stopped."""
    if not await asyncio.to_thread(services.analyses.delete, caller.owner, name):
        raise _missing(name)
    services.runner.stop_job(name)
    await asyncio.to_thread(services.folder.remove, name)
    return Response(status_code=204)


def found(services: Services, caller: Caller, name: str) -> Analysis:
    """The caller's analysis of this id. Raises Problem: what belongs to somebody else is not there."""
    row = services.analyses.get(caller.owner, name)
    if row is None:
        raise _missing(name)
    return row


def _missing(name: str) -> Problem:
    return Problem("not_found", f"there is no analysis {name}, or it belongs to somebody else")


def _patience(prefer: str, most: float, unasked: float | None) -> float:
    """Seconds to wait for an answer, as the header ``Prefer`` (RFC 7240) wants, up to ``most``; else ``unasked``."""
    if _ASYNC.search(prefer):
        return 0.0
    asked = _WAIT.search(prefer)
    if asked is None:
        return most if unasked is None else unasked
    return min(float(asked[1]), most)


async def _wait(services: Services, row: Analysis, patience: float) -> Analysis:
    """The row once it is final, or after ``patience`` seconds."""
    end = asyncio.get_running_loop().time() + patience
    with services.runner.watching(row.id) as watch:
        while True:
            watch.changed.clear()
            left = end - asyncio.get_running_loop().time()
            if State(row.state).final or left <= 0.0:
                return row
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(watch.changed.wait(), min(left, POLL))
            if watch.ended is not None:
                return watch.ended
            fresh = await asyncio.to_thread(services.analyses.get, row.owner, row.id)
            if fresh is None:
                raise _missing(row.id)
            row = fresh


def _answer(row: Analysis) -> Response:
    place = {"Location": f"/v1/analyses/{row.id}"}
    if row.state == State.DONE:
        return _json(whole(row), 200, place)
    if row.state == State.CANCELLED:
        raise Problem("cancelled", "the analysis was cancelled", headers=place, analysis=row.id)
    code = row.error_code if row.error_code in CODES else "input_error"
    raise Problem(code or "input_error", row.error_message or "", headers=place, analysis=row.id)


def _batch(rows: Sequence[Analysis]) -> BatchOut:
    return BatchOut(batch=rows[0].batch, analyses=tuple(summary(row) for row in rows))


def _json(body: BaseModel, status: int, headers: dict[str, Any]) -> Response:
    return Response(body.model_dump_json(), status, headers, "application/json")
