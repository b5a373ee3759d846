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
from deepfake_detector.service.db.tables import SECOND, Analysis
from deepfake_detector.service.jobs.folder import Folder
from deepfake_detector.service.jobs.messages import Result, Step, Task, Work
from deepfake_detector.service.jobs.pool import Pool, TaskTimeoutError, WorkerDiedError
from deepfake_detector.service.settings import ServiceSettings

POLL = 1.0
"""Seconds between looks for what another process put into the database, or did there."""

AHEAD = 1
"""Jobs that are taken before a worker is free, so that none waits for the database between two of them."""

_log = logging.getLogger(__name__)


class Watch:
    """What somebody who waits for an analysis is told: that something changed, and the row if it has ended here."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.ended: Analysis | None = None


class Runner:
    """Keeps as many jobs running as there are workers, from ``start`` to ``stop``.

    Videos take hours where pictures take moments: where there are several workers, one of them is left to pictures.
    """

    def __init__(self, queue: Queue, pool: Pool, folder: Folder, settings: ServiceSettings) -> None:
        self._queue = queue
        self._pool = pool
        self._folder = folder
        self._settings = settings
        self._free = asyncio.Semaphore(settings.workers + AHEAD)
        self._most_videos = max(settings.workers - 1, 1)
        self._wake = asyncio.Event()
        self._stopping = False
        self._running: dict[str, tuple[Analysis, asyncio.Task[None]]] = {}
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
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

    async def reserve(self) -> bool:
        """Whether there is room to begin a job at once; who got it must ``begin`` one, or ``release`` it."""
        if self._stopping or not self._loops or self._free.locked():
            return False
        await self._free.acquire()
        return True

    def release(self) -> None:
        """Give back what ``reserve`` gave."""
        self._free.release()

    def stop_job(self, name: str) -> None:
        """End the run of an analysis that was cancelled or deleted in the database, if it runs here."""
        for job, task in self._running.values():
            if job.id == name:
                task.cancel()
        self._tell(name)

    @contextmanager
    def watching(self, name: str) -> Iterator[Watch]:
        """What changes about an analysis; clear ``changed``, then look."""
        watch = Watch()
        self._watches[name].add(watch)
        try:
            yield watch
        finally:
            self._watches[name].discard(watch)
            if not self._watches[name]:
                del self._watches[name]

    def _tell(self, name: str, ended: Analysis | None = None) -> None:
        for watch in self._watches.get(name, ()):
            watch.ended = ended or watch.ended
            watch.changed.set()

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
            self.begin(job)

    async def _take(self) -> Analysis | None:
        videos = sum(job.video for job, _ in self._running.values())
        try:
            return await asyncio.to_thread(self._queue.take, videos=videos < self._most_videos)
        except SQLAlchemyError as error:
            _log.error("cannot look for jobs: %s", type(error).__name__)
            return None

    def begin(self, job: Analysis) -> None:
        """Run a job that is marked as ours, in the room that was reserved for it."""
        assert job.lease is not None
        lease = job.lease
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._running[lease] = (job, task)

        def ended(_: asyncio.Task[None]) -> None:
            self._running.pop(lease, None)
            self._free.release()
            if job.video:  # another one may have waited for this
                self.wake()
            self._tell(job.id)

        task.add_done_callback(ended)
        self._tell(job.id)

    async def _run(self, job: Analysis) -> None:
        try:
            outcome = await self._outcome(job)
            if outcome is None:
                await asyncio.to_thread(self._queue.give_back, job, counted=True)
                self.wake()
            elif row := await asyncio.to_thread(self._queue.finish, job, outcome):
                self.on_end(outcome)
                self._tell(job.id, row)
        except asyncio.CancelledError:
            # Cancelled or deleted by its owner, or lost to another process: then this changes nothing.
            await asyncio.to_thread(self._queue.give_back, job, counted=False)
            raise
        except SQLAlchemyError as error:
            # The lease runs out, and the job is done again.
            _log.error("cannot write the end of a job: %s", type(error).__name__)

    async def _outcome(self, job: Analysis) -> Outcome | None:
        """How the job ends; None if it is to be begun again."""

        async def on_step(step: Step) -> None:
            await asyncio.to_thread(self._queue.progress, job, step.share, step.seconds_left)
            self._tell(job.id)

        timeout = self._settings.video_timeout if job.video else self._settings.analysis_timeout
        try:
            return _as_outcome(await self._pool.do(task_for(job, self._folder, "analyse"), timeout, on_step))
        except TaskTimeoutError:
            what = "video shorter" if job.video else "picture smaller"
            message = f"the analysis took more than {timeout:.0f} seconds; make the {what}"
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


def task_for(row: Analysis, folder: Folder, work: Work, face: int = 0) -> Task:
    """What a worker is told that is to do something with the file of an analysis, or with its answer."""
    return Task(
        work,
        str(folder.path(row.id)),
        row.name,
        row.operating_point,
        row.prior,
        row.all_faces,
        row.explain,
        row.video,
        None if work == "analyse" else row.report,
        (row.finished or row.created) / SECOND,
        face,
    )


def _as_outcome(result: Result) -> Outcome:
    if result.code is not None:
        # What a decoder complains of may hold anything, and PostgreSQL stores no zero byte.
        return Outcome(error_code=result.code, error_message=printable(encodable(result.message)))
    return Outcome(report=result.answer, verdict=result.verdict, p_fake=result.p_fake)
