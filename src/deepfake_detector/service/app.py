"""Puts the routes and what guards them together."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from deepfake_detector._version import __version__
from deepfake_detector.service.body import BodyLimit
from deepfake_detector.service.guard import Guard
from deepfake_detector.service.problems import ProblemDetails, add_handlers
from deepfake_detector.service.routes import analyses, artefacts, page, session, system
from deepfake_detector.service.services import Services
from deepfake_detector.service.telemetry import Measured

DESCRIPTION = """\
Says of pictures whether a face in them is manipulated or generated, how sure it is, and when it cannot tell.

A score is not a proof. Every error is a problem document (RFC 9457) with a stable `code`."""


def create_app(services: Services) -> FastAPI:
    """The application; ``services.running`` must be entered around the time in which it answers."""
    app = FastAPI(
        title="deepfake-detector",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # these pages load scripts from other hosts
        redoc_url=None,
    )
    app.state.services = services
    for routes in (analyses, artefacts, system, session, page):
        app.include_router(routes.router)
    app.mount("/assets", page.assets)
    add_handlers(app)
    # The last one added is the first to see a request.
    app.add_middleware(BodyLimit, settings=services.settings)
    app.add_middleware(Guard, settings=services.settings)
    app.add_middleware(Measured, telemetry=services.telemetry)
    _describe_problems(app)
    return app


def _describe_problems(app: FastAPI) -> None:
    """Put the schema of problems into the OpenAPI document, in the place of FastAPI's own for validation errors."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        schemas = document["components"]["schemas"]
        if "ProblemDetails" not in schemas:
            schemas["ProblemDetails"] = ProblemDetails.model_json_schema()
            problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
            for operations in document["paths"].values():
                for operation in operations.values():
                    for status, response in operation["responses"].items():
                        if status == "422":
                            response["content"] = problem
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
