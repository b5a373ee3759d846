"""The process that opens strangers' files: ``python -m deepfake_detector.service.jobs.worker``.

It reads tasks from standard input and writes results to standard output. It has little memory, no environment, and
nothing else to lose; the pool kills it when it takes too long.
"""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from deepfake_detector.core.errors import DeepfakeDetectorError, InputError, MissingExtraError
from deepfake_detector.core.settings import AnalysisSettings, Limits
from deepfake_detector.core.types import OperatingPoint
from deepfake_detector.faces.mtcnn import MtcnnFinder
from deepfake_detector.pipeline import Detector
from deepfake_detector.report.schema import to_json
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.service.jobs import pictures
from deepfake_detector.service.jobs.messages import HEADER, Result, Setup, Task, pack, sizes

DETECTORS = 6
"""How many combinations of options a worker keeps ready."""


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
        self._anchors = None if setup.anchors is None else Path(setup.anchors)
        self._detectors: OrderedDict[AnalysisSettings, Detector] = OrderedDict()
        self._detector(Task("analyse", ""))
        self._detector(Task("analyse", "", explain=True))

    def do(self, task: Task) -> Result:
        """Do one task. What is wrong with a file, or too much for the memory, becomes part of the result."""
        try:
            return self._analyse(task) if task.work == "analyse" else Result(payload=self._draw(task))
        except (InputError, MissingExtraError) as error:
            return Result(code=error.code, message=str(error))
        except FileNotFoundError:
            return Result(code="file_gone", message="the file is no longer kept; upload it again")
        except MemoryError:
            return Result(code="too_large", message="the picture needs more memory than one may have; make it smaller")

    def _draw(self, task: Task) -> bytes:
        data = Path(task.file).read_bytes()
        if task.work == "heatmap":
            return pictures.heatmap(task, data, self._limits)
        if task.work == "preview":
            return pictures.preview(data, self._limits)
        if task.work == "forensic":
            return pictures.forensic_views(task, data, self._limits)
        return pictures.report_page(task, data, self._limits, self._bundle.card)

    def _analyse(self, task: Task) -> Result:
        report = self._detector(task).analyze(Path(task.file).read_bytes())
        named = replace(report, input=replace(report.input, path=task.name or None))
        return Result(answer=to_json(named), verdict=report.verdict.value, p_fake=report.p_fake)

    def _detector(self, task: Task) -> Detector:
        point = OperatingPoint(task.operating_point)
        settings = AnalysisSettings(
            point, task.prior, task.all_faces, 1, self._limits, task.explain, self._anchors if task.explain else None
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
        _send(answers, bench.do(Task(**json.loads(text))))


def _frame(stream: BinaryIO) -> bytes:
    header = stream.read(HEADER.size)
    return stream.read(sizes(header)[0]) if len(header) == HEADER.size else b""


def _send(stream: BinaryIO, result: Result) -> None:
    stream.write(pack(result))
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
