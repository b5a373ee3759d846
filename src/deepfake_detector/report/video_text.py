"""Plain words for the answer of a video; the terminal and the HTML report say the same."""

from __future__ import annotations

from deepfake_detector.core.types import Report, Verdict
from deepfake_detector.core.video import Person, Segment, VideoReport
from deepfake_detector.report.text import TRACE_WORDS, face_reasons, percent, reasons, sentence, threshold_sentence

MOST_SEGMENTS = 6


def seconds_words(seconds: float) -> str:
    """A time in a video: ``9.4 s``, ``2:05.0``, ``1:02:05.0``."""
    tenths = round(seconds * 10)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def person_reasons(person: Person) -> tuple[str, ...]:
    """Why a person is not judged, or is left out; empty where nothing is to be said."""
    face = person.face
    if face.considered and face.verdict is Verdict.UNCERTAIN and face.quality.usable and not face.doubts:
        return ("looks fake for a while",)
    return tuple(reason.replace("background face, left out", "left out") for reason in face_reasons(face))


def answer_reasons(report: Report | VideoReport) -> tuple[str, ...]:
    """Short reasons for a verdict that is neither real nor fake; empty for these two."""
    if isinstance(report, Report):
        return reasons(report)
    if report.verdict is Verdict.NO_FACE:
        return ("no face found",)
    if report.verdict is not Verdict.UNCERTAIN:
        return ()
    undecided = [one for one in report.persons if one.face.considered and one.face.verdict is Verdict.UNCERTAIN]
    return tuple(dict.fromkeys(reason for person in undecided for reason in person_reasons(person)))


def answer_sentence(report: Report | VideoReport) -> str:
    """One sentence that says what the verdict means."""
    if isinstance(report, Report):
        return sentence(report)
    if report.verdict is Verdict.FAKE:
        fakes = [one for one in report.persons if one.face.considered and one.face.verdict is Verdict.FAKE]
        worst = max(fakes, key=lambda one: one.face.logit)
        who = "The face" if len(report.persons) == 1 else f"Person {worst.id}"
        return f"{who} {TRACE_WORDS[report.kind]}."
    if report.verdict is Verdict.REAL:
        return "No trace of manipulation or generation was found in the frames that were looked at."
    if report.verdict is Verdict.NO_FACE:
        return "No face was found. Only faces are judged, so nothing is said about this video."
    return f"The model cannot tell ({'; '.join(answer_reasons(report))})."


def answer_threshold(report: Report | VideoReport) -> str:
    """What the threshold stands for."""
    said = threshold_sentence(report.decision)
    if isinstance(report, Report):
        return said
    said = said.replace("A face is called", "A person is called").replace("faces.", "persons.")
    return f"{said} It was set on single pictures."


def explained_frame(report: Report | VideoReport, number: int) -> float | None:
    """The probability of the frame that the explanation of a person (counted from 0) is of; None for pictures."""
    exhibits = () if isinstance(report, Report) else report.persons[number].exhibits
    return exhibits[0].p_fake if exhibits else None


def person_sentence(person: Person) -> str:
    """When somebody was seen, in how many frames, and when they look fake."""
    start, end = person.span
    count = len(person.observations)
    seen = f"seen in {count} frames from {seconds_words(start)} to {seconds_words(end)}"
    if count == 1:
        seen = f"seen in one frame, at {seconds_words(start)}"
    return f"{seen}; {segments_words(person.segments)}"


def segments_words(segments: tuple[Segment, ...]) -> str:
    """The stretches that look fake, in a list that stays short."""
    if not segments:
        return "no stretch looks fake"
    parts = [
        f"{seconds_words(one.start)} to {seconds_words(one.end)} ({percent(one.score)})"
        for one in segments[:MOST_SEGMENTS]
    ]
    more = f" and {len(segments) - MOST_SEGMENTS} more" if len(segments) > MOST_SEGMENTS else ""
    return f"looks fake from {', '.join(parts)}{more}"
