"""The page of forensic views: one self-contained HTML file, marked as views and not as verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from deepfake_detector._version import __version__
from deepfake_detector.core.explanation import ForensicView
from deepfake_detector.core.types import InputInfo
from deepfake_detector.report.html import render
from deepfake_detector.report.picture_view import NO_NAME, embed
from deepfake_detector.report.text import printable

SIDE = 1024


def forensic_page(
    info: InputInfo, views: Sequence[ForensicView], tables: Sequence[Sequence[int]], created: datetime
) -> str:
    """The page for one picture; ``tables`` are its JPEG quantisation tables, 64 numbers each, luminance first."""
    shown = [(view, embed(view.picture, SIDE)) for view in views]
    created = created.astimezone(UTC)
    return render(
        "forensic.html.j2",
        title="Forensic views",
        name=printable(info.path or NO_NAME),
        info=info,
        views=shown,
        tables=[[table[row : row + 8] for row in range(0, len(table), 8)] for table in tables],
        created=f"{created:%Y-%m-%d %H:%M} UTC",
        created_iso=created.isoformat(timespec="seconds"),
        tool_version=__version__,
    )
