"""Who calls, and what they may do: an API key, a session of the page, or, on loopback without keys, anybody here."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from deepfake_detector.service.db.keys import Scope
from deepfake_detector.service.db.tables import LOCAL, ApiKey
from deepfake_detector.service.problems import Problem
from deepfake_detector.service.services import Services

COOKIE = "deepfake_session"
CSRF_HEADER = "x-csrf-token"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_bearer = HTTPBearer(auto_error=False, description="An API key, made with `deepfake keys create NAME`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the owner of what they make, the key's name, its scopes; ``csrf`` if they came by the page."""

    owner: str
    name: str
    scopes: frozenset[Scope]
    csrf: str | None = None


# Dependencies are coroutines, because FastAPI runs plain functions in threads, which costs more than they do.


async def services_of(request: Request) -> Services:
    """The parts of the service that a request came to."""
    found = request.app.state.services
    assert isinstance(found, Services)
    return found


ServicesHere = Annotated[Services, Depends(services_of)]


def address(request: Request) -> str:
    """Where a request comes from, for the limits of those who have no key."""
    return request.client.host if request.client else "unknown"


async def caller(
    request: Request,
    services: ServicesHere,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Caller:
    """The caller of a request. Raises Problem."""
    if not services.settings.needs_keys:
        found = Caller(LOCAL, LOCAL, frozenset(Scope))
    elif credentials is not None:
        key = await asyncio.to_thread(key_of, credentials.credentials, request, services)
        found = _as_caller(key)
    else:
        found = await asyncio.to_thread(_from_session, request, services)
    limited(services.requests.wait(found.owner if services.settings.needs_keys else address(request)))
    return found


def key_of(secret: str, request: Request, services: Services) -> ApiKey:
    """The key with this secret; who tries many wrong ones has to wait. Raises Problem."""
    key = services.keys.find(secret)
    if key is None:
        limited(services.failures.wait(address(request)))
        raise _unauthorized("the key is wrong, has expired, or was revoked")
    return key


def _from_session(request: Request, services: Services) -> Caller:
    cookie = request.cookies.get(COOKIE)
    login = services.keys.session(cookie) if cookie else None
    if login is None:
        raise _unauthorized("send a key in the header Authorization: Bearer …, or log in on the page")
    if request.method not in SAFE_METHODS:
        token = request.headers.get(CSRF_HEADER, "")
        if not secrets.compare_digest(token.encode(), login.csrf.encode()):
            raise Problem("csrf", f"send the session's token in the header {CSRF_HEADER}")
    return _as_caller(login.key, login.csrf)


def _as_caller(key: ApiKey, csrf: str | None = None) -> Caller:
    return Caller(key.owner, key.name, frozenset(map(Scope, key.scopes.split())), csrf)


def _unauthorized(detail: str) -> Problem:
    return Problem("unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def limited(wait: float) -> None:
    """Raise a Problem if there is anything to wait for (seconds)."""
    if wait > 0.0:
        seconds = math.ceil(wait)
        raise Problem(
            "rate_limited", f"wait {seconds} s before the next request", headers={"Retry-After": str(seconds)}
        )


AnyCaller = Annotated[Caller, Depends(caller)]


def having(scope: Scope) -> Callable[[Caller], Awaitable[Caller]]:
    """A dependency that wants a caller with a scope."""

    async def check(found: AnyCaller) -> Caller:
        if scope not in found.scopes:
            raise Problem("forbidden", f"the key {found.name!r} lacks the scope {scope.value}")
        return found

    return check


Analyst = Annotated[Caller, Depends(having(Scope.ANALYZE))]
Reader = Annotated[Caller, Depends(having(Scope.READ))]
Remover = Annotated[Caller, Depends(having(Scope.DELETE))]
Observer = Annotated[Caller, Depends(having(Scope.METRICS))]
