"""The process that opens strangers' files: ``python -m deepfake_detector.service.jobs.worker``.

It reads tasks from standard input and writes results to standard output. It has little memory, no environment, and
nothing else to lose; the pool kills it when it takes too long.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from deepfake_detector.core.errors import DeepfakeDetectorError, InputError, MissingExtraError
from deepfake_detector.core.settings import AnalysisSettings, Limits, VideoLimits
from deepfake_detector.core.types import OperatingPoint
from deepfake_detector.core.video import Progress, VideoReport
from deepfake_detector.faces.mtcnn import MtcnnFinder
from deepfake_detector.pipeline import Detector
from deepfake_detector.report.schema import to_json
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.service.jobs import pictures
from deepfake_detector.service.jobs.messages import HEADER, Result, Setup, Step, Task, pack, sizes

DETECTORS = 6
"""How many combinations of options a worker keeps ready."""

STEP_SECONDS = 0.5
"""Between two words about how far a video is: each becomes a row in the database."""

MOST_WRITTEN = 128 * 1024 * 1024
"""No file that a worker writes (the page of a report, while it is made) is larger."""


def limit_resources(memory: int) -> None:
    """Let this process have ``memory`` bytes of its own, small files, and no core file."""
    if sys.platform == "win32":  # which has no such limits; docs/security.md says so
        return
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_WRITTEN, MOST_WRITTEN))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class Bench:
    """A worker's tools: detectors with single-thread sessions, which share one bundle and one face finder."""

    def __init__(self, setup: Setup) -> None:
        self._bundle = load_bundle(setup.model)
        self._finder = MtcnnFinder(1)
        self._limits = Limits(setup.max_bytes, setup.max_pixels, setup.max_side)
        self._videos = VideoLimits(
            setup.video_bytes, setup.video_seconds, max_decode_seconds=setup.video_timeout, threads=1
        )
        self._anchors = None if setup.anchors is None else Path(setup.anchors)
        self._detectors: OrderedDict[AnalysisSettings, Detector] = OrderedDict()
        self._detector(Task("analyse", ""))
        self._detector(Task("analyse", "", explain=True))

    def do(self, task: Task, tell: Callable[[Step], None]) -> Result:
        """Do one task; ``tell`` is called with how far it is, where it takes long.

        What is wrong with a file, or too much for the memory, becomes part of the result.
        """
        try:
            if task.work != "analyse":
                return Result(payload=self._draw(task))
            return self._analyse_video(task, tell) if task.video else self._analyse(task)
        except (InputError, MissingExtraError) as error:
            # A video is opened by its path, which is nobody's business.
            return Result(code=error.code, message=str(error).replace(task.file, task.name or "the file"))
        except FileNotFoundError:
            return Result(code="file_gone", message="the file is no longer kept; upload it again")
        except MemoryError:
            return Result(code="too_large", message="it needs more memory than one file may have; make it smaller")

    def _draw(self, task: Task) -> bytes:
        if task.work == "frame":
            return pictures.frame(task, self._videos)
        if task.work == "report":
            return pictures.report_page(task, self._limits, self._bundle.card)
        if task.video:
            return pictures.still(task)
        data = Path(task.file).read_bytes()
        if task.work == "heatmap":
            return pictures.heatmap(task, data, self._limits)
        if task.work == "preview":
            return pictures.preview(data, self._limits)
        return pictures.forensic_views(task, data, self._limits)

    def _analyse(self, task: Task) -> Result:
        report = self._detector(task).analyze(Path(task.file).read_bytes())
        named = replace(report, input=replace(report.input, path=task.name or None))
        return Result(answer=to_json(named), verdict=report.verdict.value, p_fake=report.p_fake)

    def _analyse_video(self, task: Task, tell: Callable[[Step], None]) -> Result:
        last = time.monotonic()
        for finding in self._detector(task).analyze_video(task.file):
            if isinstance(finding, Progress) and finding.total and time.monotonic() - last > STEP_SECONDS:
                tell(Step(finding.done / finding.total, finding.seconds_left))
                last = time.monotonic()
        assert isinstance(finding, VideoReport)  # the last one is
        named = replace(finding, input=replace(finding.input, path=task.name or None))
        return Result(answer=to_json(named), verdict=named.verdict.value, p_fake=named.p_fake)

    def _detector(self, task: Task) -> Detector:
        point = OperatingPoint(task.operating_point)
        settings = AnalysisSettings(
            point,
            task.prior,
            task.all_faces,
            1,
            self._limits,
            task.explain,
            self._anchors if task.explain else None,
            video_limits=self._videos,
        )
        if settings not in self._detectors:
            self._detectors[settings] = Detector(self._bundle, settings, finder=self._finder)
            if len(self._detectors) > DETECTORS:
                self._detectors.popitem(last=False)
        self._detectors.move_to_end(settings)
        return self._detectors[settings]


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Read the setup and then tasks, until the service closes its end."""
    setup = Setup(**json.loads(_frame(requests) or b"{}"))
    limit_resources(setup.memory)
    try:
        bench = Bench(setup)
    except DeepfakeDetectorError as error:
        _send(answers, Result(code=error.code, message=str(error)))
        return
    _send(answers, Result())
    while text := _frame(requests):
        _send(answers, bench.do(Task(**json.loads(text)), lambda step: _send(answers, step)))


def _frame(stream: BinaryIO) -> bytes:
    header = stream.read(HEADER.size)
    return stream.read(sizes(header)[0]) if len(header) == HEADER.size else b""


def _send(stream: BinaryIO, said: Step | Result) -> None:
    stream.write(pack(said))
    stream.flush()


def main() -> None:
    """Keep the pipe for results alone: what a library prints goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        serve(sys.stdin.buffer, answers)
    except BrokenPipeError:  # the service has gone
        os._exit(1)  # without flushing into the pipe once more


if __name__ == "__main__":
    main()
