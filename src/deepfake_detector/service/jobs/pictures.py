"""What a worker draws of a picture and its answer: a preview, the report, forensic views, a heat map to lay over it."""

from __future__ import annotations

import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deepfake_detector.core.errors import ConfigError, InputError
from deepfake_detector.core.settings import Limits
from deepfake_detector.core.types import ImageArray, Report
from deepfake_detector.explain.forensic import views
from deepfake_detector.explain.overlay import close_ups, layer, scaled
from deepfake_detector.media.image import load_image
from deepfake_detector.media.metadata import read_metadata
from deepfake_detector.report.forensic import forensic_page
from deepfake_detector.report.html import HtmlReport
from deepfake_detector.report.picture_view import CLOSE_UP_SIDE
from deepfake_detector.report.schema import from_json
from deepfake_detector.scoring.card import Card
from deepfake_detector.service.jobs.messages import Task, command
from deepfake_detector.service.model_summary import model_summary

PREVIEW_SIDE = 1600
"""Pixels of a preview's longer side, at most."""


def preview(data: bytes, limits: Limits) -> bytes:
    """The upright picture as a JPEG of at most ``PREVIEW_SIDE`` pixels a side, without any metadata.

    Raises InputError or MissingExtraError.
    """
    buffer = io.BytesIO()
    Image.fromarray(_shown(load_image(data, limits).pixels)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def report_page(task: Task, data: bytes, limits: Limits, card: Card) -> bytes:
    """The self-contained HTML report of an answer. Raises InputError or MissingExtraError."""
    report = _report(task)
    pixels = load_image(data, limits).pixels
    with tempfile.TemporaryDirectory(prefix="deepfake-report-") as folder:
        target = Path(folder) / "report.html"
        page = HtmlReport(target, model_summary(card), 1, datetime.fromtimestamp(task.made, UTC), command(task))
        page.add(report, pixels, close_ups(report.faces, pixels, CLOSE_UP_SIDE))
        page.close()
        return target.read_bytes()


def forensic_views(task: Task, data: bytes, limits: Limits) -> bytes:
    """The page of forensic views. Raises InputError or MissingExtraError."""
    shown = views(load_image(data, limits).pixels)
    made = datetime.fromtimestamp(task.made, UTC)
    return forensic_page(_report(task).input, shown, read_metadata(data).tables, made).encode()


def heatmap(task: Task, data: bytes, limits: Limits) -> bytes:
    """The heat map of a face over its grey pixels, as a PNG in the size of the preview, clear outside of its square.

    All maps of a picture share one scale. Raises InputError if the answer has no such map.
    """
    faces = _report(task).faces
    own = faces[task.face].heatmap if task.face < len(faces) else None
    if own is None:
        raise InputError("this answer has no heat map of this face")
    pixels = load_image(data, limits).pixels
    small = _shown(pixels)
    limit = max(face.heatmap.limit for face in faces if face.heatmap is not None)
    try:
        drawn = layer(small, scaled(own, small.shape[1] / pixels.shape[1]), limit)
    except (cv2.error, ValueError) as error:
        raise InputError("the heat map of this face cannot be drawn") from error
    buffer = io.BytesIO()
    Image.fromarray(drawn, "RGBA").save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _report(task: Task) -> Report:
    try:
        found = from_json(task.answer or "")
    except ConfigError as error:
        raise InputError("the answer cannot be read") from error
    assert isinstance(found, Report)  # only an analysis that is done has an answer
    return found


def _shown(pixels: ImageArray) -> ImageArray:
    picture = Image.fromarray(pixels)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture)
