"""Are the heat maps true? Deletion, insertion, pointing and overlap on fakes with known masks, and sanity checks.

    python benchmarks/faithfulness.py DATA [--model NAME|DIR] [--run outputs/run]

DATA is a manifest or folder as for training; only one split of it is used, by default the test split. Fakes are
synthesised from its reals (part swaps, off-centre patches, hulls) and taken from CIPLAB's composites, whose names tell
what was edited; its generated fakes count for deletion and insertion. These take most of the time, and are measured on
at most ``--curves`` fakes of a kind.

Every map is compared with a centred Gaussian, with random maps, and the one that ships with that of another fake of its
kind, fake by fake; intervals (95 %) draw whole photos again. Fakes that the model finds (5 % false alarms) also stand
by themselves: of the others it saw nothing that a map could show. ``--occlusion`` adds maps by occlusion, 50 runs of
the network each. ``--run`` adds the sanity checks (Adebayo et al. 2018), which need the Keras network of the same
model. Writes benchmarks/results/faithfulness.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from result import say

from deepfake_detector.core.explanation import MapMethod
from deepfake_detector.core.types import CropRule, FloatArray, Kind
from deepfake_detector.faces.align import crop
from deepfake_detector.pipeline.explainer import maker_of
from deepfake_detector.scoring.bundle import Bundle, load_bundle
from deepfake_detector.scoring.calibration import calibrated_logit, threshold_logit
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.data.crops import CachedCrop, build_crops, read_cached
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.meshes import build_meshes
from deepfake_detector.training.data.samples import Label, Split, fingerprint, select
from deepfake_detector.training.faithfulness import (
    Marks,
    Suspects,
    compare,
    gaussian_map,
    mark,
    mean_of,
    random_maps,
    sanity,
)
from deepfake_detector.training.intervals import Estimate
from deepfake_detector.training.masked_fakes import composites, synthesised
from deepfake_detector.training.saliency import network_of

TARGET = Path(__file__).resolve().parent / "results" / "faithfulness.json"
GENERATED = "generated"
SHIPPED = MapMethod.LAYER_CAM
ALL, SEEN = "all with a mask", "those among them that the model finds"
FALSE_ALARMS = 0.05
ANOTHER = "another"
CHECKED = 48
"""Fakes for the sanity checks."""


@dataclass(frozen=True)
class Fakes:
    """Fakes of one kind: crops (N, S, S, 3), where each was altered (or None), and the photos that they come from."""

    crops: NDArray[np.uint8]
    masks: list[NDArray[np.bool_] | None]
    groups: list[str]


def fakes_of(cached: Sequence[CachedCrop], rule: CropRule, number: int, seed: int) -> Iterator[tuple[str, Fakes]]:
    """Every kind of fake by its name."""
    meshes = build_meshes(cached)
    masked = [*synthesised(cached, meshes, rule, number, seed), *composites(cached, meshes, rule)]
    for method in sorted({fake.method for fake in masked}):
        own = [fake for fake in masked if fake.method == method]
        yield method, Fakes(np.stack([fake.crop for fake in own]), [f.mask for f in own], [f.group for f in own])
    generated = [one for one in cached if one.sample.kind is Kind.GENERATED and one.sample.label is Label.FAKE]
    order = np.random.default_rng(seed).permutation(len(generated))[: number // 4]
    chosen = [generated[int(index)] for index in order]
    if chosen:
        cut = np.stack([crop(read_cached(one), one.box, one.landmarks, rule) for one in chosen])
        groups = [one.sample.group or one.sample.path.name for one in chosen]
        yield GENERATED, Fakes(cut, [None] * len(chosen), groups)


class Measure:
    """The maps of one bundle, marked on fakes."""

    def __init__(self, bundle: Bundle, options: argparse.Namespace) -> None:
        methods = [SHIPPED, MapMethod.CAM] + ([MapMethod.OCCLUSION] if options.occlusion else [])
        threads = options.threads
        self.bundle, self.seed, self._curves = bundle, options.seed, options.curves
        self._scorer = Scorer(self.bundle, threads)
        self._makers = {method.value: maker_of(method, self._scorer, threads) for method in methods}

    def logits(self, crops: NDArray[np.uint8]) -> FloatArray:
        return self._scorer.score(crops).fake_logit

    def found(self, crops: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Which crops (N,) are called fake at 5 % false alarms."""
        calibration = self.bundle.card.calibration
        threshold = threshold_logit(calibration, FALSE_ALARMS)
        return np.asarray(calibrated_logit(self.logits(crops), calibration) >= threshold)

    def marks(self, fakes: Fakes) -> dict[str, Marks]:
        """Of each map, of that of another fake, and of the two that know nothing."""
        maps = {name: maker.maps(fakes.crops) for name, maker in self._makers.items()}
        first = maps[SHIPPED.value]
        maps[ANOTHER] = np.roll(first, 1, axis=0)
        number, cells, _ = first.shape
        maps["gaussian"] = np.repeat(gaussian_map(cells)[None], number, axis=0)
        maps["random"] = random_maps(number, cells, self.seed)
        suspects = Suspects.of(self.logits, list(fakes.crops), fakes.masks, self._curves)
        return {name: mark(self.logits, suspects, values) for name, values in maps.items()}


