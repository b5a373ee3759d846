"""The page: one document and its files, all of this package, all from this host."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Response
from markupsafe import Markup
from starlette.staticfiles import StaticFiles

from deepfake_detector.service.access import ServicesHere
from deepfake_detector.service.settings import ServiceSettings

WEB = Path(__file__).resolve().parents[1] / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

router = APIRouter(include_in_schema=False)
assets = StaticFiles(directory=WEB / "assets")


@router.get("/")
def page(services: ServicesHere) -> Response:
    """The page, with its words and the limits of this service filled in."""
    return Response(_page(services.settings), 200, {"Content-Security-Policy": POLICY}, "text/html; charset=utf-8")


@router.get("/favicon.ico")
def icon() -> Response:
    """The icon, for browsers that ask before they read the page."""
    return Response((WEB / "assets" / "icon.svg").read_bytes(), media_type="image/svg+xml")


@cache
def _page(settings: ServiceSettings) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    strings = json.loads((WEB / "strings.json").read_text(encoding="utf-8"))
    limits = {
        "files": settings.max_files,
        "bytes": settings.limits.max_bytes,
        "video_bytes": settings.video_limits.max_bytes,
        "minutes": settings.max_video_minutes,
        "days": settings.retention_days,
    }
    environment = Environment(loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("page.html.j2")
    return template.render(t=strings, strings=_data(strings), limits=_data(limits))


def _data(content: object) -> Markup:
    """Data for the script, as JSON that no browser runs."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))  # noqa: S704 - our own words, without any <
