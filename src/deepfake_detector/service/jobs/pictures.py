"""What a worker draws of a picture and its answer: a preview, the HTML report, a heat map to lay over the preview."""

from __future__ import annotations

import io
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detector.core.errors import InputError
from deepfake_detector.core.settings import Limits
from deepfake_detector.media.image import load_image
from deepfake_detector.report.html import HtmlReport
from deepfake_detector.report.schema import from_json
from deepfake_detector.scoring.card import Card
from deepfake_detector.service.jobs.messages import Task
from deepfake_detector.service.model_summary import model_summary

PREVIEW_SIDE = 1600
"""Pixels of a preview's longer side, at most."""

FOR, AGAINST = (230, 85, 0), (0, 114, 178)
"""Colours (RGB) of evidence for and against fake: vermilion and blue, which the colour-blind can tell apart."""


def preview(data: bytes, limits: Limits) -> bytes:
    """The upright picture as a JPEG of at most ``PREVIEW_SIDE`` pixels a side, without any metadata.

    Raises InputError or MissingExtraError.
    """
    picture = Image.fromarray(load_image(data, limits).pixels)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def report_page(task: Task, data: bytes, limits: Limits, card: Card) -> bytes:
    """The self-contained HTML report of an answer. Raises InputError or MissingExtraError."""
    outcome = from_json(task.answer or "")
    with tempfile.TemporaryDirectory(prefix="deepfake-report-") as folder:
        target = Path(folder) / "report.html"
        page = HtmlReport(target, model_summary(card), 1, datetime.now(UTC))
        page.add(outcome, load_image(data, limits).pixels)
        page.close()
        return target.read_bytes()


def heatmap(task: Task) -> bytes:
    """The heat map of a face as a transparent PNG in the size of the preview.

    A map has ``values``, rows from top to bottom of which positive ones speak for fake, over the square whose
    ``corners`` (top left, top right, bottom right, bottom left) are in pixels of the upright picture. Raises InputError
    if it is no such map.
    """
    answer = json.loads(task.answer or "{}")
    try:
        frame, face = answer["input"], answer["faces"][task.face]
        return _overlay(face["heatmap"], frame["width"], frame["height"])
    except (KeyError, IndexError, TypeError, ValueError, cv2.error) as error:
        raise InputError("the heat map of this face cannot be drawn") from error


def _overlay(found: dict[str, Any], width: int, height: int) -> bytes:
    values = np.asarray(found["values"], np.float32)
    shrunk = min(1.0, PREVIEW_SIDE / max(width, height))
    size = (max(round(width * shrunk), 1), max(round(height * shrunk), 1))
    corners = np.asarray(found["corners"], np.float32).reshape(4, 2) * shrunk
    rows, columns = values.shape
    # The map's own corners are the outer edges of its cells, half a cell beyond their middles.
    square = np.array([(0, 0), (columns, 0), (columns, rows), (0, rows)], np.float32) - 0.5
    place = cv2.getPerspectiveTransform(square, corners)
    limit = float(np.abs(values).max()) or 1.0
    spread: NDArray[np.float32] = cv2.warpPerspective(
        values / limit, place, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    inside = np.zeros(spread.shape, np.uint8)
    cv2.fillConvexPoly(inside, corners.round().astype(np.int32), 1)
    strength = (np.clip(np.abs(spread), 0.0, 1.0) * inside)[..., None]
    colour = np.where(spread[..., None] > 0, np.array(FOR), np.array(AGAINST))
    pixels = np.concatenate([colour, strength * 255.0], axis=2).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(buffer, "PNG")
    return buffer.getvalue()
