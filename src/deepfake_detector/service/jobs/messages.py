"""What the service and its workers say to each other: a line of JSON and bytes, in frames; never pickle.

A worker opens files that strangers sent. Should one of them take it over, all that it can say to the service is what
can be said here.
"""

from __future__ import annotations

import json
import math
import shlex
import struct
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

HEADER = struct.Struct(">II")
"""Bytes of the JSON, bytes of the payload."""

MOST_JSON = 16 * 1024 * 1024
MOST_PAYLOAD = 64 * 1024 * 1024

Work = Literal["analyse", "preview", "report", "forensic", "heatmap", "frame"]


class FrameError(Exception):
    """What came is no frame."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is to do with a file: its path, and the options of the analysis.

    ``answer`` is the JSON of the report for the tasks that show one, ``made`` when it was made (seconds since 1970);
    ``name`` is what the file was called by its owner, for display; ``face`` counts from 0; ``time`` of a frame is in
    seconds.
    """

    work: Work
    file: str
    name: str = ""
    operating_point: str = "fpr5"
    prior: float = 0.5
    all_faces: bool = False
    explain: bool = False
    video: bool = False
    answer: str | None = None
    made: float = 0.0
    face: int = 0
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Setup:
    """What a worker is told when it starts: the model, the limits of a picture, the bytes of memory it may have.

    ``anchors`` is the file with the certificates that make the signer of a manifest trusted; ``video_seconds`` is how
    long a video may be, ``video_timeout`` how many seconds may go into decoding one.
    """

    model: str | None
    max_bytes: int
    max_pixels: int
    max_side: int
    memory: int
    anchors: str | None = None
    video_bytes: int = 512 * 1024 * 1024
    video_seconds: float = 3600.0
    video_timeout: float = 3600.0


@dataclass(frozen=True, slots=True)
class Step:
    """How far a task is, 0–1, and about how many seconds it will still take; any number of them before its result."""

    share: float
    seconds_left: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a task: an error's code and message, or an answer (JSON) with its verdict, or a payload."""

    code: str | None = None
    message: str = ""
    answer: str | None = None
    verdict: str | None = None
    p_fake: float | None = None
    payload: bytes = field(default=b"", repr=False)


def command(task: Task) -> str:
    """What to type to get the same answer from the file, with the model that is shipped."""
    what = ["detect", task.name, "--html", "report.html"] if task.video else ["explain", task.name, "--output", "case"]
    words = ["deepfake", *what, "--operating-point", task.operating_point]
    words += [] if task.prior == 0.5 else ["--prior", f"{task.prior:g}"]
    words += ["--all-faces"] if task.all_faces else []
    return shlex.join(words)


def pack(message: Task | Setup | Step | Result) -> bytes:
    """A frame."""
    content = asdict(message)
    payload = content.pop("payload", b"")
    text = json.dumps(content).encode()
    return b"".join((HEADER.pack(len(text), len(payload)), text, payload))


def sizes(header: bytes) -> tuple[int, int]:
    """The sizes that a header announces. Raises FrameError for such as no message has."""
    text, payload = HEADER.unpack(header)
    if text > MOST_JSON or payload > MOST_PAYLOAD:
        raise FrameError(f"a frame of {text} and {payload} bytes")
    return text, payload


def unpack(text: bytes, payload: bytes) -> Step | Result:
    """What a worker says in a frame. Raises FrameError."""
    try:
        content: dict[str, Any] = json.loads(text)
        if "share" in content:
            return _step(Step(**content))
        result = Result(**content, payload=payload)
    except (ValueError, TypeError) as error:
        raise FrameError("a frame that holds no result") from error
    words = (result.code, result.message, result.answer, result.verdict)
    if not all(word is None or isinstance(word, str) for word in words):
        raise FrameError("a result of the wrong types")
    if result.p_fake is not None and not isinstance(result.p_fake, float | int):
        raise FrameError("a result of the wrong types")
    return result


def _step(step: Step) -> Step:
    for number in (step.share, 0.0 if step.seconds_left is None else step.seconds_left):
        if not isinstance(number, float | int) or not math.isfinite(number):
            raise FrameError("a step of the wrong types")
    return step
