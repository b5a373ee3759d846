"""What Prometheus is told: requests, analyses, the queue, the workers. No names, no content."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepfake_detector.service.db.queue import Outcome, Queue
from deepfake_detector.service.jobs.pool import Pool

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Telemetry:
    """The figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "deepfake_http_requests", "Requests.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "deepfake_http_request_seconds", "Seconds to the end of the answer.", ("route",), registry=self.registry
        )
        self.ended = Counter(
            "deepfake_analyses", "Analyses that ended, by verdict or code of error.", ("end",), registry=self.registry
        )
        self.jobs = Gauge("deepfake_jobs", "Analyses in the database.", ("state",), registry=self.registry)
        self.replaced = Gauge("deepfake_workers_replaced", "Workers that were replaced.", registry=self.registry)

    def count_end(self, outcome: Outcome) -> None:
        """Count the end of a job."""
        self.ended.labels(outcome.error_code or outcome.verdict or "unknown").inc()

    def text(self, queue: Queue, pool: Pool) -> bytes:
        """All figures in Prometheus' text format."""
        for state, number in queue.counts().items():
            self.jobs.labels(state).set(number)
        self.replaced.set(pool.replaced)
        return generate_latest(self.registry)


class Measured:
    """ASGI middleware that counts requests and measures them, by route and not by address."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"
            self._telemetry.requests.labels(method, route, str(status)).inc()
            self._telemetry.seconds.labels(route).observe(time.perf_counter() - start)
