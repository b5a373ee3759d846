"""All that the routes use, put together when the service starts and taken apart when it ends."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.scoring.bundle import Bundle, load_bundle
from deepfake_detector.service.db.analyses import Analyses
from deepfake_detector.service.db.engine import Database
from deepfake_detector.service.db.keys import KeyStore
from deepfake_detector.service.db.queue import Queue
from deepfake_detector.service.jobs.folder import Folder
from deepfake_detector.service.jobs.janitor import keep_tidy
from deepfake_detector.service.jobs.messages import Setup
from deepfake_detector.service.jobs.pool import Pool
from deepfake_detector.service.jobs.runner import Runner
from deepfake_detector.service.ratelimit import RateLimit
from deepfake_detector.service.settings import MEGABYTE, ServiceSettings
from deepfake_detector.service.telemetry import Telemetry

FAILED_LOGINS_PER_MINUTE = 30


@dataclass(frozen=True, slots=True)
class Services:
    """What one running service is made of."""

    settings: ServiceSettings
    bundle: Bundle
    database: Database
    analyses: Analyses
    keys: KeyStore
    queue: Queue
    folder: Folder
    pool: Pool
    runner: Runner
    telemetry: Telemetry
    requests: RateLimit
    failures: RateLimit


def assemble(settings: ServiceSettings) -> Services:
    """Make the parts; nothing runs yet. Raises ConfigError, ModelError or MissingExtraError."""
    folder = Folder(settings.folder)
    database = Database(settings.database)
    queue = Queue(database, settings.lease, settings.attempts)
    pool = Pool(_setup(settings), settings.workers)
    services = Services(
        settings=settings,
        bundle=load_bundle(settings.model),
        database=database,
        analyses=Analyses(database),
        keys=KeyStore(database),
        queue=queue,
        folder=folder,
        pool=pool,
        runner=Runner(queue, pool, folder, settings),
        telemetry=Telemetry(),
        requests=RateLimit(settings.requests_per_minute),
        failures=RateLimit(FAILED_LOGINS_PER_MINUTE),
    )
    services.runner.on_end = services.telemetry.count_end
    return services


def _setup(settings: ServiceSettings) -> Setup:
    limits, videos = settings.limits, settings.video_limits
    return Setup(
        settings.model,
        limits.max_bytes,
        limits.max_pixels,
        limits.max_side,
        settings.worker_memory_mb * MEGABYTE,
        None if settings.trust_anchors is None else str(settings.trust_anchors),
        videos.max_bytes,
        videos.max_seconds,
        videos.max_decode_seconds,
    )


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Bring the database up to date, take up what a crash left, start the workers; end all of it afterwards."""
    settings, database = services.settings, services.database
    with _alone(settings.folder) if database.is_sqlite else nullcontext():
        database.migrate()
        if settings.needs_keys and not services.keys.any_valid():
            raise ConfigError("keys are needed and there is none yet; make one with `deepfake keys create NAME`")
        # With SQLite no other process can be running what is marked so.
        services.queue.recover(all_running=database.is_sqlite)
        await services.pool.open()
        services.runner.start()
        tidying = asyncio.get_running_loop().create_task(
            keep_tidy(services.analyses, services.folder, settings.retention_days)
        )
        try:
            yield
        finally:
            tidying.cancel()
            await services.runner.stop()
            await services.pool.close()
            database.close()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system lets go when the process ends, however it ends. Raises ConfigError."""
    with (folder / "lock").open("wb") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise ConfigError(
                f"another service is using {folder}; end it, give another folder, or use PostgreSQL for several"
            ) from error
        yield


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
