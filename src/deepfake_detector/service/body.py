"""How much a request may send, and how slowly."""

from __future__ import annotations

import asyncio
import contextlib
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepfake_detector.service.problems import Problem
from deepfake_detector.service.settings import ServiceSettings

UPLOAD_PATH = "/v1/analyses"
SMALL = 64 * 1024
"""Bytes that any other request may have."""

DRAIN_SECONDS = 5.0
"""A client that is still sending would not read our answer; so we go on reading for a while, and throw it away."""


class BodyLimit:
    """ASGI middleware that counts bytes while they come in, and watches the clock."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._most = settings.request_bytes
        self._idle = settings.idle_timeout
        self._in_all = settings.upload_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most if scope["path"] == UPLOAD_PATH else SMALL
        too_large = Problem("too_large", f"a request may have {most} bytes here; send fewer or smaller files")
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and int(announced) > most:
            await _drain(receive)
            await too_large.response()(scope, receive, send)
            return
        end = time.monotonic() + self._in_all
        seen = 0
        complete = False

        async def limited() -> Message:
            nonlocal seen, complete
            if complete:  # now it waits for the client to go away, which may take as long as the answer
                return await receive()
            try:
                async with asyncio.timeout(max(min(self._idle, end - time.monotonic()), 0.0)):
                    message = await receive()
            except TimeoutError:
                raise Problem("upload_too_slow", "the upload stalled or took too long; try again") from None
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                complete = not message.get("more_body", False)
                if seen > most:
                    await _drain(receive)
                    raise too_large
            return message

        await self._app(scope, limited, send)


async def _drain(receive: Receive) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                continue
