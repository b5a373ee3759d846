"""Runs the service until it is told to end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

import uvicorn

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.service.app import create_app
from deepfake_detector.service.services import assemble, running
from deepfake_detector.service.settings import ServiceSettings

GRACE = 10
"""Seconds in which requests may end when the service does."""


def serve(settings: ServiceSettings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; ``announce`` gets the address once it is listening.

    Raises ConfigError, ModelError or MissingExtraError where it cannot start.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings, announce))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """That of uvloop, which is faster and does not exist for Windows; None for Python's own."""
    try:
        import uvloop
    except ModuleNotFoundError:
        return None
    return uvloop.new_event_loop


async def _serve(settings: ServiceSettings, announce: Callable[[str], None]) -> None:
    services = assemble(settings)
    server = uvicorn.Server(_config(settings, create_app(services)))
    async with running(services):
        listening = _bind(server.config)
        try:
            host, port = listening.getsockname()[:2]
            scheme = "https" if settings.tls_certificate is not None else "http"
            announce(f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}")
            for number in (signal.SIGINT, signal.SIGTERM):
                # uvicorn handles them, and sends them on when it has ended; what is left to do then must go on.
                signal.signal(number, signal.SIG_IGN)
            await server.serve([listening])
        finally:
            listening.close()


def _config(settings: ServiceSettings, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=settings.host,
        port=settings.port,
        lifespan="off",
        log_level="warning",
        log_config=None,  # uvicorn's own would close the handlers that others have set up
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        limit_concurrency=settings.connections,
        timeout_graceful_shutdown=GRACE,
    )


def _bind(config: uvicorn.Config) -> socket.socket:
    """The listening socket. Raises ConfigError if the address cannot be had."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((config.host, config.port))
        found.listen(config.backlog)  # at once, so that whoever reads the announced address can connect
    except OSError as error:
        found.close()
        raise ConfigError(
            f"cannot listen on {config.host}, port {config.port}: {error.strerror or error}; give another port"
        ) from error
    return found
