"""Errors as problem details (RFC 9457), with codes that stay the same across versions."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"

CODES: Mapping[str, tuple[int, str]] = {
    "bad_request": (400, "The request cannot be understood"),
    "unauthorized": (401, "A valid key is needed"),
    "forbidden": (403, "This is not allowed"),
    "cross_site": (403, "Other web sites may not call this service"),
    "csrf": (403, "The CSRF token is missing or wrong"),
    "not_found": (404, "There is no such thing"),
    "no_heatmap": (404, "There is no heat map of this face"),
    "file_gone": (404, "The file is no longer kept"),
    "method_not_allowed": (405, "This method is not allowed here"),
    "upload_too_slow": (408, "The upload took too long"),
    "conflict": (409, "This is not possible in the present state"),
    "too_large": (413, "The upload is too large"),
    "too_many_files": (413, "Too many files in one request"),
    "unsupported_format": (415, "This format is not opened"),
    "unsupported_codec": (415, "This video is packed in a way that is not opened"),
    "missing_extra": (415, "This format needs an extra that is not installed"),
    "wrong_host": (421, "This service does not go by that name"),
    "invalid": (422, "The request is not valid"),
    "idempotency_mismatch": (422, "The idempotency key was used for another request"),
    "empty": (422, "The file is empty"),
    "damaged": (422, "The file is damaged"),
    "no_video": (422, "The file holds no moving pictures"),
    "no_frames": (422, "No frame of the video can be decoded"),
    "decode_timeout": (422, "The video took too long to decode"),
    "unreadable": (422, "The file cannot be read"),
    "input_error": (422, "The file cannot be analysed"),
    "timeout": (422, "The analysis took too long"),
    "analysis_crashed": (422, "The file brought the analysis down"),
    "cancelled": (409, "The analysis was cancelled"),
    "rate_limited": (429, "Too many requests"),
    "queue_full": (429, "Too many analyses are waiting"),
    "quota_exceeded": (429, "The storage quota is used up"),
    "internal": (500, "Something went wrong that should not have"),
    "unavailable": (503, "The service is not ready"),
}
"""Each code with its status and title."""

_CODE_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 401: "unauthorized", 403: "forbidden"}
_log = logging.getLogger(__name__)


class ProblemDetails(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:deepfake-detector:problem:unsupported_format",
                "title": CODES["unsupported_format"][1],
                "status": 415,
                "detail": "letter.pdf looks like a PDF document; give one of JPEG, PNG, WebP, …",
                "code": "unsupported_format",
            }
        }
    )

    type: str = Field(description="A URN that ends in the code.")
    title: str
    status: int
    detail: str = Field(description="What was got, and what to do.")
    code: str = Field(description="A stable word.")
    analysis: str | None = Field(default=None, description="The analysis that this is about, if it was kept.")


class Problem(Exception):  # noqa: N818 - it is an answer, called as RFC 9457 calls it
    """Raised anywhere below a route; becomes a response."""

    def __init__(
        self, code: str, detail: str, *, headers: Mapping[str, str] | None = None, analysis: str | None = None
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.analysis = analysis

    def response(self) -> Response:
        """The response that says it."""
        status, title = CODES[self.code]
        body: dict[str, Any] = {
            "type": f"urn:deepfake-detector:problem:{self.code}",
            "title": title,
            "status": status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.analysis is not None:
            body["analysis"] = self.analysis
        return Response(json.dumps(body), status, self.headers, MEDIA_TYPE)


def responses(*codes: str) -> dict[int | str, dict[str, Any]]:
    """What a route's ``responses`` say in the OpenAPI document about the problems that it can answer with."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, title = CODES[code]
        described = found.get(status, {}).get("description")
        found[status] = {
            "description": f"{described}; or: {title} (`{code}`)" if described else f"{title} (`{code}`)",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
        }
    return found


def add_handlers(app: FastAPI) -> None:
    """Turn every error of the app into problem details."""

    async def own(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODE_OF_STATUS.get(error.status_code, "bad_request" if error.status_code < 500 else "internal")
        phrase = HTTPStatus(error.status_code).phrase
        detail = f"{request.method} {request.url.path}: {error.detail or phrase}"
        return Problem(code, detail, headers=error.headers).response()

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        said = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()[:5]]
        return Problem("invalid", "; ".join(said)).response()

    async def unexpected(request: Request, error: Exception) -> Response:
        # Never the content of a request: only where it went and what kind of error it was.
        _log.error("%s %s failed: %s", request.method, request.url.path, type(error).__name__, exc_info=error)
        return Problem("internal", "This is a fault of the program; its log says more.").response()

    app.add_exception_handler(Problem, own)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, unexpected)
