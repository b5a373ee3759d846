"""``deepfake bench compare``: is one detector better than another on the same pictures, and where?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropRule
from deepfake_detector.training.bench.page import writing
from deepfake_detector.training.bench.paired import Comparison, compare_aucs, holm
from deepfake_detector.training.bench.scores import DetectorScores, open_detector, scores_of
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.data.crops import build_crops, read_cached
from deepfake_detector.training.data.manifest import read_samples
from deepfake_detector.training.data.samples import Label, Sample, fingerprint
from deepfake_detector.training.evaluate import OUTPUTS, EvaluateOptions, ModelSource, choose_samples, marked
from deepfake_detector.training.evaluate import command_line as evaluation_line
from deepfake_detector.training.evaluation import Settings
from deepfake_detector.training.intervals import Floats, Ints
from deepfake_detector.training.predict import Progress, View, quality

SIZES = (80.0, 160.0)
"""Longer sides of the face box, in pixels, at which the sizes are parted."""
ALPHA = 0.05
NO_FACE = "no face found"


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """Both detectors on some of the pictures.

    ``scope`` is "all", "mean" (of the AUCs of the sets), "set", "method" (against the reals of its set), "size" (of the
    face) or "quality". ``missing``: how many scores each lacks here. The p values are Holm's, over all parts and
    detectors. ``better`` is 1 or 2 if every test that there is tells them apart, else 0.
    """

    scope: str
    name: str
    used_for_selection: bool
    real: int
    fake: int
    missing: tuple[int, int]
    comparison: Comparison
    p_delong_holm: float | None = None
    p_bootstrap_holm: float | None = None

    @property
    def better(self) -> int:
        """Which one is better: 1, 2, or 0 for not told apart."""
        found = [p for p in (self.p_delong_holm, self.p_bootstrap_holm) if p is not None]
        gain = self.comparison.gain.value
        if not found or max(found) >= ALPHA or not gain:
            return 0
        return 2 if gain > 0 else 1


@dataclass(frozen=True, slots=True)
class Match:
    """The first detector against another one."""

    second: DetectorScores
    parts: tuple[ComparedPart, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """A finished comparison with all that is needed to repeat it."""

    data: str
    split: str
    fingerprint: str
    command: str
    settings: Settings
    pictures: int
    first: DetectorScores
    matches: tuple[Match, ...]


def bench_compare(
    data: Path,
    detectors: Sequence[str],
    output: Path | None = None,
    options: EvaluateOptions | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Compared, Path]:
    """Compare the first detector with each of the others; write to a folder (by default under ``outputs/bench``).

    A detector is a CSV of scores, a bundle, a run, or the name of a shipped model. Raises ModelError or DataError.
    """
    from deepfake_detector.training.bench.compare_report import write

    options = options or EvaluateOptions()
    if len(detectors) < 2 or len(set(detectors)) < len(detectors):
        raise DataError(f"got the detectors {', '.join(detectors)}; give at least two, each once")
    opened = [open_detector(name) for name in detectors]
    samples = choose_samples(data, _split_config(data, opened), options)
    root = data.parent if data.is_file() else data
    scored = [scores_of(one, samples, root, options, progress) for one in opened]
    settings = marked(options.settings, samples, None)
    present = {sample.set for sample in samples}
    chosen_by = {name for one in scored for name in one.chosen_by if name in present}
    settings = replace(settings, used_for_selection=tuple(sorted({*settings.used_for_selection, *chosen_by})))
    kinds = _kinds_of_faces(samples, options.crops or OUTPUTS / "cache", progress)
    progress("comparing", 0, 1)
    found = Compared(
        data=str(data),
        split=str(options.split or "all"),
        fingerprint=fingerprint(samples),
        command=command_line(data, detectors, output, options),
        settings=settings,
        pictures=len(samples),
        first=scored[0],
        matches=compare(samples, scored, kinds, settings),
    )
    folder = output or OUTPUTS / "bench" / f"compare-{found.split}"
    with writing("comparison", folder):
        write(found, folder)
    progress("comparing", 1, 1)
    return found, folder


def _split_config(data: Path, opened: Sequence[Path | ModelSource]) -> TrainConfig | None:
    """The config of a run, which tells how data without a split was split.

    Raises DataError if two runs did that differently: the test pictures of one were the other's training.
    """
    configs = [one.config for one in opened if isinstance(one, ModelSource) and one.config is not None]
    ways = {(config.data.ratios, config.data.split_seed) for config in configs}
    if len(ways) > 1 and any(sample.split is None for sample in read_samples(data)):
        raise DataError(
            f"the runs split {data} in different ways (data.ratios, data.split_seed), so that one has trained on what "
            "tests the other; split the data once, with deepfake split"
        )
    return configs[0] if configs else None


def compare(
    samples: Sequence[Sample],
    scored: Sequence[DetectorScores],
    kinds: Sequence[tuple[str, str]],
    settings: Settings,
) -> tuple[Match, ...]:
    """The first detector against each other one, with Holm's correction over everything that is tested.

    ``kinds`` are the size and the quality of each picture's face, in words. A missing score counts against its
    detector: as the lowest of all for a fake, as the highest for a real.
    """
    labels: Ints = np.array([int(sample.label) for sample in samples], dtype=np.int64)
    first, *others = scored
    matches = []
    for second in others:
        pair = (_worst_for(first.scores, labels), _worst_for(second.scores, labels))
        parts = [
            _part(scope, name, at, (samples, labels, pair), (first, second), settings)
            for scope, name, at in _parts(samples, labels, kinds, settings)
        ]
        matches.append(Match(second, tuple(parts)))
    everything = [part for match in matches for part in match.parts]
    delong = iter(holm([part.comparison.p_delong for part in everything]))
    drawn = iter(holm([part.comparison.p_bootstrap for part in everything]))
    return tuple(
        replace(
            match,
            parts=tuple(
                replace(part, p_delong_holm=next(delong), p_bootstrap_holm=next(drawn)) for part in match.parts
            ),
        )
        for match in matches
    )


def _worst_for(scores: Floats, labels: Ints) -> Floats:
    return np.where(np.isnan(scores), np.where(labels == 1, -np.inf, np.inf), scores)


def _parts(
    samples: Sequence[Sample], labels: Ints, kinds: Sequence[tuple[str, str]], settings: Settings
) -> Iterator[tuple[str, str, Ints]]:
    """Scope, name and the pictures of each part."""
    sets, methods = np.array([one.set for one in samples]), np.array([one.method for one in samples])
    clean = ~np.isin(sets, settings.used_for_selection)
    summed = np.flatnonzero(clean if clean.any() else ~clean)
    yield "all", "all pictures", summed
    both = [name for name in np.unique(sets[summed]) if len(np.unique(labels[summed][sets[summed] == name])) == 2]
    if len(both) > 1:
        yield "mean", f"mean of {len(both)} sets", np.flatnonzero(np.isin(sets, both))
    names = np.unique(sets)
    for name in names if len(names) > 1 else []:
        yield "set", str(name) or "(no name)", np.flatnonzero(sets == name)
    for name in names:
        fakes = (sets == name) & (labels == int(Label.FAKE))
        known = [method for method in np.unique(methods[fakes]) if method]
        for method in known if len(known) > 1 else []:
            reals = (sets == name) & (labels == int(Label.REAL))
            yield "method", f"{name} / {method}", np.flatnonzero(reals | (fakes & (methods == method)))
    for place, scope in enumerate(("size", "quality")):
        kind = np.array([one[place] for one in kinds])[summed]
        found = [name for name in np.unique(kind) if scope == "size" or name != NO_FACE]
        for name in found if len(found) > 1 else []:
            yield scope, str(name), summed[kind == name]


def _part(
    scope: str,
    name: str,
    at: Ints,
    facts: tuple[Sequence[Sample], Ints, tuple[Floats, Floats]],
    detectors: tuple[DetectorScores, DetectorScores],
    settings: Settings,
) -> ComparedPart:
    samples, labels, (first, second) = facts
    chosen = [samples[place] for place in at]
    groups = np.unique([f"{one.set}\n{one.group or one.path}" for one in chosen], return_inverse=True)[1]
    sets = np.array([one.set for one in chosen])
    places = [np.flatnonzero(sets == name) for name in np.unique(sets)] if scope == "mean" else None
    missing = [int(np.isnan(one.scores[at]).sum()) for one in detectors]
    return ComparedPart(
        scope=scope,
        name=name,
        used_for_selection=bool(set(sets.tolist()) & set(settings.used_for_selection)),
        real=int((labels[at] == 0).sum()),
        fake=int((labels[at] == 1).sum()),
        missing=(missing[0], missing[1]),
        comparison=compare_aucs(labels[at], (first[at], second[at]), groups, settings.resampling, places),
    )


def _kinds_of_faces(samples: Sequence[Sample], cache: Path, progress: Progress) -> list[tuple[str, str]]:
    """The size and the quality of each picture's main face, in words; for both the same if there is none."""
    index = build_crops(samples, CropRule(), cache, progress=lambda done, total: progress("finding faces", done, total))
    known = {item.sample.path: quality(View(read_cached(item), item.box, item.landmarks)) for item in index.crops}
    sides = {item.sample.path: item.box.long_side for item in index.crops}
    middle = float(np.median([one.sharpness for one in known.values()]))
    kinds = []
    for sample in samples:
        found = known.get(sample.path)
        if found is None:
            kinds.append((NO_FACE, NO_FACE))
            continue
        side = sides[sample.path]
        size = f"under {SIZES[0]:g} px" if side < SIZES[0] else f"{SIZES[0]:g} to {SIZES[1]:g} px"
        size = f"{SIZES[1]:g} px and over" if side >= SIZES[1] else size
        sharp = "sharper half" if found.sharpness >= middle else "softer half"
        kinds.append((f"face {size}", "face cannot be judged" if found.issues else sharp))
    return kinds


def command_line(data: Path, detectors: Sequence[str], output: Path | None, options: EvaluateOptions) -> str:
    """The command that does the same again."""
    words = shlex.split(evaluation_line(detectors[0], data, output, options))
    place = words.index("--operating-point")
    del words[place : place + 2]  # thresholds play no part here
    words[1:4] = ["bench", "compare", str(data), *detectors]
    return shlex.join(words)
