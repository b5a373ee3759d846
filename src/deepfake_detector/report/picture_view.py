"""What the HTML report shows of one input: the embedded picture, its boxes, the scale, the facts in words."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import replace

from deepfake_detector.core.explanation import CloseUp
from deepfake_detector.core.types import Box, Decision, Face, Failure, ImageArray, InputInfo, Report
from deepfake_detector.core.video import AnyOutcome, VideoInput, VideoReport
from deepfake_detector.report.clip_view import clip_view, still_boxes
from deepfake_detector.report.table import seconds
from deepfake_detector.report.text import (
    KIND_WORDS,
    VERDICT_WORDS,
    face_reasons,
    percent,
    printable,
)
from deepfake_detector.report.video_schema import data_uri
from deepfake_detector.report.video_text import (
    answer_sentence,
    answer_threshold,
    explained_frame,
    person_reasons,
    seconds_words,
)
from deepfake_detector.report.views import BoxView, Embedded, FaceView, Fact, PictureView, ReasonView, ScaleView
from deepfake_detector.report.words import MAP_WORDS, caution_sentences, face_words, provenance_sentences

NO_NAME = "picture without a name"
CLOSE_UP_SIDE = 360


def embed(image: ImageArray, max_side: int) -> Embedded:
    """A copy of an RGB picture (H, W, 3; 0–255), at most ``max_side`` pixels long, as a JPEG ``data:`` URI."""
    from PIL import Image

    picture = Image.fromarray(image)
    picture.thumbnail((max_side, max_side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85, optimize=True)
    coded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Embedded(f"data:image/jpeg;base64,{coded}", picture.width, picture.height)


def picture_view(
    number: int, outcome: AnyOutcome, picture: Embedded | None, close_ups: Sequence[CloseUp] = ()
) -> PictureView:
    """The view of one input; ``picture`` is None where it is not to be shown, ``close_ups`` are of its first faces.

    A video shows the still in its report, and no close-ups but those.
    """
    if isinstance(outcome, Failure):
        return _failure_view(number, outcome)
    css = outcome.verdict.value
    view = PictureView(
        number=number,
        name=printable(outcome.input.path or NO_NAME),
        css=css,
        words=VERDICT_WORDS[outcome.verdict],
        probability="–" if outcome.p_fake is None else percent(outcome.p_fake),
        headline=VERDICT_WORDS[outcome.verdict].capitalize(),
        sentence=answer_sentence(outcome),
        frame=outcome.input,
        scale=None if outcome.p_fake is None else _scale(outcome.p_fake, outcome.decision),
        warnings=[printable(warning) for warning in outcome.warnings],
        threshold="" if outcome.p_fake is None else answer_threshold(outcome),
    )
    return (
        _of_video(view, outcome) if isinstance(outcome, VideoReport) else _of_picture(view, outcome, picture, close_ups)
    )


def _of_picture(
    view: PictureView, report: Report, picture: Embedded | None, close_ups: Sequence[CloseUp]
) -> PictureView:
    numbered = list(enumerate(report.faces, 1))
    return replace(
        view,
        alt=_alt(report),
        picture=picture,
        boxes=[_box(at, face.box, face, report.input) for at, face in numbered],
        faces=[_face(at, face, face_reasons(face)) for at, face in numbered],
        reasons=_reasons(report, close_ups),
        warnings=[*view.warnings, *caution_sentences(report)],
        provenance=provenance_sentences(report.provenance),
        facts=_facts(report),
    )


def _of_video(view: PictureView, report: VideoReport) -> PictureView:
    still = report.still
    return replace(
        view,
        alt="" if still is None else f"The frame at {seconds_words(still.time)}, with numbered boxes for the persons.",
        picture=None if still is None else Embedded(data_uri(still.picture), still.width, still.height),
        boxes=[_box(person.id, box, person.face, report.input) for person, box in still_boxes(report)],
        faces=[_face(person.id, person.face, person_reasons(person)) for person in report.persons],
        reasons=_reasons(report, ()),
        facts=_video_facts(report),
        noun="Person",
        clip=clip_view(view.number, report),
    )


def _failure_view(number: int, failure: Failure) -> PictureView:
    facts = [Fact("Error", failure.code)]
    if failure.sha256 is not None:
        facts.append(Fact("SHA-256", failure.sha256, is_hash=True))
    return PictureView(
        number=number,
        name=printable(failure.path or NO_NAME),
        css="error",
        words="not analysed",
        probability="–",
        headline="Not analysed",
        sentence=printable(failure.message),
        facts=facts,
    )


def _alt(report: Report) -> str:
    count = len(report.faces)
    if not count:
        return "The analysed picture."
    return f"The analysed picture, with {count} numbered face {'box' if count == 1 else 'boxes'}."


def _box(number: int, box: Box, face: Face, frame: InputInfo | VideoInput) -> BoxView:
    """The tag sits on the box's upper left corner, moved inwards where it would leave the picture."""
    unit = max(frame.width, frame.height) / 36.0
    width, height = unit * (0.9 + 0.55 * len(str(number))), unit * 1.5
    tag_x = min(max(box.x, 0.0), max(frame.width - width, 0.0))
    above = box.y - height
    tag_y = above if above >= 0.0 else min(max(box.y, 0.0), max(frame.height - height, 0.0))
    return BoxView(
        number=number,
        css=face.verdict.value,
        aside=not face.considered,
        x=round(box.x, 1),
        y=round(box.y, 1),
        w=round(max(box.w, 0.0), 1),
        h=round(max(box.h, 0.0), 1),
        tag_x=round(tag_x, 1),
        tag_y=round(tag_y, 1),
        tag_w=round(width, 1),
        tag_h=round(height, 1),
        text_x=round(tag_x + width / 2.0, 1),
        text_y=round(tag_y + height * 0.76, 1),
        text_size=round(unit * 1.15, 1),
    )


