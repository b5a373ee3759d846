"""Long loads: ``pytest -m soak -n0 tests/service`` takes about twenty minutes on a machine that does nothing else.

With ``DEEPFAKE_SOAK_RESULTS=FILE`` each test writes what it saw into that JSON file, beside what is there already.
"""

import asyncio
import io
import json
import os
import platform
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.service.jobs.messages import Setup, Task
from deepfake_detector.service.jobs.pool import Pool

pytestmark = [pytest.mark.soak, pytest.mark.timeout(6 * 3600)]

FILES = 10_000
VIDEO_EACH = 100
WORKERS = 4
CLIENTS, SECONDS = 200, 120
MOST_GROWTH = 150 * 1024 * 1024
"""Bytes that a worker may grow by after the first thousand files."""


@pytest.fixture
def note(request):
    """``note(files=…)``: what was seen, with the machine, for the file that was asked for."""
    start = time.monotonic()

    def write(**seen):
        if not (place := os.environ.get("DEEPFAKE_SOAK_RESULTS")):
            return
        file = Path(place)
        found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
        circumstances = {
            "command": f"pytest -m soak -n0 tests/service/test_soak.py -k {request.node.name}",
            "machine": machine,
            "seconds": round(time.monotonic() - start),
        }
        found[request.node.name] = circumstances | seen
        file.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")

    return write


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


def test_mutated_files_crash_hang_and_leak_nothing(tiny_bundle, tmp_path, seeds, film, note):
    setup = Setup(str(tiny_bundle), 10**8, 10**7, 10**4, 1024**3)
    ends, took = Counter(), []

    async def give(pool, lane, numbers):
        rng = np.random.default_rng((lane, numbers.start))
        file = tmp_path / f"file-{lane}"
        for number in numbers:
            video = number % VIDEO_EACH == 0
            file.write_bytes(mutated(film if video else seeds[number % len(seeds)], rng))
            start = time.monotonic()
            result = await pool.do(Task("analyse", str(file), video=video), 300.0)
            took.append(time.monotonic() - start)
            ends[result.code or result.verdict] += 1

    async def run():
        pool = Pool(setup, WORKERS)
        await pool.open()
        try:
            for first, last in ((0, FILES // 10), (FILES // 10, FILES)):
                if first:
                    sizes = {worker: resident(worker.process.pid) for worker in pool._all}
                lanes = (give(pool, lane, range(first + lane, last, WORKERS)) for lane in range(WORKERS))
                await asyncio.gather(*lanes)
            return pool.replaced, max(resident(worker.process.pid) - size for worker, size in sizes.items())
        finally:
            await pool.close()

    replaced, growth = asyncio.run(run())
    note(
        files=len(took),
        workers_lost=replaced,
        slowest_seconds=round(max(took), 2),
        growth_of_a_worker_after_the_first_tenth_mb=round(growth / 2**20, 1),
        ends=dict(ends.most_common()),
    )
    assert len(took) == FILES
    assert replaced == 0
    assert growth < MOST_GROWTH
    assert {"damaged", "no_face"} <= set(ends)


def test_many_clients_lose_and_double_no_job(serve, tmp_path, tiny_bundle, png, eventually, note):
    server = serve(
        tmp_path, "--model", tiny_bundle,
        DEEPFAKE_REQUESTS_PER_MINUTE="10000000", DEEPFAKE_QUEUE_SIZE="1000", DEEPFAKE_CONNECTIONS="1000",
    )  # fmt: skip
    end = time.monotonic() + SECONDS

    def one_client(number):
        made, asked, refused = [], 0, 0
        with server.client() as http:
            while time.monotonic() < end:
                headers = {
                    "Idempotency-Key": f"{number}-{asked}",
                    "Prefer": "respond-async" if asked % 3 else "wait=60",
                }
                response = http.post("/v1/analyses", files={"file": ("a.png", png)}, headers=headers)
                if response.status_code == 429:
                    refused += 1
                    time.sleep(float(response.headers["retry-after"]))
                    continue
                assert response.status_code in (200, 202), response.text
                body = response.json()
                made.append(body["id"] if "id" in body else body["analyses"][0]["id"])
                asked += 1
        return made, refused

    with ThreadPoolExecutor(CLIENTS) as clients:
        answers = list(clients.map(one_client, range(CLIENTS)))
    made = [name for names, _ in answers for name in names]
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
    note(
        clients=CLIENTS,
        under_load_seconds=SECONDS,
        analyses=len(made),
        lost=len(set(made) - set(listed)),
        doubled=len(listed) - len(set(listed)),
        told_to_come_back_later=sum(refused for _, refused in answers),
    )
    assert sorted(listed) == sorted(made)
    assert f'deepfake_analyses_total{{end="no_face"}} {float(len(made))}' in ended


def test_fifty_jobs_survive_a_kill_in_their_middle(serve, tmp_path, tiny_bundle, portrait, eventually, note):
    server = serve(tmp_path, "--model", tiny_bundle)
    pictures = []
    for number in range(50):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(portrait)).resize((500 + number, 500)).save(buffer, "JPEG")
        pictures.append(("file", (f"{number}.jpg", buffer.getvalue())))
    with server.client() as http:
        batch = http.post("/v1/analyses", files=pictures).json()["batch"]
        done = eventually(lambda: (number := ended(http)) >= 20 and number)
    server.kill()
    with serve(tmp_path, "--model", tiny_bundle).client() as http:

        def all_ended():
            found = http.get(f"/v1/batches/{batch}").json()["analyses"]
            return found if all(one["finished"] for one in found) else None

        states = [one["state"] for one in eventually(all_ended, 600)]
        note(jobs=50, done_at_the_kill=done, done_after_the_restart=states.count("done"))
        assert states == ["done"] * 50


def ended(http):
    return len(http.get("/v1/analyses", params={"state": "done"}).json()["analyses"])
