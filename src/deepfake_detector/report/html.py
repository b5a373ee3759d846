"""A self-contained HTML report that opens offline: no script, no network, light and dark, printable."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING

from deepfake_detector._version import __version__
from deepfake_detector.core.explanation import CloseUp
from deepfake_detector.core.types import REPORT_SCHEMA_VERSION, ImageArray
from deepfake_detector.core.video import AnyOutcome
from deepfake_detector.report.picture_view import embed, picture_view
from deepfake_detector.report.text import LIMITS, printable

if TYPE_CHECKING:
    from jinja2 import Environment

PICTURE_SIDE = 1024
THUMBNAIL_SIDE = 320
THUMBNAILS_ABOVE = 50

_ROWS_MARK = "<!--rows-->"
_PICTURES_MARK = "<!--pictures-->"
_COUNT_WORDS = (
    ("fake", "fake"),
    ("uncertain", "uncertain"),
    ("real", "real"),
    ("no_face", "without a face"),
    ("error", "not analysed"),
)


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """A set that the weights were trained on: how many pictures of each class, and its terms."""

    name: str
    real: int
    fake: int
    terms: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure in words: what, on which data, its value (with its interval)."""

    name: str
    on: str
    value: str


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """What the report says of the model; taken from its card."""

    name: str
    version: str
    sha256: str
    description: str
    architecture: str
    license: str
    limits: tuple[str, ...] = ()
    data: tuple[TrainingSet, ...] = ()
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Count:
    """How many inputs had one verdict."""

    css: str
    number: int
    words: str


class HtmlReport:
    """Writes a report picture by picture; the file appears whole when ``close`` is called, or not at all.

    ``expected`` is the number of inputs: above 50 of them, thumbnails are embedded in place of pictures. Memory
    stays flat, since what was added waits in temporary files. ``command`` is what to type to get the same again.
    """

    def __init__(
        self, target: Path, model: ModelSummary | None, expected: int, created: datetime, command: str | None = None
    ) -> None:
        self._target = target
        self._model = model
        self._created = created
        self._command = command
        self._many = expected > 1
        self._thumbnails = expected > THUMBNAILS_ABOVE
        self._counts: Counter[str] = Counter()
        self._rows = _spool()
        self._pictures = _spool()

    def add(self, outcome: AnyOutcome, image: ImageArray | None, close_ups: Sequence[CloseUp] = ()) -> None:
        """Add one input; ``image`` is the upright RGB picture (H, W, 3), or None where there is nothing to show.

        ``close_ups`` are those of its first faces, in their order.
        """
        side = THUMBNAIL_SIDE if self._thumbnails else PICTURE_SIDE
        embedded = None if image is None else embed(image, side)
        view = picture_view(self._counts.total() + 1, outcome, embedded, close_ups)
        self._counts[view.css] += 1
        values = {name: getattr(view, name) for name in view.__slots__}
        self._pictures.write(_environment().get_template("picture.html.j2").render(values))
        if self._many:
            self._rows.write(_environment().get_template("row.html.j2").render(values))

    def close(self) -> None:
        """Write the file. Raises OSError if that fails; what stood at its place is then unchanged."""
        page = self._page()
        part = self._target.with_name(f".{self._target.name}.{os.getpid()}.part")
        try:
            with part.open("w", encoding="utf-8", newline="\n") as stream:
                for piece in _pieces(page):
                    if piece in (_ROWS_MARK, _PICTURES_MARK):
                        self._copy(self._rows if piece == _ROWS_MARK else self._pictures, stream)
                    else:
                        stream.write(piece)
            part.replace(self._target)
        finally:
            part.unlink(missing_ok=True)
            self.discard()

    def discard(self) -> None:
        """Forget what was added, and write nothing."""
        self._rows.close()
        self._pictures.close()

    @staticmethod
    def _copy(spool: IO[str], stream: IO[str]) -> None:
        spool.seek(0)
        shutil.copyfileobj(spool, stream)

    def _page(self) -> str:
        created = self._created.astimezone(UTC)
        return render(
            "page.html.j2",
            title="Deepfake report",
            created=f"{created:%Y-%m-%d %H:%M} UTC",
            created_iso=created.isoformat(timespec="seconds"),
            tool_version=__version__,
            schema_version=REPORT_SCHEMA_VERSION,
            python_version=platform.python_version(),
            command=None if self._command is None else printable(self._command),
            model=self._model,
            limits=LIMITS,
            counts=[Count(css, self._counts[css], words) for css, words in _COUNT_WORDS if self._counts[css]],
            many=self._many,
            thumbnails=self._thumbnails,
            rows_mark=_safe(_ROWS_MARK),
            pictures_mark=_safe(_PICTURES_MARK),
        )


def render(template: str, **values: object) -> str:
    """A page of this package with its style sheet, which the page's own policy allows by its hash."""
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return _environment().get_template(template).render(style=_safe(style), style_hash=digest, **values)


def _spool() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")


def _pieces(page: str) -> Sequence[str]:
    """The page cut at its marks, the marks included. What users name cannot hold one: ``<`` is escaped."""
    before, mark, rest = page.partition(_ROWS_MARK)
    middle, pictures, after = (rest if mark else before).partition(_PICTURES_MARK)
    return [before, mark, middle, pictures, after] if mark else [middle, pictures, after]


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("deepfake_detector.report"), autoescape=True, undefined=StrictUndefined, auto_reload=False
    )


def _style() -> str:
    return files("deepfake_detector.report").joinpath("templates", "report.css").read_text(encoding="utf-8")


def _safe(text: str) -> str:
    """Our own text, which must not be escaped."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 -- only constants and the style sheet of this package pass here
