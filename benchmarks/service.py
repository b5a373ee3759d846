"""What the service costs beside the bare pipeline: time of one answer, answers per second, the slowest of a hundred.

    python benchmarks/service.py [--model NAME|DIR] [--requests 64] [--clients 16] [--output FILE.json]

Everything runs on one machine, the clients too, and they take their share of its cores. Run it on a quiet one: the
load at the start is in the result.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from speed import draw

from deepfake_detector import AnalysisSettings, Detector

WARM_UP = 4
MOST_OVERHEAD, LEAST_THROUGHPUT = 0.15, 0.85
BOUNDARY = "benchmark"


def form(photo: bytes) -> bytes:
    """A request's body, made once: what is measured is the service."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return head.encode() + photo + f"\r\n--{BOUNDARY}--\r\n".encode()


class Client:
    """One connection that is kept."""

    def __init__(self, address: str) -> None:
        place = urlsplit(address)
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)

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


def timed(work: Callable[[bytes], object], items: list[bytes]) -> list[float]:
    """Seconds of each call, after some that do not count."""
    for item in items[:WARM_UP]:
        work(item)
    seconds = []
    for item in items:
        start = time.perf_counter()
        work(item)
        seconds.append(time.perf_counter() - start)
    return seconds


def throughput(address: str, bodies: list[bytes], clients: int) -> tuple[float, list[float]]:
    """Answers per second with many clients at once, and the seconds of each."""
    connections = [Client(address) for _ in range(clients)]

    def work(number: int) -> list[float]:
        return [connections[number].ask(body) for body in bodies[number::clients]]

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        seconds = [one for many in pool.map(work, range(clients)) for one in many]
    return len(seconds) / (time.perf_counter() - start), seconds


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def measure(address: str, photos: list[bytes], model: str | None, clients: int) -> dict[str, object]:
    single = Detector(model, AnalysisSettings(threads=1))
    bodies = [form(photo) for photo in photos]
    alone = statistics.median(timed(single.analyze, photos))
    over_http = statistics.median(timed(Client(address).ask, bodies))
    list(single.analyze_many(photos[:WARM_UP]))
    start = time.perf_counter()
    reports = list(single.analyze_many(photos, workers=os.cpu_count() or 1))
    bare = len(reports) / (time.perf_counter() - start)
    throughput(address, bodies[:clients], clients)
    served, seconds = throughput(address, bodies, clients)
    return {
        "one picture, milliseconds": {
            "Detector.analyze, one thread": round(alone * 1000, 2),
            "HTTP": round(over_http * 1000, 2),
            "overhead": round(over_http / alone - 1, 3),
            "at most": MOST_OVERHEAD,
        },
        f"{clients} clients": {
            "analyze_many, pictures per second": round(bare, 2),
            "service, pictures per second": round(served, 2),
            "share": round(served / bare, 3),
            "at least": LEAST_THROUGHPUT,
            "median milliseconds": round(statistics.median(seconds) * 1000, 1),
            "p99 milliseconds": round(percentile(seconds, 0.99) * 1000, 1),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/service.json"))
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        photos = [path.read_bytes() for path in draw(Path(folder) / "photos", chosen.requests)]
        command = [Path(sys.executable).with_name("deepfake"), "serve", "--port", "0", "--folder", f"{folder}/service"]
        command += ["--model", chosen.model] if chosen.model else []
        environment = os.environ | {"DEEPFAKE_REQUESTS_PER_MINUTE": "1000000"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as service:
            try:
                figures = measure(service.stdout.readline().split()[0], photos, chosen.model, chosen.clients)
            finally:
                service.terminate()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    result = {"machine": machine, "load at the start": round(load, 2), "pictures": len(photos), **figures}
    chosen.output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
