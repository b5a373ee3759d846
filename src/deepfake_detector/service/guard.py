"""The first to see a request: is it for us, does it come from our own page, and what goes with every answer.

On a loopback address without keys there is nothing to steal but what this machine's user uploaded, and every web site
that they visit could try: by posting to 127.0.0.1 (CSRF), or under a name of its own that it lets point there (DNS
rebinding). So a request must be for a host on the list, and must not come from another site: browsers say so in
``Origin`` and ``Sec-Fetch-Site``, which a page cannot forge. Programs that are no browsers send neither.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deepfake_detector.service.problems import Problem
from deepfake_detector.service.settings import ServiceSettings

OWN_SITES = ("same-origin", "none")
STRICT_POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_DEFAULTS = {"content-security-policy": STRICT_POLICY, "cache-control": "no-store"}
_HSTS = "max-age=31536000"


class Guard:
    """ASGI middleware that refuses what is not for us or comes from another site, and adds security headers."""

    def __init__(self, app: ASGIApp, settings: ServiceSettings) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._encrypted = settings.encrypted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # there are no web sockets here

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        problem = self._refusal(scope)
        answer = self._app if problem is None else problem.response()
        await answer(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or _without_port(hosts[0]) not in self._hosts:
            return Problem("wrong_host", "the request is for a host that is not on the list (DEEPFAKE_ALLOWED_HOSTS)")
        site = headers.get("sec-fetch-site", "none")
        if site not in OWN_SITES and not _opens_the_page(scope, headers):
            return Problem("cross_site", f"a browser sent this for another site ({site}); open the page itself")
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"{scope['scheme']}://{hosts[0]}".lower():
            return Problem("cross_site", f"a browser sent this for {origin[:200]!r}; open the page itself")
        return None

    def _add_headers(self, headers: MutableHeaders) -> None:
        for name, value in _HEADERS.items():
            headers[name] = value
        for name, value in _DEFAULTS.items():
            headers.setdefault(name, value)
        if self._encrypted:
            headers["strict-transport-security"] = _HSTS


def _without_port(host: str) -> str:
    """``[::1]:8000`` → ``::1``; ``Name:8000`` → ``name``."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _opens_the_page(scope: Scope, headers: Headers) -> bool:
    """A link from elsewhere may lead to the page: a navigation shows it and reads nothing."""
    navigates = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
    return navigates and scope["method"] == "GET" and scope["path"] == "/"
