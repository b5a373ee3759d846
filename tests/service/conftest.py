"""What tests of the service share: settings that touch nothing of the user's, apps without workers, real servers."""

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from deepfake_detector.service.app import create_app
from deepfake_detector.service.services import Services, assemble
from deepfake_detector.service.settings import ServiceSettings, load_settings

START_SECONDS = 180
"""A busy machine needs long for importing."""

DEEPFAKE = [sys.executable, "-c", "from deepfake_detector.cli.main import run; run()"]


@dataclass
class Server:
    """A running ``deepfake serve``."""

    process: subprocess.Popen[str]
    address: str
    folder: Path

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.address, timeout=120, **options)

    def kill(self) -> None:
        """As the system does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def _serve(folder: Path, *arguments: object, **environment: str) -> Server:
    process = subprocess.Popen(
        [*DEEPFAKE, "serve", "--port", "0", "--folder", str(folder), *map(str, arguments)],
        stdout=subprocess.PIPE,
        env=os.environ | environment,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    line = process.stdout.readline()
    watchdog.cancel()
    if not line.startswith("http"):
        process.kill()
        process.wait(30)
        process.stdout.close()
        raise AssertionError("the service did not start")
    return Server(process, line.split()[0], folder)


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """``serve(folder, "--workers", 1, DEEPFAKE_X="…")``: a service on a free port; it ends with the test."""
    running: list[Server] = []

    def start(folder: Path, *arguments: object, **environment: str) -> Server:
        running.append(_serve(folder, *arguments, **environment))
        return running[-1]

    yield start
    for server in running:
        with contextlib.suppress(ProcessLookupError):
            server.process.kill()
        server.process.wait(30)
        server.process.stdout.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Iterator[Server]:
    """One service with the tiny model, without keys, for all tests that ask nothing special of it."""
    folder = tmp_path_factory.mktemp("service")
    patient = {"DEEPFAKE_ANSWER_WITHIN": "110", "DEEPFAKE_ANALYSIS_TIMEOUT": "110"}  # for busy machines
    patient["DEEPFAKE_REQUESTS_PER_MINUTE"] = "100000"
    started = _serve(folder, "--model", tiny_bundle, "--workers", 1, **patient)
    yield started
    assert started.end() == 0
    started.process.stdout.close()


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    """A client of that service."""
    with server.client() as client:
        yield client


@pytest.fixture
def settings(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ServiceSettings]:
    """``settings(keys="required")``: settings of a service in the test's folder; the environment is not looked at."""
    for name in [name for name in os.environ if name.startswith("DEEPFAKE_") or name == "DATABASE_URL"]:
        monkeypatch.delenv(name)

    def make(**given: object) -> ServiceSettings:
        return load_settings(**({"folder": tmp_path / "service", "model": str(tiny_bundle), "workers": 1} | given))

    return make


class AppClient:
    """Asks an application without a network, one request after the other."""

    def __init__(self, app: object, base_url: str) -> None:
        self._runner = asyncio.Runner()
        # As for a real server: an error that nobody expects becomes an answer.
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url=base_url)
        self.cookies = self._client.cookies

    def request(self, method: str, place: str, **options: object) -> httpx.Response:
        return self._runner.run(self._client.request(method, place, **options))

    def get(self, place: str, **options: object) -> httpx.Response:
        return self.request("GET", place, **options)

    def post(self, place: str, **options: object) -> httpx.Response:
        return self.request("POST", place, **options)

    def delete(self, place: str, **options: object) -> httpx.Response:
        return self.request("DELETE", place, **options)

    def options(self, place: str, **options: object) -> httpx.Response:
        return self.request("OPTIONS", place, **options)

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


@dataclass
class App:
    """An application without workers: what it is asked to analyse stays in its queue."""

    services: Services
    client: AppClient

    def key(self, *scopes: str, **options: object) -> dict[str, str]:
        """The header of a new key."""
        given = {"scopes": scopes} if scopes else {}
        return {"Authorization": f"Bearer {self.services.keys.create('test', **given, **options).secret}"}

    def put(self, *contents: bytes, **options: object) -> httpx.Response:
        """Send files, and do not wait for their answers."""
        headers = {"Prefer": "respond-async"} | options.pop("headers", {})
        files = [("file", (f"{number}.png", content)) for number, content in enumerate(contents)]
        return self.client.post("/v1/analyses", files=files, headers=headers, **options)


@pytest.fixture
def make_app(settings: Callable[..., ServiceSettings]) -> Iterator[Callable[..., App]]:
    """``make_app(keys="required")``: an application that is asked without a network."""
    made: list[App] = []

    def make(**given: object) -> App:
        chosen = settings(**given)
        services = assemble(chosen)
        services.database.migrate()
        scheme = "https" if chosen.encrypted else "http"
        host = "localhost" if chosen.on_loopback else min(chosen.hosts)
        client = AppClient(create_app(services), f"{scheme}://{host}:8000")
        made.append(App(services, client))
        return made[-1]

    yield make
    for app in made:
        app.client.close()
        app.services.database.close()


@pytest.fixture(scope="session")
def png() -> bytes:
    """A grey picture of 48 × 32 pixels without a face."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((32, 48, 3), 128, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def portrait(astronaut: np.ndarray) -> bytes:
    """NASA's portrait as JPEG, with a place and a maker in its metadata."""
    buffer = io.BytesIO()
    picture = Image.fromarray(astronaut)
    exif = picture.getexif()
    exif[0x010F] = "SECRET-CAMERA"
    picture.save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def film(astronaut: np.ndarray) -> bytes:
    """An MP4 file of 1.2 seconds, 10 frames a second, in which NASA's portrait gets a little brighter."""
    import av

    face = astronaut[:320, 80:400].astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10, width=320, height=320, pix_fmt="yuv420p")
        for index in range(12):
            pixels = np.clip(face + 2 * index, 0, 255).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


def _eventually(look: Callable[[], object], seconds: float = 120.0) -> object:
    end = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return seen


@pytest.fixture(scope="session")
def eventually() -> Callable[..., object]:
    """``eventually(lambda: …)`` waits until it is true, and returns it."""
    return _eventually


@pytest.fixture(scope="session")
def seeds() -> list[bytes]:
    """Small pictures of every format that Pillow writes here, to be mutated."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    made = []
    for form in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF"):
        buffer = io.BytesIO()
        Image.fromarray(noise).save(buffer, form)
        made.append(buffer.getvalue())
    return made
