"""The file behind ``--resume``: answers of an earlier run, found again by the hash of the input."""

from __future__ import annotations

import hashlib
import math
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, TextIO

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Doubt, Failure, Report
from deepfake_detector.core.video import AnyOutcome, VideoReport
from deepfake_detector.media.inputs import InputItem
from deepfake_detector.report.schema import from_json
from deepfake_detector.verdict.pool import POOLINGS


class ResumeFile:
    """Reads the answers in a ``.jsonl`` file once, and appends new ones.

    Only the places of the answers are kept in memory. A last line that was written half (the power went) is cut off;
    inputs that failed are tried again. Raises ConfigError if the file cannot be used, or if its answers come from
    another model or other settings, which must not be mixed. ``threshold`` gives the threshold of now for a number of
    faces, as ``Detector.threshold`` does; ``doubts`` are those that are looked for now in pictures, ``frames`` says in
    words which frames of a video are looked at.
    """

    def __init__(
        self,
        path: Path,
        model_sha256: str,
        settings: AnalysisSettings,
        threshold: Callable[[int], float],
        doubts: Sequence[Doubt] = (),
        frames: str = "",
    ) -> None:
        self._path = path
        self._frames = frames
        self._model_sha256 = model_sha256
        self._settings = settings
        self._threshold = threshold
        self._doubts = doubts
        self._places: dict[str, int] = {}
        self._failed: set[tuple[str | None, str]] = set()
        try:
            self._stream: BinaryIO = path.open("a+b")
        except OSError as error:
            raise ConfigError(f"cannot open {path} for --resume: {error.strerror or error}") from error
        try:
            self._read()
        except BaseException:
            self._stream.close()
            raise

    def find(self, item: InputItem) -> str | None:
        """The SHA-256 of an input that has an answer in the file, or None."""
        if not self._places:
            return None
        limits = self._settings.video_limits if item.is_video else self._settings.limits
        sha256 = _sha256(item, limits.max_bytes)
        return sha256 if sha256 in self._places else None

    def answer(self, sha256: str) -> AnyOutcome:
        """The stored answer for an input that ``find`` found."""
        self._stream.seek(self._places[sha256])
        return from_json(self._stream.readline())

    def append(self, outcome: AnyOutcome, line: str) -> None:
        """Add a line, unless it says again that the same input failed for the same reason."""
        if isinstance(outcome, Failure):
            if (outcome.path, outcome.code) in self._failed:
                return
            self._failed.add((outcome.path, outcome.code))
        self._stream.write(line.encode("utf-8") + b"\n")
        self._stream.flush()

    def refuse_stream(self, stream: TextIO) -> None:
        """Raise ConfigError if this stream writes to the same file, which would then hold every answer twice."""
        try:
            same = os.path.samestat(os.fstat(stream.fileno()), os.fstat(self._stream.fileno()))
        except (OSError, ValueError):
            return  # not a file at all
        if same:
            raise ConfigError(
                f"standard output goes to {self._path}, which --resume writes by itself; leave the redirection out"
            )

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        self._stream.seek(0)
        place = 0
        for number, line in enumerate(self._stream, 1):
            if line.strip():
                self._take(line, place, number)
            place += len(line)

    def _take(self, line: bytes, place: int, number: int) -> None:
        whole = line.endswith(b"\n")
        try:
            outcome = from_json(line)
        except ConfigError as error:
            if whole or not b'{"path"'.startswith(line[:7]):
                raise ConfigError(
                    f"line {number} of {self._path} is no answer that this version wrote; --resume needs a file that "
                    "--jsonl or --resume made"
                ) from error
            self._stream.truncate(place)
            return
        if not whole:
            self._stream.write(b"\n")
        if isinstance(outcome, Failure):
            self._failed.add((outcome.path, outcome.code))
            return
        self._check(outcome, number)
        self._places[outcome.input.sha256] = place

    def _check(self, report: Report | VideoReport, number: int) -> None:
        here, decision = self._settings, report.decision
        then_and_now: list[tuple[str, object, object]] = [
            ("model (SHA-256)", report.model.sha256, self._model_sha256),
            ("operating point", decision.operating_point.value, here.operating_point.value),
            ("prior", decision.prior, here.prior),
            ("all faces", decision.all_faces, here.all_faces),
            ("false-positive rate", decision.fpr, here.fpr),
        ]
        chances = 1
        if isinstance(report, VideoReport):
            chances = POOLINGS[here.pooling].chances
            then_and_now.append(("frames", report.sampling.rule, self._frames))
            for person in report.persons[:1]:
                then_and_now.append(("pooling", person.pooling, here.pooling))
                then_and_now.append(("explanation", person.face.explanation is not None, here.explain))
        else:
            then_and_now.append(("doubts", _listed(decision.doubts), _listed(self._doubts)))
            then_and_now.append(("explanation", report.provenance is not None, here.explain))
        then_and_now.append(("threshold", decision.threshold, self._threshold(decision.faces * chances)))
        for name, then, now in then_and_now:
            if then != now and not _close(then, now):
                raise ConfigError(
                    f"line {number} of {self._path} was answered with {name} {then}, now it is {now}; give another "
                    "file for --resume, or the same options as before"
                )


def _listed(doubts: Sequence[Doubt]) -> str:
    return ", ".join(doubts) or "none"


def _close(one: object, other: object) -> bool:
    """Whether two numbers are the same but for rounding, which may differ between machines."""
    return isinstance(one, float) and isinstance(other, float) and math.isclose(one, other, rel_tol=1e-9)


def _sha256(item: InputItem, max_bytes: int) -> str | None:
    """The hash of an input's bytes; None where they cannot be had, which the analysis will explain."""
    if item.error is not None:
        return None
    if item.data is not None:
        return hashlib.sha256(item.data).hexdigest()
    path = Path(item.path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
            return None
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError):
        return None
