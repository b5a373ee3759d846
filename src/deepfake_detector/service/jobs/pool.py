"""A few worker processes; each does one task at a time, and is killed and replaced when it fails to answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable

from deepfake_detector.core.errors import ModelError
from deepfake_detector.service.jobs.messages import HEADER, FrameError, Result, Setup, Step, Task, pack, sizes, unpack

START_TIMEOUT = 120.0
"""Seconds in which a worker must have opened its model."""

PAUSE_AFTER_FAILURE = 1.0
"""Seconds to wait before a worker that could not start is started again."""

KEPT_VARIABLES = (
    "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV",
    "PYTHONDONTWRITEBYTECODE",
)  # fmt: skip
"""The environment of a worker; secrets such as DATABASE_URL are not in it."""

OnStep = Callable[[Step], Awaitable[None]]

_log = logging.getLogger(__name__)


class WorkerDiedError(Exception):
    """The worker ended, or said nonsense, while it had a task."""


class TaskTimeoutError(Exception):
    """The worker took too long, and was killed."""


class Worker:
    """One process and the pipes to it."""

    def __init__(self, process: Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, setup: Setup) -> Worker:
        """Start a process and wait until its model is open. Raises WorkerDiedError, TaskTimeoutError or ModelError."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deepfake_detector.service.jobs.worker",
            stdin=PIPE, stdout=PIPE, env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            start_new_session=True,  # Ctrl-C is for the service, which ends its workers itself
        )  # fmt: skip
        worker = cls(process)
        try:
            ready = await worker.ask(setup, START_TIMEOUT)
        except BaseException:
            await worker.kill()
            raise
        if ready.code is not None:
            await worker.kill()
            raise ModelError(ready.message)
        return worker

    async def ask(self, message: Task | Setup, timeout: float, on_step: OnStep | None = None) -> Result:
        """Send a message and wait for its result; ``on_step`` is called with how far it is.

        Raises WorkerDiedError or TaskTimeoutError; the worker is then of no use.
        """
        sender, reader = self.process.stdin, self.process.stdout
        assert sender is not None
        assert reader is not None
        try:
            async with asyncio.timeout(timeout):
                sender.write(pack(message))
                await sender.drain()
                while True:
                    text, payload = sizes(await reader.readexactly(HEADER.size))
                    said = unpack(await reader.readexactly(text), await reader.readexactly(payload))
                    if isinstance(said, Result):
                        return said
                    if on_step is not None:
                        await on_step(said)
        except TimeoutError as error:
            raise TaskTimeoutError from error
        except (asyncio.IncompleteReadError, ConnectionError, FrameError) as error:
            raise WorkerDiedError from error

    async def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()


class Pool:
    """``size`` workers, started by ``open``. Raises ModelError from there if the model cannot be used."""

    def __init__(self, setup: Setup, size: int) -> None:
        self._setup = setup
        self._size = size
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._all: set[Worker] = set()
        self._starting: set[asyncio.Task[None]] = set()
        self.replaced = 0
        """How many workers had to be replaced."""

    @property
    def ready(self) -> bool:
        """Whether any worker is there."""
        return bool(self._all)

    async def open(self) -> None:
        """Start the workers, and wait until the first can work."""
        first = await Worker.start(self._setup)
        self._take_in(first)
        for _ in range(self._size - 1):
            self._start_another()

    async def close(self) -> None:
        """End all workers."""
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await asyncio.gather(*(worker.kill() for worker in self._all))
        self._all.clear()

    async def do(self, task: Task, timeout: float, on_step: OnStep | None = None) -> Result:
        """Do a task on the first worker that is free; ``timeout`` (seconds) begins when it is.

        If the caller is cancelled, the worker is killed, because nothing else stops it. Raises WorkerDiedError or
        TaskTimeoutError.
        """
        worker = await self._idle.get()
        try:
            result = await worker.ask(task, timeout, on_step)
        except BaseException:
            self._all.discard(worker)
            self.replaced += 1
            self._start_another()
            await worker.kill()
            raise
        self._idle.put_nowait(worker)
        return result

    def _take_in(self, worker: Worker) -> None:
        self._all.add(worker)
        self._idle.put_nowait(worker)

    def _start_another(self) -> None:
        task = asyncio.get_running_loop().create_task(self._keep_starting())
        self._starting.add(task)
        task.add_done_callback(self._starting.discard)

    async def _keep_starting(self) -> None:
        while True:
            try:
                self._take_in(await Worker.start(self._setup))
            except (WorkerDiedError, TaskTimeoutError, ModelError, OSError) as error:
                _log.error("a worker could not start: %s", error or type(error).__name__)
                await asyncio.sleep(PAUSE_AFTER_FAILURE)
            else:
                return
