"""``deepfake explain``: one picture, and all that can be shown of why it got its score."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepfake_detector.cli import detect_options as options
from deepfake_detector.cli.console import console, show_note, typed_command
from deepfake_detector.cli.detect_options import Point, own_threshold

if TYPE_CHECKING:
    from deepfake_detector.core.types import ImageArray, Report
    from deepfake_detector.explain.maps import MapMaker
    from deepfake_detector.pipeline import Detector
    from deepfake_detector.report.html import ModelSummary
    from deepfake_detector.scoring.bundle import Bundle


class Method(StrEnum):
    """The values of ``core.explanation.MapMethod``, which would import NumPy before it is needed."""

    LAYER_CAM = "layer-cam"
    CAM = "cam"
    OCCLUSION = "occlusion"
    GRAD_CAM = "grad-cam"
    GRAD_CAM_PLUS_PLUS = "grad-cam++"
    GRADIENT = "gradient"
    ROLLOUT = "attention-rollout"


def explain(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO", help="One picture.")],
    *,
    output: Annotated[
        Path,
        typer.Option("--output", metavar="DIR", file_okay=False, help="Folder for the report, the maps and the views."),
    ],
    method: Annotated[
        Method | None,
        typer.Option(
            "--method",
            help="How to make the heat map; those after occlusion need --run.",
            show_default="layer-cam, where the network gives none cam, else occlusion",
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="DIR", help="A training run whose Keras network and bundle are taken."),
    ] = None,
    model: options.Model = None,
    operating_point: options.OperatingPoint = None,
    thresholds: options.Thresholds = None,
    prior: options.Prior = 0.5,
    all_faces: options.AllFaces = False,
    trust_anchors: options.TrustAnchors = None,
    threads: options.Threads = 0,
) -> None:
    """Show why a picture got its score: the case report, heat maps, and forensic views.

    Writes report.html, case.json, forensic.html, overlay.png, and for each face its close-up and its raw map
    (PNG, NPY). The verdict is the same as that of detect; the exit code is 0 whatever it is.
    """
    from deepfake_detector.core.settings import AnalysisSettings
    from deepfake_detector.core.types import OperatingPoint
    from deepfake_detector.media.image import load_image
    from deepfake_detector.pipeline import Detector
    from deepfake_detector.scoring.bundle import load_bundle
    from deepfake_detector.service.model_summary import model_summary

    if run is not None and model is not None:
        raise typer.BadParameter("--run has a model of its own; leave --model out")
    bundle = load_bundle(model if run is None else run / "bundle")
    maker = _map_maker(method, run, bundle, threads)
    own = own_threshold(thresholds, operating_point)
    point = OperatingPoint.OWN if own else OperatingPoint((operating_point or Point.FPR5).value)
    settings = AnalysisSettings(
        point, prior, all_faces, threads, explain=True, trust_anchors=trust_anchors, own_threshold=own
    )
    detector = Detector(bundle, settings, map_maker=maker)
    report = detector.analyze(photo)
    image = load_image(photo, settings.limits).pixels
    case = _Case(report, image, photo, detector, model_summary(bundle.card), datetime.now(UTC))
    _write(case, output)
    _say(report)
    show_note(f"wrote {output}; open {output / 'report.html'}")


def _map_maker(method: Method | None, run: Path | None, bundle: Bundle, threads: int) -> MapMaker | None:
    """None for the best one that the network gives."""
    if method is None:
        return None
    if method in (Method.LAYER_CAM, Method.CAM, Method.OCCLUSION):
        from deepfake_detector.core.explanation import MapMethod
        from deepfake_detector.pipeline.explainer import maker_of
        from deepfake_detector.scoring.scorer import Scorer

        return maker_of(MapMethod(method.value), Scorer(bundle, threads), threads)
    if run is None:
        raise typer.BadParameter(f"--method {method.value} needs the Keras network of a training run: give --run DIR")
    from deepfake_detector.core.explanation import MapMethod
    from deepfake_detector.training.saliency import KerasMaps, network_of

    return KerasMaps(network_of(run), MapMethod(method.value))


@dataclass(frozen=True, slots=True)
class _Case:
    report: Report
    image: ImageArray
    photo: Path
    detector: Detector
    model: ModelSummary
    created: datetime


def _write(case: _Case, folder: Path) -> None:
    """All files of a case. Raises ConfigError if they cannot be written."""
    from deepfake_detector.core.errors import ConfigError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = [*_maps(case, folder), _forensic(case, folder), _html(case, folder)]
        _text(folder / "case.json", _json(case, files))
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror or error}; give another place") from error


def _maps(case: _Case, folder: Path) -> list[str]:
    """The overlay of the whole picture, and each face's close-up and raw map; returns the names."""
    import numpy as np
    from PIL import Image

    from deepfake_detector.explain.overlay import close_ups, overlay, raw_png, with_scale
    from deepfake_detector.report.picture_view import CLOSE_UP_SIDE

    heatmaps = [face.heatmap for face in case.report.faces if face.heatmap is not None]
    if not heatmaps:
        return []
    limit = max(heatmap.limit for heatmap in heatmaps)
    Image.fromarray(with_scale(overlay(case.image, heatmaps), limit)).save(folder / "overlay.png")
    names = ["overlay.png"]
    for number, shown in enumerate(close_ups(case.report.faces, case.image, CLOSE_UP_SIDE), 1):
        names.append(f"face-{number}.png")
        Image.fromarray(with_scale(shown.overlay, shown.limit)).save(folder / names[-1])
    for number, heatmap in enumerate(heatmaps, 1):
        names += [f"face-{number}-map.png", f"face-{number}-map.npy"]
        (folder / names[-2]).write_bytes(raw_png(heatmap))
        np.save(folder / names[-1], heatmap.as_array(), allow_pickle=False)
    return names


