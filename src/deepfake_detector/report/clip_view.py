"""What the HTML report shows of a video beside what it shows of a picture: timelines and the worst frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from deepfake_detector.core.types import Box
from deepfake_detector.core.video import Curve, Exhibit, Observation, Person, VideoReport
from deepfake_detector.report.text import VERDICT_WORDS, percent
from deepfake_detector.report.video_schema import data_uri
from deepfake_detector.report.video_text import person_reasons, person_sentence, seconds_words

WIDTH, HEIGHT = 1000, 100
"""Of a timeline's drawing, in its own units; it is stretched to the width of the page."""

GAP = 4.0
"""A line is broken where nobody was seen for this many times the usual time between frames."""

MOST_PERSONS = 12
"""Persons with a timeline, the most suspicious ones; the table names all."""

CURVE_WORDS = {
    "score_flicker": "Flicker of the score",
    "feature_flicker": "Flicker of what the network sees",
    "landmark_jitter": "Jitter of the landmarks",
    "inner_unrest": "Unrest inside of the face",
    "border_jitter": "Jitter of the blending border",
    "identity_drift": "Drift of the looks",
}


@dataclass(frozen=True, slots=True)
class Band:
    """A stretch of the timeline, in its units."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class ExhibitView:
    """One of the worst frames: where it lies on the timeline (per cent, pixels) and its pictures."""

    anchor: str
    number: int
    left: float
    top: float
    time: str
    probability: str
    picture: str
    overlay: str | None


@dataclass(frozen=True, slots=True)
class CurveView:
    """Something measured along the track; ``band`` (y, height) is the range of real clips."""

    name: str
    lines: Sequence[str]
    low: str
    high: str
    band: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class PersonView:
    """A person's timeline; ``threshold`` and the lines count from the top, in the drawing's units."""

    number: int
    css: str
    verdict: str
    probability: str
    note: str
    sentence: str
    label: str
    lines: Sequence[str]
    dots: Sequence[tuple[float, float]]
    bands: Sequence[Band]
    exhibits: Sequence[ExhibitView]
    curves: Sequence[CurveView]


@dataclass(frozen=True, slots=True)
class ClipView:
    """The timelines of a video; ``threshold`` is a height, ``cuts`` are places, both in the drawing's units."""

    persons: Sequence[PersonView]
    left_out: int
    threshold: float
    threshold_words: str
    cuts: Sequence[float]
    ticks: Sequence[tuple[float, str, str]]
    map_scale: bool


@dataclass(frozen=True, slots=True)
class _Axis:
    """From seconds to the width of the drawing."""

    end: float

    def place(self, time: float) -> float:
        return round(min(max(time / self.end, 0.0), 1.0) * WIDTH, 1)


def clip_view(number: int, report: VideoReport) -> ClipView | None:
    """The view of a video, the ``number``-th input of the report; None where nobody was seen."""
    if not report.persons:
        return None
    last = max(person.span[1] for person in report.persons)
    axis = _Axis(max(report.input.duration or 0.0, last, 0.04))
    order = sorted(report.persons, key=lambda one: (one.face.considered, one.face.logit), reverse=True)[:MOST_PERSONS]
    shown = sorted(order, key=lambda one: one.id)
    ends = ((0.0, "start"), (0.5, "middle"), (1.0, "end"))
    return ClipView(
        persons=[_person(number, person, axis) for person in shown],
        left_out=len(report.persons) - len(shown),
        threshold=_height(report.decision.threshold),
        threshold_words=percent(report.decision.threshold),
        cuts=[axis.place(cut) for cut in report.sampling.cuts],
        ticks=[(share * 100.0, seconds_words(axis.end * share), anchor) for share, anchor in ends],
        map_scale=any(exhibit.overlay for person in shown for exhibit in person.exhibits),
    )


