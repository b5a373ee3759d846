import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from deepfake_detector.cli import answers as module
from deepfake_detector.cli.answers import answers
from deepfake_detector.core.errors import NoPicturesError
from deepfake_detector.core.types import Failure, Outcome, Report
from deepfake_detector.media.inputs import InputItem


class _Scripted:
    """Answers every path with the same report, ``bad*`` with a failure; remembers what it was asked."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.asked: list[object] = []

    def analyze_many(self, sources) -> Iterator[Outcome]:
        for source in sources:
            self.asked.append(source)
            if isinstance(source, str) and source.startswith("bad"):
                yield Failure(source, "damaged", f"{source} is cut off")
            else:
                path = source if isinstance(source, str) else None
                yield replace(self.report, input=replace(self.report.input, path=path))


@pytest.fixture
def scripted(astronaut_report) -> _Scripted:
    return _Scripted(astronaut_report)


def test_answers_come_in_the_order_of_the_inputs(scripted):
    nothing = NoPicturesError("empty/ holds no picture")
    items = [
        InputItem("first/", error=nothing),
        InputItem("a.jpg"),
        InputItem("bad.jpg"),
        InputItem("empty/", error=nothing),
        InputItem("-", data=b"bytes"),
        InputItem("last/", error=nothing),
    ]
    got = list(answers(scripted, items, None))
    assert [
        answer.outcome.path if isinstance(answer.outcome, Failure) else answer.outcome.input.path for answer in got
    ] == [item.path for item in items]
    assert [answer.word for answer in got] == ["error", "fake", "error", "error", "fake", "error"]
    assert [json.loads(answer.line)["path"] for answer in got] == [item.path for item in items]
    assert json.loads(got[0].line)["error"]["code"] == "no_pictures"
    assert scripted.asked == ["a.jpg", "bad.jpg", b"bytes"]


def test_order_holds_over_many_windows(scripted, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 3)
    items = [InputItem(f"{'bad' if number % 4 == 0 else 'ok'}{number}.jpg") for number in range(11)]
    assert [answer.item for answer in answers(scripted, items, None)] == items


def test_answers_are_given_before_later_inputs_are_touched(scripted, monkeypatch):
    monkeypatch.setattr(module, "WINDOW", 2)
    stream = answers(scripted, [InputItem(f"{number}.jpg") for number in range(10)], None)
    next(stream)
    assert len(scripted.asked) == 1
