"""Twins of real faces: the same small face enlarged by a learned decoder (the fake) and by interpolation (the real).

Nothing but the decoder's traces tells the two apart. They stand for faces that are generated as a whole, to which
self-blended faces are blind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropRule, ImageArray, Kind
from deepfake_detector.training.data.crops import (
    CachedCrop,
    CropOptions,
    build_crops,
    context_region,
    read_cached,
    write_png,
)
from deepfake_detector.training.data.decoders import Decoder
from deepfake_detector.training.data.manifest import MANIFEST_NAME, write_manifest
from deepfake_detector.training.data.samples import Label, Progress, Sample, Split, near_miss

SUFFIX = "-twins"
RESAMPLED = "resampled"
CONTEXT = 1.7
"""Side of the picture that is kept, over the longer side of the face box."""

_ENLARGE = (cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_LANCZOS4)


@dataclass(frozen=True, slots=True)
class TwinConfig:
    """``faces`` is the range of the face box's longer side, in pixels, to which faces are shrunk before decoding.

    ``number`` is how many reals of each set get a twin, None all of them; the test split never does.
    """

    sets: tuple[str, ...] = ()
    number: int | None = None
    faces: tuple[float, float] = (64.0, 128.0)
    seed: int = 0
    cache: Path = Path("outputs/cache")
    workers: int = 2


@dataclass(frozen=True, slots=True)
class Twins:
    """Two pictures of one shape, uint8 RGB: through the decoder, and through plain resampling."""

    decoded: ImageArray
    resampled: ImageArray


def make_twins(pixels: ImageArray, crop: CachedCrop, decoder: Decoder, face: float, rng: np.random.Generator) -> Twins:
    """The twins of the face in a cached crop's ``pixels``, shrunk first so that its box is ``face`` pixels long.

    A face that is smaller already is not enlarged before.
    """
    left, top, right, bottom = context_region(crop.box, CONTEXT, crop.width, crop.height, room=0)
    around = pixels[top:bottom, left:right]
    share = min(1.0, face / crop.box.long_side)
    height, width = (max(16, round(side * share)) for side in around.shape[:2])
    small = np.ascontiguousarray(cv2.resize(around, (width, height), interpolation=cv2.INTER_AREA))
    how = _ENLARGE[int(rng.integers(len(_ENLARGE)))]
    plain = cv2.resize(small, (width * decoder.scale, height * decoder.scale), interpolation=how)
    return Twins(decoded=decoder(small), resampled=np.asarray(plain, dtype=np.uint8))


def write_twins(
    samples: Sequence[Sample],
    destination: Path,
    decoders: Sequence[Decoder],
    config: TwinConfig,
    progress: Progress | None = None,
) -> tuple[Sample, ...]:
    """Write twins as PNG below ``destination``, and a manifest of them behind all given samples; returns the twins.

    Those of the set ``utk`` are the set ``utk-twins``, real and fake, in the group and split of their original. What
    is there already is kept, so an interrupted call goes on. Raises DataError.
    """
    chosen = _chosen(samples, config)
    rule = CropRule()
    crops = build_crops(chosen, rule, config.cache, CropOptions(workers=config.workers)).crops
    made: list[Sample] = []
    for number, crop in enumerate(crops):
        rng = np.random.default_rng([config.seed, int(crop.file.stem[:12], 16)])
        decoder = decoders[int(rng.integers(len(decoders)))]
        face = float(np.exp(rng.uniform(*np.log(config.faces))))
        pair = _samples(crop, destination, decoder.name)
        if not all(sample.path.is_file() for sample in pair):
            twins = make_twins(read_cached(crop), crop, decoder, face, rng)
            for sample, picture in zip(pair, (twins.decoded, twins.resampled), strict=True):
                write_png(picture, sample.path)
        made.extend(pair)
        if progress:
            progress(number + 1, len(crops))
    write_manifest([*samples, *made], destination / MANIFEST_NAME)
    return tuple(made)


def _chosen(samples: Sequence[Sample], config: TwinConfig) -> list[Sample]:
    reals = [sample for sample in samples if sample.label is Label.REAL and sample.split is not Split.TEST]
    present = sorted({sample.set for sample in reals})
    for name in config.sets:
        if name not in present:
            raise DataError(f"there are no reals in a set {name!r}{near_miss(name, present)}; in {', '.join(present)}")
    chosen = []
    for place, name in enumerate(config.sets or present):
        pool = [sample for sample in reals if sample.set == name]
        order = np.random.default_rng([config.seed, place]).permutation(len(pool))
        chosen += [pool[int(index)] for index in sorted(order[: config.number])]
    if not chosen:
        raise DataError("there are no reals outside of the test split to make twins of")
    return chosen


def _samples(crop: CachedCrop, destination: Path, method: str) -> tuple[Sample, Sample]:
    """The decoded twin and the resampled one."""
    original = crop.sample
    folder, name = destination / f"{original.set or 'pictures'}{SUFFIX}", f"{crop.file.stem}.png"
    group = original.group or crop.file.stem
    twin = replace(original, set=folder.name, group=group)
    return (
        replace(twin, path=folder / "fake" / name, label=Label.FAKE, kind=Kind.GENERATED, method=method),
        replace(twin, path=folder / "real" / name, method=RESAMPLED),
    )