def _scale(p_fake: float, decision: Decision) -> ScaleView:
    threshold = min(max(decision.threshold * 100.0, 0.0), 100.0)
    real = min(max(decision.real_below * 100.0, 0.0), threshold)
    needle = p_fake * 100.0
    return ScaleView(
        real=round(real, 2),
        uncertain=round(threshold - real, 2),
        threshold=round(threshold, 2),
        fake=round(100.0 - threshold, 2),
        needle=round(needle, 2),
        words=percent(p_fake),
        real_words=percent(decision.real_below),
        threshold_words=percent(decision.threshold),
        label=(
            f"Probability of a fake: {percent(p_fake)}. Real below {percent(decision.real_below)}, "
            f"fake from {percent(decision.threshold)} on, uncertain between."
        ),
    )


def _face(number: int, face: Face, reasons: Sequence[str]) -> FaceView:
    kind = () if face.kind is None else (face.kind.value,)
    size = f"{face.box.w:.0f} × {face.box.h:.0f} px"
    return FaceView(
        number=number,
        css=face.verdict.value,
        verdict=VERDICT_WORDS[face.verdict],
        probability=percent(face.p_fake),
        note="; ".join((*kind, *reasons, size)),
    )


def _reasons(report: Report | VideoReport, close_ups: Sequence[CloseUp]) -> list[ReasonView]:
    """For each face that has a close-up or a sentence."""
    found = []
    for index, face in enumerate(report.faces):
        words = face_words(face, report.decision, explained_frame(report, index))
        shown = close_ups[index] if index < len(close_ups) else None
        if shown is not None or words:
            found.append(
                ReasonView(
                    number=index + 1,
                    plain=None if shown is None else embed(shown.plain, CLOSE_UP_SIDE),
                    overlay=None if shown is None else embed(shown.overlay, CLOSE_UP_SIDE),
                    scale=None if shown is None else embed(shown.scale, CLOSE_UP_SIDE),
                    limit="" if shown is None else f"{shown.limit:.3g}",
                    method="" if shown is None else MAP_WORDS[shown.method],
                    words=words,
                )
            )
    return found


def _facts(report: Report) -> list[Fact]:
    info = report.input
    facts = []
    if report.kind is not None:
        facts.append(Fact("Kind", KIND_WORDS[report.kind]))
    facts += [
        Fact("File", f"{info.format}, {info.width} × {info.height} px, {info.bytes:,} bytes"),
        Fact("SHA-256", info.sha256, is_hash=True),
        Fact("Model", f"{report.model.name} {report.model.version}; weights: {report.model.license}"),
        Fact("Time", f"{seconds(report):.2f} s"),
    ]
    return facts


def _video_facts(report: VideoReport) -> list[Fact]:
    info, sampling = report.input, report.sampling
    length = "" if info.duration is None else f", {seconds_words(info.duration)}"
    rate = "" if info.fps is None else f", {info.fps:.4g} frames a second"
    sound = "with sound" if info.audio else "without sound"
    cuts = "no cut" if not sampling.cuts else f"{len(sampling.cuts)} cut{'s' if len(sampling.cuts) > 1 else ''}"
    facts = [Fact("Kind", KIND_WORDS[report.kind])] if report.kind is not None else []
    return [
        *facts,
        Fact("File", f"{info.format} ({info.codec}), {info.width} × {info.height} px, {info.bytes:,} bytes"),
        Fact("Length", f"{length.removeprefix(', ') or 'unknown'}{rate}, {sound}"),
        Fact("Looked at", f"{sampling.rule}: {sampling.analysed} in all; {cuts} between them"),
        Fact("SHA-256", info.sha256, is_hash=True),
        Fact("Model", f"{report.model.name} {report.model.version}; weights: {report.model.license}"),
        Fact("Time", f"{seconds(report):.2f} s"),
    ]
