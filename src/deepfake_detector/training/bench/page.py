"""The pages of the bench: one file each, no script, no network, in the style of the evaluation's."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from deepfake_detector._version import __version__
from deepfake_detector.training.curve_plots import said
from deepfake_detector.training.evaluation_report import percent, said_rate
from deepfake_detector.training.intervals import Estimate


def bare(estimate: Estimate) -> str:
    """A figure without its interval: ``0.951``."""
    return "–" if estimate.value is None else f"{estimate.value:.3f}"


def write_page(file: Path, template: str, **content: Any) -> None:
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
