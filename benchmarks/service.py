"""What the service costs beside the bare pipeline: time of one answer, answers per second, the slowest of a hundred.

    python benchmarks/service.py [--model NAME|DIR] [--pictures 96] [--clients 16] [--rounds 6] [--output FILE.json]

Everything runs on one machine, the clients too, and they take their share of its cores. The service and the bare
pipeline are measured by turns, round by round, and the ratios are medians over the rounds, so that what else the
machine does meets both alike; the load at the start is in the result, and so is the CPU time of each, which other
load hardly changes.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from result import say
from speed import draw

from deepfake_detector import AnalysisSettings, Detector

WARM_UP = 4
MOST_OVERHEAD, LEAST_THROUGHPUT = 0.15, 0.85
BOUNDARY = "benchmark"
TICKS = os.sysconf("SC_CLK_TCK")


def form(photo: bytes) -> bytes:
    """A request's body, made once: what is measured is the service."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()


class Client:
    """One connection that is kept."""

    def __init__(self, address: str) -> None:
        place = urlsplit(address)
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=300)

    def ask(self, body: bytes) -> float:
        """Seconds until the report is there."""
        start = time.perf_counter()
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        self.connection.request("POST", "/v1/analyses", body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"{response.status}: {answer.decode()}")
        return time.perf_counter() - start


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def workers(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def one_by_one(detector: Detector, client: Client, photos: list[bytes], bodies: list[bytes]) -> dict[str, object]:
    """Seconds of each picture in process and over HTTP, by turns."""
    alone, over_http = [], []
    for number, (photo, body) in enumerate(zip(photos, bodies, strict=True)):
        start = time.perf_counter()
        detector.analyze(photo)
        seconds = time.perf_counter() - start, client.ask(body)
        if number >= WARM_UP:
            alone.append(seconds[0])
            over_http.append(seconds[1])
    bare, served = statistics.median(alone), statistics.median(over_http)
    return {
        "Detector.analyze, one thread": round(bare * 1000, 2),
        "HTTP": round(served * 1000, 2),
        "overhead": round(served / bare - 1, 3),
        "at most": MOST_OVERHEAD,
    }


def all_at_once(address: str, bodies: list[bytes], clients: int) -> tuple[float, list[float]]:
    """Answers per second with many clients at once, and the seconds of each."""
    connections = [Client(address) for _ in range(clients)]

    def work(number: int) -> list[float]:
        return [connections[number].ask(body) for body in bodies[number::clients]]

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = [one for many in pool.map(work, range(clients)) for one in many]
    return len(seconds) / (time.perf_counter() - start), seconds


def bare_pipeline(detector: Detector, photos: list[bytes]) -> float:
    """Pictures per second of ``analyze_many`` with a thread for each core."""
    start = time.perf_counter()
    reports = list(detector.analyze_many(photos, workers=os.cpu_count() or 1))
    return len(reports) / (time.perf_counter() - start)


def under_load(
    detector: Detector, service: Service, photos: list[bytes], clients: int, rounds: int
) -> dict[str, object]:
    bodies = [form(photo) for photo in photos]
    bare_pipeline(detector, photos[:WARM_UP])
    all_at_once(service.address, bodies[:clients], clients)
    bare, served, seconds = [], [], []
    spent = {"in process": 0.0, "workers": 0.0, "service": 0.0}
    for _ in range(rounds):
        before = time.process_time()
        bare.append(bare_pipeline(detector, photos))
        spent["in process"] += time.process_time() - before
        front, behind = service.cpu()
        rate, each = all_at_once(service.address, bodies, clients)
        served.append(rate)
        seconds += each
        spent["service"] += service.cpu()[0] - front
        spent["workers"] += service.cpu()[1] - behind
    ranked = sorted(seconds)
    return {
        "analyze_many, pictures per second": round(statistics.median(bare), 2),
        "service, pictures per second": round(statistics.median(served), 2),
        "share": round(statistics.median(one / other for one, other in zip(served, bare, strict=True)), 3),
        "at least": LEAST_THROUGHPUT,
        "median milliseconds": round(statistics.median(seconds) * 1000, 1),
        "p99 milliseconds": round(ranked[min(int(len(ranked) * 0.99), len(ranked) - 1)] * 1000, 1),
        "CPU milliseconds per picture": {
            name: round(total / (rounds * len(photos)) * 1000, 2) for name, total in spent.items()
        },
    }


class Service:
    """A running ``deepfake serve``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.address = process.stdout.readline().split()[0]
        self.pid = process.pid

    def cpu(self) -> tuple[float, float]:
        """Seconds of CPU of the service itself, and of its workers."""
        return cpu(self.pid), sum(cpu(worker) for worker in workers(self.pid))


@contextmanager
def running(folder: str, model: str | None) -> Iterator[Service]:
    command = [Path(sys.executable).with_name("deepfake"), "serve", "--port", "0", "--folder", f"{folder}/service"]
    command += ["--model", model] if model else []
    environment = os.environ | {"DEEPFAKE_REQUESTS_PER_MINUTE": "1000000", "DEEPFAKE_ANSWER_WITHIN": "250"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        try:
            yield Service(process)
        finally:
            process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--pictures", type=int, default=96)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/service.json"))
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, running(folder, chosen.model) as service:
        photos = [path.read_bytes() for path in draw(Path(folder) / "photos", chosen.pictures)]
        detector = Detector(chosen.model, AnalysisSettings(threads=1))
        single = one_by_one(detector, Client(service.address), photos, [form(photo) for photo in photos])
        many = under_load(detector, service, photos, chosen.clients, chosen.rounds)
    result = {
        "command": f"python benchmarks/service.py --pictures {chosen.pictures} --clients {chosen.clients} "
        f"--rounds {chosen.rounds}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load at the start": round(load, 2),
        "pictures": f"{len(photos)}, JPEG, 1024 x 1024",
        "one picture, milliseconds": single,
        f"{chosen.clients} clients": many,
    }
    say(result, chosen.output)


if __name__ == "__main__":
    main()
