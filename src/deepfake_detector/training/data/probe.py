"""Finds what a network could learn in place of faces from the crops that a training shows it, changed as they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass, field
from typing import Any

import cv2
import numpy as np

from deepfake_detector._version import __version__
from deepfake_detector.core.errors import DataError
from deepfake_detector.faces.align import padding_share
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.data.audit_facts import colours, high_frequency, sharpness
from deepfake_detector.training.data.audit_predictors import Judged, Level, Predictor, joined, predict_label
from deepfake_detector.training.data.dataloader import CropLoader, Shown
from deepfake_detector.training.data.samples import class_of
from deepfake_detector.training.intervals import Estimate, Resampling
from deepfake_detector.training.prepare import prepare

LIMIT = 0.60
"""An AUC above it is a shortcut. The figure counts and not its lower bound: a config has to show that it is clean."""
DEFAULT_CROPS = 2000
PROBE_SCHEMA = "1.0"


@dataclass(frozen=True, slots=True)
class Trivia:
    """What is trivial about one crop, as the network gets it.

    ``sharpness`` is the mean squared Laplacian and ``high_frequency`` the share of the spectrum's energy above half of
    Nyquist's frequency, both as logarithms to base 10; ``brightness`` is 0–255, ``saturation`` 0–1; ``padding`` is the
    share of the crop that lies outside of the picture, 0–1; ``scale`` the pixels of the picture in a pixel of the crop.
    """

    sharpness: float
    high_frequency: float
    brightness: float
    saturation: float
    padding: float
    scale: float


FEATURES: tuple[Predictor[Trivia], ...] = (
    Predictor("sharpness", "sharpness (Laplacian energy)", Level.PICTURE, lambda of: (of.sharpness,)),
    Predictor("high_frequency", "share of high frequencies", Level.PICTURE, lambda of: (of.high_frequency,)),
    Predictor("brightness", "brightness", Level.PICTURE, lambda of: (of.brightness,)),
    Predictor("saturation", "saturation", Level.PICTURE, lambda of: (of.saturation,)),
    Predictor("padding", "padding", Level.PICTURE, lambda of: (of.padding,)),
    Predictor("scale", "scale (source pixels per crop pixel)", Level.PICTURE, lambda of: (of.scale,)),
)


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How many crops are looked at, from the first epoch on, and how the intervals are made."""

    crops: int = DEFAULT_CROPS
    resampling: Resampling = field(default_factory=lambda: Resampling(500))


@dataclass(frozen=True, slots=True)
class Carrier:
    """What one feature tells of the label: alone, and how much the others tell without it; its median in each class."""

    feature: Predictor[Trivia]
    alone: Estimate
    without: float | None
    real: float
    fake: float


