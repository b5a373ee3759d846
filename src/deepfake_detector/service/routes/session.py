"""Log in on the page with a key, which is then forgotten by the browser; log out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic import BaseModel, Field

from deepfake_detector.service.access import COOKIE, AnyCaller, ServicesHere, key_of
from deepfake_detector.service.db.keys import Scope
from deepfake_detector.service.problems import responses

router = APIRouter(prefix="/v1/session", tags=["session"])

HOUR = 3600


class SessionOut(BaseModel):
    """Who is there, and what they may do."""

    keys: bool = Field(description="Whether this service needs keys.")
    name: str
    scopes: tuple[Scope, ...]
    csrf: str | None = Field(description="To be sent as `X-CSRF-Token` with whatever changes something.")


@router.get("", summary="Who am I?", responses=responses("unauthorized", "rate_limited"))
def get_session(caller: AnyCaller, services: ServicesHere) -> SessionOut:
    """The key or session that the request came with."""
    return SessionOut(
        keys=services.settings.needs_keys, name=caller.name, scopes=tuple(sorted(caller.scopes)), csrf=caller.csrf
    )


@router.post("", summary="Log in", responses=responses("unauthorized", "bad_request", "rate_limited"))
def log_in(
    request: Request,
    response: Response,
    services: ServicesHere,
    key: Annotated[str, Body(embed=True, min_length=1, max_length=200, examples=["dfk_…"])],
) -> SessionOut:
    """Begin a session: a cookie that scripts cannot read and that no other site can send."""
    found = key_of(key, request, services)
    settings = services.settings
    cookie, csrf = services.keys.log_in(found, settings.session_hours)
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=int(settings.session_hours * HOUR),
        path="/",
        secure=settings.encrypted,
        httponly=True,
        samesite="strict",
    )
    scopes = tuple(sorted(map(Scope, found.scopes.split())))
    return SessionOut(keys=settings.needs_keys, name=found.name, scopes=scopes, csrf=csrf)


@router.delete("", summary="Log out", status_code=204, responses=responses("unauthorized", "csrf", "rate_limited"))
def log_out(request: Request, caller: AnyCaller, services: ServicesHere) -> Response:
    """End the session."""
    cookie = request.cookies.get(COOKIE)
    if cookie:
        services.keys.log_out(cookie)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", secure=services.settings.encrypted, httponly=True, samesite="strict")
    return response
