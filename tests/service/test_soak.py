"""Long loads: ``pytest -m soak tests/service`` takes an hour or more, and wants the machine for itself."""

import asyncio
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.service.jobs.messages import Setup, Task
from deepfake_detector.service.jobs.pool import Pool

pytestmark = [pytest.mark.soak, pytest.mark.timeout(6 * 3600)]

FILES = 10_000
CLIENTS, SECONDS = 200, 120
MOST_GROWTH = 150 * 1024 * 1024
"""Bytes that a worker may grow by after the first thousand files."""


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with bytes changed, lost or put in, or cut off; more often near its beginning, where headers are."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 12))):
        at = int(len(changed) * rng.random() ** 2)
        changed[at : at + int(rng.integers(0, 4))] = rng.bytes(int(rng.integers(0, 4)))
    return bytes(changed[: int(rng.integers(1, len(changed) + 1))] if rng.random() < 0.1 else changed)


def resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_mutated_files_crash_hang_and_leak_nothing(tiny_bundle, tmp_path, seeds):
    rng = np.random.default_rng(0)
    setup = Setup(str(tiny_bundle), 10**8, 10**7, 10**4, 1024**3)
    file = tmp_path / "file"

    async def run():
        pool = Pool(setup, 1)
        await pool.open()
        (worker,) = pool._all
        ends, size = set(), 0
        try:
            for number in range(FILES):
                file.write_bytes(mutated(seeds[number % len(seeds)], rng))
                result = await pool.do(Task("analyse", str(file)), 60.0)
                ends.add(result.code or result.verdict)
                size = resident(worker.process.pid) if number == FILES // 10 else size
            return pool.replaced, resident(worker.process.pid) - size, ends
        finally:
            await pool.close()

    replaced, growth, ends = asyncio.run(run())
    assert replaced == 0
    assert growth < MOST_GROWTH
    assert {"damaged", "no_face"} <= ends


def test_many_clients_lose_and_double_no_job(serve, tmp_path, tiny_bundle, png, eventually):
    server = serve(
        tmp_path, "--model", tiny_bundle,
        DEEPFAKE_REQUESTS_PER_MINUTE="10000000", DEEPFAKE_QUEUE_SIZE="1000", DEEPFAKE_CONNECTIONS="1000",
    )  # fmt: skip
    end = time.monotonic() + SECONDS

    def one_client(number):
        made, asked = [], 0
        with server.client() as http:
            while time.monotonic() < end:
                headers = {
                    "Idempotency-Key": f"{number}-{asked}",
                    "Prefer": "respond-async" if asked % 3 else "wait=60",
                }
                response = http.post("/v1/analyses", files={"file": ("a.png", png)}, headers=headers)
                if response.status_code == 429:
                    time.sleep(float(response.headers["retry-after"]))
                    continue
                assert response.status_code in (200, 202), response.text
                body = response.json()
                made.append(body["id"] if "id" in body else body["analyses"][0]["id"])
                asked += 1
        return made

    with ThreadPoolExecutor(CLIENTS) as clients:
        made = [name for names in clients.map(one_client, range(CLIENTS)) for name in names]
    assert len(set(made)) == len(made) > CLIENTS
    with server.client() as http:
        for state in ("queued", "running"):
            eventually(
                lambda state=state: not http.get("/v1/analyses", params={"state": state}).json()["analyses"], 1800
            )
        listed, cursor = [], None
        while True:
            wanted = {"limit": 200, "state": "done"} | ({"cursor": cursor} if cursor else {})
            page = http.get("/v1/analyses", params=wanted).json()
            listed += [one["id"] for one in page["analyses"]]
            if (cursor := page["next"]) is None:
                break
        ended = http.get("/metrics").text
    assert sorted(listed) == sorted(made)
    assert f'deepfake_analyses_total{{end="no_face"}} {float(len(made))}' in ended


def test_fifty_jobs_survive_a_kill_in_their_middle(serve, tmp_path, tiny_bundle, portrait, eventually):
    server = serve(tmp_path, "--model", tiny_bundle)
    pictures = []
    for number in range(50):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(portrait)).resize((500 + number, 500)).save(buffer, "JPEG")
        pictures.append(("file", (f"{number}.jpg", buffer.getvalue())))
    with server.client() as http:
        batch = http.post("/v1/analyses", files=pictures).json()["batch"]
        eventually(lambda: len(http.get("/v1/analyses", params={"state": "done"}).json()["analyses"]) >= 20)
    server.kill()
    with serve(tmp_path, "--model", tiny_bundle).client() as http:

        def all_ended():
            found = http.get(f"/v1/batches/{batch}").json()["analyses"]
            return found if all(one["finished"] for one in found) else None

        assert [one["state"] for one in eventually(all_ended, 600)] == ["done"] * 50
