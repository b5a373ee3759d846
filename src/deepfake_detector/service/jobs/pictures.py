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
from deepfake_detector.core.settings import Limits, VideoLimits
from deepfake_detector.core.types import Failure, ImageArray, Report
from deepfake_detector.core.video import VideoReport
from deepfake_detector.explain.forensic import views
from deepfake_detector.explain.overlay import close_ups, layer, scaled
from deepfake_detector.media.image import load_image
from deepfake_detector.media.metadata import read_metadata
from deepfake_detector.media.video import open_video
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
    return _jpeg(load_image(data, limits).pixels)


def still(task: Task) -> bytes:
    """The frame of a video that its answer shows. Raises InputError if it has none."""
    found = _answer(task)
    if isinstance(found, Report) or found.still is None:
        raise InputError("the answer of this video shows no frame")
    return found.still.picture


def frame(task: Task, limits: VideoLimits) -> bytes:
    """What a video shows at a time, upright, as a JPEG of at most ``PREVIEW_SIDE`` pixels a side.

    Raises InputError or MissingExtraError.
    """
    with open_video(task.file, limits) as video:
        return _jpeg(video.frame_at(task.time).pixels)


def report_page(task: Task, limits: Limits, card: Card) -> bytes:
    """The self-contained HTML report of an answer. Raises InputError or MissingExtraError."""
    report, pixels, shown = _answer(task), None, []
    if isinstance(report, Report):  # that of a video has its pictures inside
        pixels = load_image(Path(task.file).read_bytes(), limits).pixels
        shown = close_ups(report.faces, pixels, CLOSE_UP_SIDE)
    with tempfile.TemporaryDirectory(prefix="deepfake-report-") as folder:
        target = Path(folder) / "report.html"
        page = HtmlReport(target, model_summary(card), 1, datetime.fromtimestamp(task.made, UTC), command(task))
        page.add(report, pixels, shown)
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


def _jpeg(pixels: ImageArray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_shown(pixels)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _report(task: Task) -> Report:
    found = _answer(task)
    if not isinstance(found, Report):
        raise InputError("this is made of pictures only; the analysis is of a video")
    return found


def _answer(task: Task) -> Report | VideoReport:
    try:
        found = from_json(task.answer or "")
    except ConfigError as error:
        raise InputError("the answer cannot be read") from error
    assert not isinstance(found, Failure)  # only an analysis that is done has an answer
    return found


def _shown(pixels: ImageArray) -> ImageArray:
    picture = Image.fromarray(pixels)
    picture.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(picture)
