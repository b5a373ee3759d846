"""Makes jobs of what a request sent: files in the folder, rows in the table; all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from deepfake_detector.service.db.analyses import QueueFullError, QuotaError, Retry, Room
from deepfake_detector.service.db.tables import Analysis, State, new_id, now
from deepfake_detector.service.problems import Problem
from deepfake_detector.service.services import Services
from deepfake_detector.service.settings import MEGABYTE
from deepfake_detector.service.uploads import Upload, Uploads

RETRY_WHEN_FULL = 5
"""Seconds."""


async def begin_jobs(services: Services, owner: str, uploads: Uploads, retry: Retry | None) -> Sequence[Analysis]:
    """Make the jobs; a single picture does not go through the queue if there is room. Raises Problem."""
    batch = new_id()
    new = [_row(owner, batch, position, uploads) for position, _ in enumerate(uploads.files)]
    at_once = len(new) == 1 and not new[0].video and await services.runner.reserve()
    if at_once:
        services.queue.begun(new[0])
    begun = False
    try:
        rows = await asyncio.to_thread(_put, services, new, uploads, retry)
        begun = at_once and rows is new  # it may be the repetition of a request
        if begun:
            services.runner.begin(new[0])
    finally:
        if at_once and not begun:
            services.runner.release()
    if not at_once:
        services.runner.wake()
    return rows


def _put(services: Services, new: Sequence[Analysis], uploads: Uploads, retry: Retry | None) -> Sequence[Analysis]:
    """Keep the files and make the jobs, all or none. Raises Problem."""
    names: set[str] = set()
    try:
        for row, upload in zip(new, uploads.files, strict=True):
            if upload.error is None:
                services.folder.keep(row.id, upload.content)
                names.add(row.id)
        rows = services.analyses.add(new, _room(services), retry)
    except BaseException as error:
        _remove(services, names)
        if isinstance(error, QueueFullError):
            wait = {"Retry-After": str(RETRY_WHEN_FULL)}
            raise Problem("queue_full", "too many analyses are waiting; try again later", headers=wait) from error
        if isinstance(error, QuotaError):
            raise Problem("quota_exceeded", f"{error} may keep no more files; delete analyses first") from error
        raise
    if rows is None:
        _remove(services, names)
        raise Problem("idempotency_mismatch", "this Idempotency-Key came with another content; use a new one")
    _remove(services, names - {row.id for row in rows})
    return rows


def _remove(services: Services, names: set[str]) -> None:
    for name in names:
        services.folder.remove(name)


def _room(services: Services) -> Room:
    settings = services.settings
    return Room(settings.queue_size, settings.disk_quota_mb * MEGABYTE, settings.key_quota_mb * MEGABYTE)


def _row(owner: str, batch: str, position: int, uploads: Uploads) -> Analysis:
    upload: Upload = uploads.files[position]
    options = uploads.options
    row = Analysis(
        id=new_id(),
        owner=owner,
        batch=batch,
        position=position,
        state=State.QUEUED.value,
        progress=0.0,
        created=now(),
        attempts=0,
        name=upload.name,
        sha256=upload.sha256,
        bytes=upload.size,
        stored=upload.size,
        operating_point=options.operating_point.value,
        prior=options.prior,
        all_faces=options.all_faces,
        explain=options.explain,
        video=upload.video,
    )
    if upload.error is not None:
        row.state, row.progress, row.finished, row.stored = State.FAILED.value, 1.0, row.created, 0
        row.error_code, row.error_message = upload.error
    return row