@dataclass(frozen=True, slots=True)
class Pool:
    """One class of one set among the crops: how many, and the medians of their features."""

    crops: int
    medians: Trivia


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found. ``auc`` is what all features reach together; ``pools`` are named as in ``balance.weights``."""

    fingerprint: str
    options: ProbeOptions
    real: int
    fake: int
    groups: int
    auc: Estimate
    carriers: tuple[Carrier, ...]
    pools: Mapping[str, Pool]

    @property
    def clean(self) -> bool:
        """Whether the features tell so little of the label that they are no shortcut."""
        return (self.auc.value or 0.0) <= LIMIT

    @property
    def strongest(self) -> Carrier:
        """The feature that tells most by itself."""
        return max(self.carriers, key=lambda carrier: carrier.alone.value or 0.0)

    @property
    def most_missed(self) -> Carrier:
        """The feature without which the others tell least."""
        return min(self.carriers, key=lambda carrier: carrier.without or 0.0)


def probe(config: TrainConfig, options: ProbeOptions | None = None, callback: Callback | None = None) -> Probe:
    """Look at the first crops that a training with this config shows. Raises DataError or ConfigError.

    Faces that the cache does not have are found and cut first, as in training.
    """
    options, callback = options or ProbeOptions(), callback or Callback()
    prepared = prepare(config, callback)
    loader = prepared.fit.train
    if not isinstance(loader, CropLoader):
        raise DataError("this data is not fed as crops, so there is nothing to probe")
    chosen = shown_places(loader, options.crops)
    callback.on_phase("probing", len(chosen), 0)
    trivia = look(loader, chosen, config.data.workers, callback)
    callback.on_end()
    return judge(loader, chosen, trivia, options, prepared.fingerprint)


Place = tuple[int, int, int]
"""A sample, the epoch that shows it, and its place there: what ``CropLoader.shown`` takes."""


def shown_places(loader: CropLoader, number: int) -> list[Place]:
    """The first ``number`` crops that a training shows, from as many epochs as it takes."""
    places: list[Place] = []
    epoch = 0
    while len(places) < number:
        places += [(int(index), epoch, place) for place, index in enumerate(loader.indices(epoch))]
        epoch += 1
    return places[:number]


def look(loader: CropLoader, places: Sequence[Place], workers: int, callback: Callback) -> list[Trivia]:
    """The features of each crop, in their order."""
    found: list[Trivia] = []
    with ThreadPoolExecutor(workers) as pool:
        for trivia in pool.map(lambda place: trivia_of(loader.shown(*place)), places):
            found.append(trivia)
            callback.on_batch(1, None)
    return found


def trivia_of(shown: Shown) -> Trivia:
    """The features of one crop."""
    gray = cv2.cvtColor(shown.pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    *_, brightness, _, saturation = colours(shown.pixels)
    return Trivia(
        sharpness=sharpness(gray),
        high_frequency=high_frequency(gray),
        brightness=brightness,
        saturation=saturation,
        padding=padding_share(shown.matrix, len(shown.pixels), shown.width, shown.height),
        scale=float(abs(np.linalg.det(shown.matrix[:, :2])) ** -0.5),
    )


def judge(
    loader: CropLoader, places: Sequence[Place], trivia: Sequence[Trivia], options: ProbeOptions, fingerprint: str
) -> Probe:
    """How well boosted trees tell the label of crops from their features, on pictures that they were not fitted on.

    All crops of one source picture, or of one group of them, are fitted and resampled together; so is a synthesised
    fake with the picture that it was made from. Raises DataError if there are too few.
    """
    samples = [loader.samples[index] for index, _, _ in places]
    sources = [loader.source(index).sample for index, _, _ in places]
    names = [source.group or str(source.path) for source in sources]
    pictures = Judged(
        trivia,
        np.array([int(sample.label) for sample in samples], dtype=np.int64),
        np.unique(names, return_inverse=True)[1].astype(np.int64),
    )
    reason = pictures.too_few()
    if reason is not None:
        raise DataError(f"the crops are too few to probe: {reason}; ask for more crops, or add pictures")
    pools: dict[str, list[Trivia]] = defaultdict(list)
    for sample, one in zip(samples, trivia, strict=True):
        pools[class_of(sample)].append(one)
    fakes = int(pictures.labels.sum())
    return Probe(
        fingerprint=fingerprint,
        options=options,
        real=len(trivia) - fakes,
        fake=fakes,
        groups=len(np.unique(pictures.groups)),
        auc=predict_label(_all_but(None), pictures, options.resampling),
        carriers=tuple(_carrier(feature, pictures, options.resampling) for feature in FEATURES),
        pools={name: Pool(len(pools[name]), medians(pools[name])) for name in sorted(pools)},
    )


def _all_but(left_out: Predictor[Trivia] | None) -> Predictor[Trivia]:
    return joined("joint", "all together", Level.PICTURE, [one for one in FEATURES if one is not left_out])


def _carrier(feature: Predictor[Trivia], pictures: Judged[Trivia], resampling: Resampling) -> Carrier:
    value = np.array([feature.columns(one)[0] for one in pictures.facts], dtype=np.float64)
    plain = Resampling(0, resampling.seed)
    return Carrier(
        feature=feature,
        alone=predict_label(feature, pictures, resampling),
        without=predict_label(_all_but(feature), pictures, plain).value,
        real=float(np.median(value[pictures.labels == 0])),
        fake=float(np.median(value[pictures.labels == 1])),
    )


def medians(trivia: Sequence[Trivia]) -> Trivia:
    """The median of each feature."""
    return Trivia(*(float(value) for value in np.median([astuple(one) for one in trivia], axis=0)))


def verdict(found: Probe) -> str:
    """What was found, in words."""
    strongest, missed = found.strongest, found.most_missed
    value = found.auc.value or 0.0
    carried = (
        f"{strongest.feature.words} tells most alone ({strongest.alone.value or 0.0:.2f}; median "
        f"{strongest.real:.3g} in reals, {strongest.fake:.3g} in fakes), and without {missed.feature.words} the others "
        f"reach least ({missed.without or 0.0:.2f})"
    )
    if found.clean:
        return f"No shortcut: the features tell real from fake with AUC {value:.2f}, which is not above {LIMIT:.2f}."
    return f"Shortcut: the features tell real from fake with AUC {value:.2f}, above {LIMIT:.2f}; {carried}."


def as_json(found: Probe, config: str, seed: int, changed: Sequence[str]) -> dict[str, Any]:
    """All figures, rounded; the others say which config was probed, with which seed, and what was changed in it."""
    rounded = {key: _rounded(value) for key, value in _figures(found).items()}
    return {
        "schema_version": PROBE_SCHEMA,
        "deepfake_detector": __version__,
        "config": config,
        "changed": list(changed),
        "seed": seed,
        "clean": found.clean,
        "verdict": verdict(found),
        "limit": LIMIT,
        "fingerprint": found.fingerprint,
        "crops": found.real + found.fake,
        "real": found.real,
        "fake": found.fake,
        "groups": found.groups,
        **rounded,
    }


def _figures(found: Probe) -> dict[str, Any]:
    return {
        "auc": asdict(found.auc),
        "features": {
            one.feature.name: {"alone": asdict(one.alone), "without": one.without, "real": one.real, "fake": one.fake}
            for one in found.carriers
        },
        "pools": {name: {"crops": pool.crops, **asdict(pool.medians)} for name, pool in found.pools.items()},
    }


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