def still_boxes(report: VideoReport) -> list[tuple[Person, Box]]:
    """Who is in the still, and where, in pixels of the upright frame."""
    if report.still is None:
        return []
    index = report.still.index
    return [(person, seen.box) for person in report.persons for seen in person.observations if seen.index == index]


def _person(number: int, person: Person, axis: _Axis) -> PersonView:
    face, seen = person.face, person.observations
    lines, dots = _lines([one.time for one in seen], [one.p_fake for one in seen], axis)
    kind = () if face.kind is None else (face.kind.value,)
    return PersonView(
        number=person.id,
        css=face.verdict.value,
        verdict=VERDICT_WORDS[face.verdict],
        probability=percent(face.p_fake),
        note="; ".join((*kind, *person_reasons(person))),
        sentence=person_sentence(person),
        label=f"Probability of a fake over time, person {person.id}: {_range(seen)}; {person_sentence(person)}.",
        lines=lines,
        dots=dots,
        bands=[
            Band(axis.place(one.start), max(2.0, round(axis.place(one.end) - axis.place(one.start), 1)))
            for one in person.segments
        ],
        exhibits=[_exhibit(number, person, at, exhibit, axis) for at, exhibit in enumerate(person.exhibits, 1)],
        curves=[view for curve in person.curves if (view := _curve(curve, axis)) is not None],
    )


def _range(seen: Sequence[Observation]) -> str:
    low, high = (bound(one.p_fake for one in seen) for bound in (min, max))
    return percent(low) if percent(low) == percent(high) else f"between {percent(low)} and {percent(high)}"


def _exhibit(number: int, person: Person, at: int, exhibit: Exhibit, axis: _Axis) -> ExhibitView:
    return ExhibitView(
        anchor=f"picture-{number}-person-{person.id}-frame-{at}",
        number=at,
        left=axis.place(exhibit.time) / WIDTH * 100.0,
        top=_height(exhibit.p_fake),
        time=seconds_words(exhibit.time),
        probability=percent(exhibit.p_fake),
        picture=data_uri(exhibit.picture),
        overlay=None if exhibit.overlay is None else data_uri(exhibit.overlay),
    )


def _height(share: float) -> float:
    return round((1.0 - share) * HEIGHT, 2)


def _lines(times: Sequence[float], shares: Sequence[float], axis: _Axis) -> tuple[list[str], list[tuple[float, float]]]:
    """The points of each unbroken line, and the frames that stand alone; ``shares`` are 0–1."""
    gaps = sorted(after - before for before, after in pairwise(times))
    widest = GAP * gaps[len(gaps) // 2] if gaps else 0.0
    runs: list[list[tuple[float, float]]] = []
    before: float | None = None
    for time, share in zip(times, shares, strict=True):
        if before is None or time - before > widest:
            runs.append([])
        runs[-1].append((axis.place(time), _height(share)))
        before = time
    lines = [" ".join(f"{x:g},{y:g}" for x, y in run) for run in runs if len(run) > 1]
    return lines, [(run[0][0] / WIDTH * 100.0, run[0][1]) for run in runs if len(run) == 1]


def _curve(curve: Curve, axis: _Axis) -> CurveView | None:
    """None for a curve of fewer than two points."""
    if len(curve.values) < 2:
        return None
    low, high = min(curve.values), max(curve.values)
    if curve.usual is not None:
        low, high = min(low, curve.usual[0]), max(high, curve.usual[1])
    span = (high - low) or 1.0
    lines, _ = _lines(curve.times, [(value - low) / span for value in curve.values], axis)
    band = None
    if curve.usual is not None:
        top, bottom = (_height((edge - low) / span) for edge in reversed(curve.usual))
        band = (top, round(bottom - top, 2))
    unit = f" {curve.unit}" if curve.unit else ""
    name = CURVE_WORDS.get(curve.name, curve.name.replace("_", " ").capitalize())
    return CurveView(name, lines, f"{low:.3g}{unit}", f"{high:.3g}{unit}", band)
