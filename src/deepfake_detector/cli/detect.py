"""``deepfake detect``: pictures and videos in; a table, lines, documents and reports out."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from deepfake_detector.cli import detect_options as options
from deepfake_detector.cli.console import console, input_progress, show_note, typed_command
from deepfake_detector.cli.detect_options import Format, Outputs, Point, one_format, own_threshold
from deepfake_detector.cli.exitcodes import Finding, exit_code, parse_fail_on

if TYPE_CHECKING:
    from pathlib import Path

    from deepfake_detector.cli.answers import ManyAnalyzer
    from deepfake_detector.cli.remote import RemoteDetector
    from deepfake_detector.cli.resume import ResumeFile
    from deepfake_detector.cli.sinks import Sink
    from deepfake_detector.cli.watching import Show
    from deepfake_detector.core.settings import AnalysisSettings
    from deepfake_detector.core.types import ModelInfo
    from deepfake_detector.media.inputs import InputItem
    from deepfake_detector.media.sampling import Sampling
    from deepfake_detector.pipeline import Detector
    from deepfake_detector.scoring.card import Card


def detect(
    paths: options.Paths,
    *,
    json: options.Json = False,
    jsonl: options.JsonLines = False,
    csv: options.Csv = False,
    html: options.Html = None,
    output: options.Output = None,
    resume: options.Resume = None,
    model: options.Model = None,
    server: options.Server = None,
    operating_point: options.OperatingPoint = None,
    thresholds: options.Thresholds = None,
    prior: options.Prior = 0.5,
    all_faces: options.AllFaces = False,
    also_uncertain: options.AlsoUncertain = None,
    explain: options.Explain = False,
    trust_anchors: options.TrustAnchors = None,
    temporal_model: options.TemporalModel = None,
    threads: options.Threads = 0,
    frames: options.Frames = None,
    fps: options.Fps = None,
    every: options.Every = None,
    scene: options.Scene = None,
    annotate: options.Annotate = None,
    fail_on: options.FailOn = options.ALL,
    version: options.Version = False,
) -> None:
    """Say of pictures and videos whether a face in them is fake, real, or uncertain.

    Exit code: 2 usage; else 4 if an input could not be analysed, 1 if one is fake, 3 if one is uncertain; else 0.
    """
    outputs = Outputs(one_format(json=json, jsonl=jsonl, csv=csv), html, output, resume)
    counted = parse_fail_on(fail_on)
    from deepfake_detector.cli.watching import check_annotate, sampling_of
    from deepfake_detector.core.settings import AnalysisSettings
    from deepfake_detector.core.types import Doubt, OperatingPoint
    from deepfake_detector.media.inputs import expand

    own = own_threshold(thresholds, operating_point)
    if server is not None and (own or trust_anchors or also_uncertain or temporal_model):
        raise typer.BadParameter(
            "a service has thresholds, doubts, trust anchors and models of its own; leave them out, or --server"
        )
    point = OperatingPoint.OWN if own else OperatingPoint((operating_point or Point.FPR5).value)
    settings = AnalysisSettings(
        point,
        prior,
        all_faces,
        threads,
        explain=explain,
        trust_anchors=trust_anchors,
        own_threshold=own,
        temporal_model=temporal_model,
        doubts=tuple(Doubt(doubt.value) for doubt in also_uncertain or ()),
    )
    sampling = sampling_of(frames, fps, every, scene)
    if server is not None and (sampling is not None or annotate is not None):
        raise typer.BadParameter("a service looks at pictures only; leave out the options for videos, or --server")
    with ExitStack() as stack:
        analyst = _open(stack, model, server, settings, sampling)
        items = tuple(expand(paths, limits=settings.limits, videos=server is None))
        if annotate is not None:
            check_annotate(items, annotate)
        found = _analyse(analyst, items, outputs, annotate)
    raise typer.Exit(exit_code(found, counted))


@dataclass(frozen=True, slots=True)
class _Analyst:
    """Who answers: a detector in this process, or a service; with what is said of its model.

    ``sampling`` says which frames of videos are looked at, None for the usual ones.
    """

    answers: Detector | RemoteDetector
    card: Card
    info: ModelInfo
    settings: AnalysisSettings
    sampling: Sampling | None = None

    def shown(self, show: Show) -> ManyAnalyzer:
        """The one who answers, with its progress through each video shown."""
        from deepfake_detector.cli.remote import RemoteDetector
        from deepfake_detector.cli.watching import WatchedDetector

        if isinstance(self.answers, RemoteDetector):
            return self.answers
        return WatchedDetector(self.answers, self.sampling, show)


def _open(
    stack: ExitStack, model: str | None, server: str | None, settings: AnalysisSettings, sampling: Sampling | None
) -> _Analyst:
    if server is None:
        from deepfake_detector.pipeline import Detector

        detector = Detector(model, settings)
        return _Analyst(detector, detector.bundle.card, detector.bundle.info, settings, sampling)
    if model is not None:
        raise typer.BadParameter("the service has a model of its own; leave out --model or --server")
    from deepfake_detector.cli.remote import open_remote

    remote = stack.enter_context(open_remote(server, settings))
    return _Analyst(remote, remote.card, remote.info, settings)


def _analyse(analyst: _Analyst, items: tuple[InputItem, ...], outputs: Outputs, annotated: Path | None) -> set[Finding]:
    """Answer all items into all outputs; returns what was found."""
    from deepfake_detector.cli.answers import answers

    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        resume = _resume_file(stack, analyst, outputs)
        sinks = _sinks(stack, analyst, outputs, len(items))
        quiet = outputs.stdout.streams and sys.stdout.isatty()
        step, show = stack.enter_context(input_progress(len(items), quiet=quiet))
        for answer in answers(analyst.shown(show), items, resume):
            for sink in sinks:
                sink.add(answer)
            counts[answer.word] += 1
            counts["stored"] += answer.stored
            step()
            if annotated is not None:
                from deepfake_detector.cli.watching import annotate

                annotate(answer, annotated, analyst.settings.video_limits, show)
    _say_more(analyst, outputs, counts)
    return {finding for finding in Finding if counts[finding.value]}


def _resume_file(stack: ExitStack, analyst: _Analyst, outputs: Outputs) -> ResumeFile | None:
    if outputs.resume is None:
        return None
    from deepfake_detector.cli.resume import ResumeFile
    from deepfake_detector.media.sampling import Sampling
    from deepfake_detector.pipeline.video_facts import in_words

    file = stack.enter_context(
        ResumeFile(
            outputs.resume,
            analyst.info.sha256,
            analyst.settings,
            analyst.answers.threshold,
            analyst.card.doubts.looked_for(analyst.settings.doubts),
            in_words(analyst.sampling or Sampling()),
        )
    )
    file.refuse_stream(sys.stdout)
    return file


def _sinks(stack: ExitStack, analyst: _Analyst, outputs: Outputs, expected: int) -> list[Sink]:
    from deepfake_detector.cli.sinks import HtmlOptions, html_file, output_folder, stdout_sink
    from deepfake_detector.service.model_summary import model_summary

    html = HtmlOptions(model_summary(analyst.card), expected, analyst.settings.limits, typed_command())
    sinks = [stack.enter_context(stdout_sink(outputs.stdout, sys.stdout))]
    if outputs.html is not None:
        sinks.append(stack.enter_context(html_file(outputs.html, html)))
    if outputs.folder is not None:
        sinks.extend(stack.enter_context(output_folder(outputs.folder, html)))
    return sinks


def _say_more(analyst: _Analyst, outputs: Outputs, counts: Counter[str]) -> None:
    """Below a table: what its numbers assume; on standard error: what was written, and what was known before."""
    from deepfake_detector.report.text import percent

    if outputs.stdout is Format.TABLE:
        settings, info = analyst.settings, analyst.info
        console(sys.stdout).print(
            f"{_summary(counts)}. p(fake) assumes that {percent(settings.prior)} of all pictures are fake; "
            f"operating point {settings.operating_point.value}; model {info.name} {info.version}; "
            f"weights: {info.license}.",
            style="dim",
        )
    if counts["stored"]:
        show_note(f"answers taken from {outputs.resume}: {counts['stored']}")
    for place in (outputs.html, outputs.folder):
        if place is not None:
            show_note(f"wrote {place}")


def _summary(counts: Counter[str]) -> str:
    from deepfake_detector.report.text import VERDICT_WORDS

    names = {**{word: word for word in VERDICT_WORDS.values()}, Finding.ERROR.value: "not analysed"}
    return ", ".join(f"{counts[word]} {name}" for word, name in names.items() if counts[word])