def figures(marks: Mapping[str, Marks], groups: Sequence[str]) -> dict[str, Any]:
    """Each map's figures, and how far they lie above those of the three baselines."""
    baselines = {name: marks[name] for name in ("gaussian", "random", ANOTHER)}
    found = {name: compare(one, {} if name in baselines else baselines, groups) for name, one in marks.items()}
    return {
        name: {figure: {what: said(value) for what, value in row.items()} for figure, row in rows.items()}
        for name, rows in found.items()
    }


def together(all_marks: Sequence[Mapping[str, Marks]]) -> dict[str, Marks]:
    """The marks of several kinds of fakes as one."""
    return {
        name: Marks(*(np.concatenate([getattr(m[name], f) for m in all_marks]) for f in Marks.__slots__))
        for name in all_marks[0]
    }


def only(marks: Mapping[str, Marks], chosen: NDArray[np.bool_]) -> dict[str, Marks]:
    """The marks of some of the fakes."""
    return {name: Marks(*(getattr(one, f)[chosen] for f in Marks.__slots__)) for name, one in marks.items()}


def said(estimate: Estimate) -> dict[str, float | None]:
    """An estimate, rounded to what its interval carries."""
    values = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    return {name: None if value is None else round(value, 4) for name, value in values.items()}


def sanity_figures(run: Path, crops: NDArray[np.uint8], seed: int) -> dict[str, Any]:
    """Mean rank correlation with the true map, and its mean size, for each thing that was destroyed."""
    found = sanity(network_of(run), crops, seed)
    groups = [str(index) for index in range(len(crops))]
    rows = {f"random weights: {name}": values for name, values in found.weights.items()} | {
        "random labels": found.labels,
        "the map of another fake": found.others,
    }
    return {
        name: {"rank correlation": said(mean_of(values, groups)), "its size": said(mean_of(np.abs(values), groups))}
        for name, values in rows.items()
    }


def measured(measure: Measure, kinds: Mapping[str, Fakes]) -> dict[str, Any]:
    """The figures of each kind of fake, of all with a mask, and of those among them that the model finds."""
    marks, found = {}, {}
    for name, fakes in kinds.items():
        marks[name], found[name] = measure.marks(fakes), measure.found(fakes.crops)
    known = [name for name in kinds if name != GENERATED]
    groups = np.array([group for name in known for group in kinds[name].groups])
    of_all, seen = together([marks[name] for name in known]), np.concatenate([found[name] for name in known])
    all_figures = {name: figures(marks[name], fakes.groups) for name, fakes in kinds.items()}
    all_figures[ALL] = figures(of_all, groups.tolist())
    if seen.any():
        all_figures[SEEN] = figures(only(of_all, seen), groups[seen].tolist())
    return {
        "fakes": {name: len(fakes.crops) for name, fakes in kinds.items()} | {ALL: len(groups), SEEN: int(seen.sum())},
        "found": {name: int(which.sum()) for name, which in found.items()},
        "figures": all_figures,
    }


def main() -> None:
    """Measure, print the sum, and write all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default=None)
    parser.add_argument("--run", type=Path, default=None, help="for the sanity checks")
    parser.add_argument("--number", type=int, default=240, help="of synthesised fakes")
    parser.add_argument("--curves", type=int, default=50, help="fakes of a kind that get deletion and insertion")
    parser.add_argument("--split", default=Split.TEST.value, choices=[Split.VAL.value, Split.TEST.value])
    parser.add_argument("--occlusion", action="store_true", help="measure maps by occlusion, too")
    parser.add_argument("--cache", type=Path, default=Path("outputs/cache"))
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()

    measure = Measure(load_bundle(options.model), options)
    rule = measure.bundle.card.input.rule()
    samples = select(read_data(options.data), splits=(Split(options.split),))
    cached = build_crops(samples, rule, options.cache).crops
    kinds = dict(fakes_of(cached, rule, options.number, options.seed))
    content = {
        "model": f"{measure.bundle.info.name} {measure.bundle.info.version}",
        "onnx_sha256": measure.bundle.info.sha256,
        "split": options.split,
        "curves": options.curves,
        "data_fingerprint": fingerprint(samples),
    } | measured(measure, kinds)
    say(content, options.output)
    if options.run is not None:
        crops = np.concatenate([fakes.crops for fakes in kinds.values()])
        content["sanity"] = sanity_figures(options.run, crops[:: max(1, len(crops) // CHECKED)], options.seed)
        say(content, options.output)


if __name__ == "__main__":
    main()
