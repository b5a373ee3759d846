"""What every bench writes: its numbers, and a page of one file, no script, no network, like that of the evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from deepfake_detector._version import __version__
from deepfake_detector.core.errors import DataError
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation_report import percent, said_rate
from deepfake_detector.training.intervals import Estimate

REPORT_NAME = "report.html"


def bare(estimate: Estimate) -> str:
    """A figure without its interval: ``0.951``."""
    return "–" if estimate.value is None else f"{estimate.value:.3f}"


@contextmanager
def writing(what: str, folder: Path) -> Iterator[None]:
    """Raises DataError where the block raises OSError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot write the {what} to {folder}: {error.strerror or error}") from error


def write_report(folder: Path, name: str, numbers: Mapping[str, Any], **content: Any) -> None:
    """Write ``<name>.json`` and the page into a folder, which is made; the summary is in both. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(numbers, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / f"{name}.json").write_text(text, encoding="utf-8")
    _write_page(folder / REPORT_NAME, f"{name}.html.j2", summary=numbers["summary"], **content)


def _write_page(file: Path, template: str, **content: Any) -> None:
    """Fill a template of ``training/templates`` and write it."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("deepfake_detector.training").joinpath("templates")
    environment = Environment(
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(said=said, bare=bare, share=said_rate, percent=percent)
    style = folder.joinpath("evaluation.css").read_text(encoding="utf-8")
    page = environment.get_template(template).render(style=style, version=__version__, **content)
    file.write_text(page, encoding="utf-8")