def _forensic(case: _Case, folder: Path) -> str:
    from deepfake_detector.explain.forensic import views
    from deepfake_detector.media.image import read_file
    from deepfake_detector.media.metadata import read_metadata
    from deepfake_detector.report.forensic import forensic_page

    tables = read_metadata(read_file(str(case.photo), case.detector.settings.limits)).tables
    _text(folder / "forensic.html", forensic_page(case.report.input, views(case.image), tables, case.created))
    return "forensic.html"


def _html(case: _Case, folder: Path) -> str:
    from deepfake_detector.explain.overlay import close_ups
    from deepfake_detector.report.html import HtmlReport
    from deepfake_detector.report.picture_view import CLOSE_UP_SIDE

    page = HtmlReport(folder / "report.html", case.model, 1, case.created, typed_command())
    page.add(case.report, case.image, close_ups(case.report.faces, case.image, CLOSE_UP_SIDE))
    page.close()
    return "report.html"


def _json(case: _Case, files: list[str]) -> str:
    from deepfake_detector.report.case import case_json

    return case_json(case.report, case.model, typed_command(), case.created, files)


def _text(path: Path, text: str) -> None:
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def _say(report: Report) -> None:
    """The verdict and its reasons, as sentences."""
    from deepfake_detector.report.text import percent, sentence, threshold_sentence
    from deepfake_detector.report.words import caution_sentences, face_words, provenance_sentences

    out = console(sys.stdout)
    probability = "" if report.p_fake is None else f" (probability of a fake: {percent(report.p_fake)})"
    out.print(f"{report.verdict.value}{probability}: {sentence(report)}", soft_wrap=True)
    for number, face in enumerate(report.faces, 1):
        for said in face_words(face, report.decision):
            out.print(f"• face {number}: {said}", soft_wrap=True)
    for said in (*caution_sentences(report), *provenance_sentences(report.provenance)):
        out.print(f"• {said}", soft_wrap=True)
    if report.p_fake is not None:
        out.print(threshold_sentence(report.decision), style="dim", soft_wrap=True)
