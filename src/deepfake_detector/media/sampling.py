"""Which frames of a video are looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

from deepfake_detector.core.errors import ConfigError

DEFAULT_FRAMES = 32


@dataclass(frozen=True, slots=True)
class Sampling:
    """Exactly one rule; ``Sampling()`` is ``Sampling(frames=32)``.

    * ``frames``: that many, evenly over the whole video (the middles of as many equal parts);
    * ``fps``: that many a second, the first one included;
    * ``every``: each n-th frame, the first one included;
    * ``scenes``: that many in each scene, evenly; the cuts are found in a first pass over all frames.

    A video with fewer frames than asked for gives each of its frames once. Raises ConfigError for two rules, or for a
    number that is not positive.
    """

    frames: int | None = None
    fps: float | None = None
    every: int | None = None
    scenes: int | None = None

    def __post_init__(self) -> None:
        rules = {rule.name: getattr(self, rule.name) for rule in fields(self)}
        given = {name: value for name, value in rules.items() if value is not None}
        if not given:
            object.__setattr__(self, "frames", DEFAULT_FRAMES)
        if len(given) > 1:
            raise ConfigError(f"{' and '.join(given)} are given; sample a video by one of them")
        for name, value in given.items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"{name} is {value}; give a positive number")


def middles(number: int, start: float, end: float) -> Iterator[float]:
    """The middles of ``number`` equal parts of a stretch of time, in seconds."""
    part = (end - start) / number
    return (start + (index + 0.5) * part for index in range(number))


def ticks(fps: float, end: float) -> Iterator[float]:
    """0, 1/fps, 2/fps … seconds, up to and without ``end``."""
    index = 0
    while index / fps < end:
        yield index / fps
        index += 1
