"""Draws what was found on each frame of a video: numbered boxes, moved along between the frames that were looked at."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from pathlib import Path

import cv2

from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.core.types import Box, Decision, ImageArray
from deepfake_detector.core.video import Observation, Person, VideoReport
from deepfake_detector.media.annotate import annotate_video
from deepfake_detector.media.source import VideoSource

FAKE, UNCERTAIN, REAL = (255, 90, 79), (255, 200, 61), (56, 211, 159)
"""RGB, as in the HTML report."""

HOLD = 0.6
"""Seconds for which a box stays before the first and after the last time that somebody was seen."""

BRIDGE = 3.0
"""Seconds between two looks over which a box is moved along; over more it would be made up."""


def annotate_report(
    source: VideoSource,
    report: VideoReport,
    target: str | os.PathLike[str],
    limits: VideoLimits,
    progress: Callable[[float], None] | None = None,
) -> tuple[str, ...]:
    """Write the video with its findings drawn on, and its sound; ``progress`` is told the seconds that are written.

    Returns what could not be kept, in sentences. Raises InputError, ConfigError where it cannot be written,
    MissingExtraError without the extra [video].
    """

    def draw(frame: ImageArray, time: float) -> ImageArray:
        for person in report.persons:
            place = place_at(person, time, report.sampling.cuts)
            if place is not None:
                _draw(frame, *place, person.id, report.decision)
        return frame

    return annotate_video(source, Path(target), draw, limits, progress)


def place_at(person: Person, time: float, cuts: tuple[float, ...] = ()) -> tuple[Box, float] | None:
    """Where a person is at a time in seconds, and the probability there, 0–1; None if they are not in the picture.

    Between two looks both are taken from the line between them, but never over a cut.
    """
    seen = person.observations
    after = bisect_right([one.time for one in seen], time)
    before = seen[after - 1] if after > 0 else None
    following = seen[after] if after < len(seen) else None
    if before is not None and following is not None and following.time - before.time <= BRIDGE:
        share = (time - before.time) / max(following.time - before.time, 1e-9)
        return _between(before, following, share), before.p_fake + share * (following.p_fake - before.p_fake)
    for one in (before, following):
        if one is not None and abs(one.time - time) <= HOLD and _scene(one.time, cuts) == _scene(time, cuts):
            return one.box, one.p_fake
    return None


def _scene(time: float, cuts: tuple[float, ...]) -> int:
    # A cut is written to the millisecond.
    return bisect_right(cuts, time + 1e-3)


def _between(one: Observation, other: Observation, share: float) -> Box:
    def mix(low: float, high: float) -> float:
        return low + share * (high - low)

    a, b = one.box, other.box
    return Box(mix(a.x, b.x), mix(a.y, b.y), mix(a.w, b.w), mix(a.h, b.h))


def _draw(frame: ImageArray, box: Box, p_fake: float, number: int, decision: Decision) -> None:
    """A box in the colour of this moment's probability, with the person's number; changes the frame."""
    colour = FAKE if p_fake >= decision.threshold else REAL if p_fake < decision.real_below else UNCERTAIN
    unit = max(1, round(max(frame.shape[:2]) / 400))
    left, top = round(box.x), round(box.y)
    right, bottom = round(box.x + box.w), round(box.y + box.h)
    cv2.rectangle(frame, (left, top), (right, bottom), (0, 0, 0), 2 * unit)
    cv2.rectangle(frame, (left, top), (right, bottom), colour, unit)
    words = f"{number}: {p_fake * 100:.0f} %"
    scale = unit * 0.45
    (width, height), below = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, scale, unit)
    foot = max(top - below - unit, height + unit)
    left = min(max(left, 0), max(frame.shape[1] - width - 2 * unit, 0))
    cv2.rectangle(frame, (left, foot - height - unit), (left + width + 2 * unit, foot + below), (0, 0, 0), -1)
    cv2.putText(frame, words, (left + unit, foot), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, unit, cv2.LINE_AA)
