"""Takes jobs from the database, has the pool do them, writes their ends, and tells whoever waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from deepfake_detector.report.text import encodable, printable
from deepfake_detector.service.db.queue import CRASHED, Outcome, Queue
from deepfake_detector.service.db.tables import Analysis
from deepfake_detector.service.jobs.folder import Folder
from deepfake_detector.service.jobs.messages import Result, Task
from deepfake_detector.service.jobs.pool import Pool, TaskTimeoutError, WorkerDiedError
from deepfake_detector.service.settings import ServiceSettings

POLL = 1.0
"""Seconds between looks for what another process put into the database, or did there."""

_log = logging.getLogger(__name__)


class Runner:
    """Keeps as many jobs running as there are workers, from ``start`` to ``stop``."""

    def __init__(self, queue: Queue, pool: Pool, folder: Folder, settings: ServiceSettings) -> None:
        self._queue = queue
        self._pool = pool
        self._folder = folder
        self._settings = settings
        self._free = asyncio.Semaphore(settings.workers)
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: dict[str, tuple[Analysis, asyncio.Task[None]]] = {}
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._loops: list[asyncio.Task[None]] = []
        self.on_end: Callable[[Outcome], None] = lambda outcome: None
        """Called with the end of each job that this process did."""

    def start(self) -> None:
        """Begin to take jobs."""
        loop = asyncio.get_running_loop()
        self._loops = [loop.create_task(self._feed()), loop.create_task(self._keep_leases())]

    async def stop(self) -> None:
        """Take no more jobs, and give back those that run."""
        self._stopping = True
        feed, leases = self._loops
        leases.cancel()
        self.wake()
        while self._running or not feed.done():
            for _, task in self._running.values():
                task.cancel()
            await asyncio.wait([feed, *(task for _, task in self._running.values())], timeout=0.1)
        await asyncio.gather(feed, leases, return_exceptions=True)

    def wake(self) -> None:
        """Say that there is a new job."""
        self._wake.set()

    def stop_job(self, name: str) -> None:
        """End the run of an analysis that was cancelled or deleted in the database, if it runs here."""
        for job, task in self._running.values():
            if job.id == name:
                task.cancel()
        self._tell(name)

    @contextmanager
    def watching(self, name: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever something changes about an analysis; clear it, then look."""
        event = asyncio.Event()
        self._watchers[name].add(event)
        try:
            yield event
        finally:
            self._watchers[name].discard(event)
            if not self._watchers[name]:
                del self._watchers[name]

    def _tell(self, name: str) -> None:
        for event in self._watchers.get(name, ()):
            event.set()

    async def _feed(self) -> None:
        while not self._stopping:
            await self._free.acquire()
            self._wake.clear()
            job = None if self._stopping else await self._take()
            if job is None:
                self._free.release()
                if not self._stopping:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), POLL)
                continue
            self._begin(job)

    async def _take(self) -> Analysis | None:
        try:
            return await asyncio.to_thread(self._queue.take)
        except SQLAlchemyError as error:
            _log.error("cannot look for jobs: %s", type(error).__name__)
            return None

    def _begin(self, job: Analysis) -> None:
        assert job.lease is not None
        lease = job.lease
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._running[lease] = (job, task)

        def ended(_: asyncio.Task[None]) -> None:
            self._running.pop(lease, None)
            self._free.release()
            self._tell(job.id)

        task.add_done_callback(ended)
        self._tell(job.id)

    async def _run(self, job: Analysis) -> None:
        try:
            outcome = await self._outcome(job)
            if outcome is None:
                await asyncio.to_thread(self._queue.give_back, job, counted=True)
                self.wake()
            elif await asyncio.to_thread(self._queue.finish, job, outcome):
                self.on_end(outcome)
        except asyncio.CancelledError:
            # Cancelled or deleted by its owner, or lost to another process: then this changes nothing.
            await asyncio.to_thread(self._queue.give_back, job, counted=False)
            raise
        except SQLAlchemyError as error:
            # The lease runs out, and the job is done again.
            _log.error("cannot write the end of a job: %s", type(error).__name__)

    async def _outcome(self, job: Analysis) -> Outcome | None:
        """How the job ends; None if it is to be begun again."""
        file = str(self._folder.path(job.id))
        task = Task("analyse", file, job.name, job.operating_point, job.prior, job.all_faces)
        timeout = self._settings.analysis_timeout
        try:
            return _as_outcome(await self._pool.do(task, timeout))
        except TaskTimeoutError:
            message = f"the analysis took more than {timeout:.0f} seconds; make the picture smaller"
            return Outcome(error_code="timeout", error_message=message)
        except WorkerDiedError:
            if job.attempts < self._settings.attempts:
                return None
            return Outcome(error_code="analysis_crashed", error_message=CRASHED)

    async def _keep_leases(self) -> None:
        """Prolong the leases of what runs, stop what is no longer ours, and take up what others left behind."""
        while True:
            await asyncio.sleep(self._settings.lease / 3)
            held = tuple(self._running)
            try:
                kept = await asyncio.to_thread(self._queue.keep, held)
                if await asyncio.to_thread(self._queue.recover):
                    self.wake()
            except SQLAlchemyError as error:
                _log.error("cannot prolong leases: %s", type(error).__name__)
                continue
            for lease in set(held) - kept:
                if lease in self._running:
                    self._running[lease][1].cancel()


def _as_outcome(result: Result) -> Outcome:
    if result.code is not None:
        # What a decoder complains of may hold anything, and PostgreSQL stores no zero byte.
        return Outcome(error_code=result.code, error_message=printable(encodable(result.message)))
    return Outcome(report=result.answer, verdict=result.verdict, p_fake=result.p_fake)
