"""``deepfake bench robustness``: a model's answers to pictures that were compressed, scaled, forwarded."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from deepfake_detector.scoring.card import Card
from deepfake_detector.training.bench.page import writing
from deepfake_detector.training.bench.reactions import StressedPart, react
from deepfake_detector.training.bench.stress import Stress, Stressed, stress
from deepfake_detector.training.data.samples import fingerprint, limited
from deepfake_detector.training.evaluate import (
    OUTPUTS,
    EvaluateOptions,
    choose_samples,
    crop_cache,
    data_of,
    find_model,
    marked,
)
from deepfake_detector.training.evaluate import command_line as evaluation_line
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.predict import Progress, bounds


@dataclass(frozen=True, slots=True)
class RobustnessOptions:
    """Which pictures and how to measure; at most ``limit`` pictures of each class of each set, drawn by the seed.

    ``find_again``: look for the face in each changed picture (much slower), instead of moving its box along.
    """

    evaluation: EvaluateOptions = field(default_factory=EvaluateOptions)
    limit: int | None = None
    find_again: bool = False


@dataclass(frozen=True, slots=True)
class Robustness:
    """A finished bench with all that is needed to repeat it; the first of ``parts`` is that of all pictures."""

    card: Card
    data: str
    split: str
    fingerprint: str
    command: str
    settings: Settings
    find_again: bool
    stressed: Stressed
    parts: tuple[StressedPart, ...]


def bench_robustness(
    model: str | Path | None,
    data: Path | None,
    output: Path | None = None,
    options: RobustnessOptions | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Robustness, Path]:
    """Change, score, measure, and write everything to a folder (by default under ``outputs/bench``), which is returned.

    Model and data as for ``evaluate``. Raises ModelError, DataError or ConfigError.
    """
    from deepfake_detector.training.bench.robustness_report import write

    options = options or RobustnessOptions()
    chosen, source = options.evaluation, find_model(model)
    data = data or data_of(source)
    card, split = source.bundle.card, str(chosen.split or "all")
    folder = output or OUTPUTS / "bench" / f"robustness-{card.name}-{card.version}-{split}"
    samples = limited(choose_samples(data, source.config, chosen), options.limit, chosen.settings.resampling.seed)
    settings = marked(chosen.settings, samples, source.config)
    how = Stress(seed=settings.resampling.seed, find_again=options.find_again, threads=chosen.threads)
    stressed = stress(source.bundle, samples, crop_cache(source, chosen), settings.point, how, progress)
    progress("measuring", 0, 1)
    found = Robustness(
        card=card,
        data=str(data),
        split=split,
        fingerprint=fingerprint(samples),
        command=command_line(source.name, data, output, options),
        settings=settings,
        find_again=options.find_again,
        stressed=stressed,
        parts=react(stressed, bounds(card.calibration, settings.point).fake_from, settings),
    )
    with writing("results", folder):
        write(found, folder)
    progress("measuring", 1, 1)
    return found, folder


def command_line(model: str, data: Path, output: Path | None, options: RobustnessOptions) -> str:
    """The command that does the same again."""
    words = shlex.split(evaluation_line(model, data, output, options.evaluation))
    words[1:2] = ["bench", "robustness"]
    words += [] if options.limit is None else ["--limit", str(options.limit)]
    words += ["--find-again"] if options.find_again else []
    return shlex.join(words)
