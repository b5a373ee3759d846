"""Inputs to answers, in the order of the inputs: analysed now, taken from an earlier run, or failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

from deepfake_detector.cli.exitcodes import Finding
from deepfake_detector.cli.resume import ResumeFile
from deepfake_detector.core.errors import InputError
from deepfake_detector.core.types import Failure
from deepfake_detector.core.video import AnyOutcome, VideoReport
from deepfake_detector.media.image import ImageSource
from deepfake_detector.media.inputs import InputItem
from deepfake_detector.report.schema import to_json
from deepfake_detector.report.text import VERDICT_WORDS

WINDOW = 512
"""Inputs that may wait at once; bounds the memory, and how long an early answer waits for its turn."""


class ManyAnalyzer(Protocol):
    """The part of ``Detector`` that is needed here."""

    def analyze_many(self, sources: Iterable[ImageSource]) -> Iterator[AnyOutcome]:
        """One outcome for each source, in order."""
        ...

    def threshold(self, faces: int = 1) -> float:
        """The ``p_fake`` from which on a face is called fake where so many faces count."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer for one input, with its line of JSON; ``stored`` if it comes from an earlier run."""

    item: InputItem
    outcome: AnyOutcome
    line: str
    stored: bool = False

    @property
    def word(self) -> str:
        """The verdict in a word, or ``error``."""
        if isinstance(self.outcome, Failure):
            return Finding.ERROR.value
        return VERDICT_WORDS[self.outcome.verdict]


def answers(detector: ManyAnalyzer, items: Sequence[InputItem], resume: ResumeFile | None) -> Iterator[Answer]:
    """One answer for each item, in order; new ones are appended to ``resume``."""
    rest = iter(items)
    while window := tuple(islice(rest, WINDOW)):
        for answer in _window(detector, window, resume):
            if resume is not None and not answer.stored:
                resume.append(answer.outcome, answer.line)
            yield answer


@dataclass(frozen=True, slots=True)
class _Waiting:
    item: InputItem
    error: InputError | None
    stored: str | None

    @property
    def to_analyse(self) -> bool:
        return self.error is None and self.stored is None


def _window(detector: ManyAnalyzer, items: Sequence[InputItem], resume: ResumeFile | None) -> Iterator[Answer]:
    waiting: deque[_Waiting] = deque()

    def sources() -> Iterator[ImageSource]:
        for item in items:
            entry = _Waiting(item, item.error, None if resume is None else resume.find(item))
            waiting.append(entry)
            if entry.to_analyse:
                yield item.source

    for outcome in detector.analyze_many(sources()):
        while not waiting[0].to_analyse:
            yield _early(waiting.popleft(), resume)
        yield _answer(waiting.popleft().item, outcome)
    while waiting:
        yield _early(waiting.popleft(), resume)


def _early(entry: _Waiting, resume: ResumeFile | None) -> Answer:
    if entry.error is not None:
        return _answer(entry.item, Failure(entry.item.path, entry.error.code, str(entry.error)))
    if resume is None or entry.stored is None:
        raise RuntimeError("the detector gave fewer outcomes than it got sources")
    return _answer(entry.item, resume.answer(entry.stored), stored=True)


def _answer(item: InputItem, outcome: AnyOutcome, *, stored: bool = False) -> Answer:
    """Give the outcome the path as it was typed or found, which it lacks for standard input."""
    if isinstance(outcome, Failure):
        outcome = replace(outcome, path=item.path)
    elif isinstance(outcome, VideoReport):
        outcome = replace(outcome, input=replace(outcome.input, path=item.path))
    else:
        outcome = replace(outcome, input=replace(outcome.input, path=item.path))
    return Answer(item, outcome, to_json(outcome), stored)
