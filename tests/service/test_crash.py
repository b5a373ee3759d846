"""Processes die; jobs do not."""

import asyncio
import io
import os
import signal
import sys

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import ModelError
from deepfake_detector.service.jobs.messages import FrameError, Result, Setup, Step, Task, pack, sizes, unpack
from deepfake_detector.service.jobs.pool import Pool, TaskTimeoutError, Worker, WorkerDiedError

GENEROUS = 120.0
"""Seconds; a busy machine is slow."""


@pytest.fixture
def setup(tiny_bundle):
    return Setup(str(tiny_bundle), 10**8, 10**9, 10**5, 1024**3)


@pytest.fixture
def picture(tmp_path, png):
    file = tmp_path / "picture"
    file.write_bytes(png)
    return Task("analyse", str(file), "a.png")


def in_a_worker(setup, use):
    """Run ``use(worker)`` with a worker of its own."""

    async def run():
        worker = await Worker.start(setup)
        try:
            return await use(worker)
        finally:
            await worker.kill()

    return asyncio.run(run())


def test_a_killed_service_does_all_its_jobs_after_a_restart(serve, tmp_path, tiny_bundle, portrait, eventually):
    server = serve(tmp_path, "--model", tiny_bundle, "--workers", 1)
    with server.client() as http:
        batch = http.post("/v1/analyses", files=[("file", (f"{n}.jpg", portrait)) for n in range(10)]).json()
        eventually(lambda: http.get("/v1/analyses", params={"state": "done"}).json()["analyses"])
    server.kill()
    again = serve(tmp_path, "--model", tiny_bundle, "--workers", 1)
    with again.client() as http:

        def all_ended():
            found = http.get(f"/v1/batches/{batch['batch']}").json()["analyses"]
            return found if all(one["finished"] for one in found) else None

        found = eventually(all_ended)
        assert [one["state"] for one in found] == ["done"] * 10
        assert [one["id"] for one in found] == [one["id"] for one in batch["analyses"]]
    assert again.end() == 0


def test_two_services_do_not_share_a_folder(serve, tmp_path, tiny_bundle):
    serve(tmp_path, "--model", tiny_bundle, "--workers", 1)
    with pytest.raises(AssertionError, match="did not start"):
        serve(tmp_path, "--model", tiny_bundle, "--workers", 1)


def test_a_worker_that_dies_or_hangs_is_replaced(setup, picture):
    async def run():
        pool = Pool(setup, 1)
        await pool.open()
        try:
            first = await pool.do(picture, GENEROUS)
            (worker,) = pool._all
            worker.process.kill()
            with pytest.raises(WorkerDiedError):
                await pool.do(picture, GENEROUS)
            second = await pool.do(picture, GENEROUS)
            (worker,) = pool._all
            os.kill(worker.process.pid, signal.SIGSTOP)
            with pytest.raises(TaskTimeoutError):
                await pool.do(picture, 0.2)
            third = await pool.do(picture, GENEROUS)
            return first, second, third, pool.replaced
        finally:
            await pool.close()

    first, second, third, replaced = asyncio.run(run())
    assert first.verdict == second.verdict == third.verdict == "no_face"
    assert replaced == 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_a_picture_that_wants_too_much_memory_hurts_nobody(setup, tmp_path, picture):
    bomb = tmp_path / "bomb"
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((24_000, 24_000), np.uint8)).save(buffer, "PNG", compress_level=1)
    bomb.write_bytes(buffer.getvalue())

    async def use(worker):
        return await worker.ask(Task("analyse", str(bomb)), GENEROUS), await worker.ask(picture, GENEROUS)

    refused, after = in_a_worker(setup, use)
    assert refused.code == "too_large"
    assert after.verdict == "no_face"


def test_a_worker_knows_no_secrets(setup, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://me:secret@db/x")

    async def use(worker):
        with open(f"/proc/{worker.process.pid}/environ", "rb") as file:  # noqa: PTH123
            return file.read()

    environment = in_a_worker(setup, use)
    assert b"PATH=" in environment
    assert b"secret" not in environment


def test_a_model_that_cannot_be_used_is_said_in_its_own_words():
    setup = Setup("no-such-model", 1, 1, 1, 1024**3)
    with pytest.raises(ModelError, match="no-such-model"):
        asyncio.run(Worker.start(setup))


@pytest.mark.parametrize(
    "text",
    [
        b"[]", b"nonsense", b'{"code": 5}', b'{"p_fake": "x"}', b'{"payload": "x"}', b'{"more": 1}', b'{"share": null}',
        b'{"share": NaN}', b'{"share": 0.5, "seconds_left": "long"}', b'{"share": 0.5, "code": "x"}',
    ],
)  # fmt: skip
def test_what_a_worker_says_is_checked(text):
    with pytest.raises(FrameError):
        unpack(text, b"")
    with pytest.raises(FrameError):
        sizes(b"\xff" * 8)


def test_a_message_comes_out_as_it_went_in():
    for said in (Result("code", "message", "{}", "real", 0.5, b"bytes"), Step(0.25, 3.0), Step(1.0)):
        frame = pack(said)
        text, payload = sizes(frame[:8])
        assert unpack(frame[8 : 8 + text], frame[8 + text : 8 + text + payload]) == said
