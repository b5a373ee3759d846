"""Deletes what has been kept long enough: answers, their files, names of requests, and what a crash left over."""

from __future__ import annotations

import asyncio
import logging

from sqlalchemy.exc import SQLAlchemyError

from deepfake_detector.service.db.analyses import Analyses
from deepfake_detector.service.db.tables import SECOND, now
from deepfake_detector.service.jobs.folder import Folder

DAY = 24 * 3600
PAUSE = 600.0
"""Seconds between two rounds."""

_log = logging.getLogger(__name__)


def tidy(analyses: Analyses, folder: Folder, retention_days: float) -> int:
    """One round; returns how many analyses were deleted."""
    gone = analyses.expire(now() - int(retention_days * DAY * SECOND))
    for name in gone:
        folder.remove(name)
    lying = tuple(folder.names())
    for name in set(lying) - analyses.known(lying):
        folder.remove(name)
    return len(gone)


async def keep_tidy(analyses: Analyses, folder: Folder, retention_days: float) -> None:
    """Rounds without end."""
    while True:
        try:
            await asyncio.to_thread(tidy, analyses, folder, retention_days)
        except (SQLAlchemyError, OSError) as error:
            _log.error("cannot delete what is old: %s", type(error).__name__)
        await asyncio.sleep(PAUSE)
