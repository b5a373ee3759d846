"""What is asked about the service itself: the model, whether it lives, whether it is ready, its figures."""

from __future__ import annotations

import asyncio
from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from deepfake_detector._version import __version__
from deepfake_detector.report.face_schema import ModelRecord
from deepfake_detector.report.text import LIMITS
from deepfake_detector.scoring.card import Card
from deepfake_detector.service.access import AnyCaller, Observer, ServicesHere
from deepfake_detector.service.problems import Problem, responses
from deepfake_detector.service.telemetry import CONTENT_TYPE

router = APIRouter(tags=["service"])


class ModelOut(BaseModel):
    """The model that answers, and the limits of any answer."""

    model: ModelRecord = Field(description="With the licence of the weights.")
    card: Card
    limits: tuple[str, ...] = Field(description="What an answer of whatever model cannot say.")


class Health(BaseModel):
    """That it is well."""

    status: Literal["ok"] = "ok"
    version: str = __version__


@router.get("/v1/model", summary="The model", responses=responses("unauthorized", "rate_limited"))
def model(caller: AnyCaller, services: ServicesHere) -> ModelOut:
    """Which model answers, under which licence its weights stand, and its card: data, figures, thresholds, limits."""
    info = ModelRecord.model_validate(services.bundle.info, from_attributes=True)
    return ModelOut(model=info, card=services.bundle.card, limits=LIMITS)


@router.get("/healthz", summary="Does it live?")
async def healthz() -> Health:
    """Answers as long as the process does."""
    return Health()


@router.get("/readyz", summary="Can it work?", responses=responses("unavailable"))
async def readyz(services: ServicesHere) -> Health:
    """Whether the database answers and a worker is there."""
    if not await asyncio.to_thread(services.database.answers):
        raise Problem("unavailable", "the database does not answer")
    if not services.pool.ready:
        raise Problem("unavailable", "no worker is ready")
    return Health()


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **responses("unauthorized", "forbidden", "rate_limited")},
)
def metrics(caller: Observer, services: ServicesHere) -> Response:
    """Requests, analyses, queue and workers; a key needs the scope `metrics`."""
    return Response(services.telemetry.text(services.queue, services.pool), media_type=CONTENT_TYPE)
