"""The vocabulary of labelled data: a picture with its label, source, group and split; and questions about many."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Kind

Progress = Callable[[int, int], None]
"""Called with how many pictures are done, and of how many."""


class Label(IntEnum):
    """The class of a picture; its number is the target of the fake head."""

    REAL = 0
    FAKE = 1


class Split(StrEnum):
    """Which part of the data a picture belongs to; ``test`` is never fitted, tuned or calibrated on."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


KIND_TARGETS = {Kind.MANIPULATED: 0, Kind.GENERATED: 1}
"""The targets of the kind head."""

LABEL_WORDS = {"real": Label.REAL, "reals": Label.REAL, "fake": Label.FAKE, "fakes": Label.FAKE}
"""Names of folders and words of manifests that mean a class, in small letters."""

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif"}
)
"""Names of pictures end so."""

CLIP_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm"})
"""Names of clips end so."""

SYNTHETIC = "+synthetic"
"""Ends the name of the pool of fakes that are synthesised from a set's reals."""

SPLITS = (Split.TRAIN, Split.VAL, Split.TEST)


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture.

    ``kind`` is None for reals and where it is not known; ``set`` names the source; ``method`` how the fake was made;
    pictures of one ``group`` stay on one side of a split ("" = a group of its own).
    """

    path: Path
    label: Label
    kind: Kind | None = None
    set: str = ""
    method: str = ""
    group: str = ""
    split: Split | None = None


def is_clip(path: Path) -> bool:
    """Whether a file is a clip, by its name."""
    return path.suffix.lower() in CLIP_SUFFIXES


def kind_target(sample: Sample) -> int | None:
    """What the kind head should say; None for reals, and where the kind is not known."""
    return KIND_TARGETS[sample.kind] if sample.label is Label.FAKE and sample.kind else None


def class_of(sample: Sample) -> str:
    """The class of a set that a sample is of: ``photoshop/fake``."""
    return f"{sample.set}/{sample.label.name.lower()}"


@dataclass(frozen=True, slots=True)
class SetCount:
    """How many pictures of a class one set has in one split (None = not split)."""

    set: str
    split: Split | None
    real: int
    fake: int


def select(
    samples: Iterable[Sample],
    sets: Sequence[str] = (),
    exclude_sets: Sequence[str] = (),
    splits: Sequence[Split] = (),
) -> tuple[Sample, ...]:
    """The samples of the named sets (none named: of all), without the excluded ones, in the given splits (or all).

    Raises DataError for a name that no sample has.
    """
    pool = tuple(samples)
    known = sorted({sample.set for sample in pool})
    for name in (*sets, *exclude_sets):
        if name not in known:
            raise DataError(f"there is no set {name!r}{near_miss(name, known)}; the sets are {', '.join(known)}")
    return tuple(
        sample
        for sample in pool
        if (not sets or sample.set in sets)
        and sample.set not in exclude_sets
        and (not splits or sample.split in splits)
    )


def limited(samples: Sequence[Sample], limit: int | None, seed: int) -> tuple[Sample, ...]:
    """At most ``limit`` pictures of each class, set and split, drawn by ``seed``; in their order."""
    if limit is None:
        return tuple(samples)
    order = np.random.default_rng(seed).permutation(len(samples))
    taken: Counter[tuple[object, ...]] = Counter()
    chosen = []
    for index in order:
        key = (samples[index].set, samples[index].label, samples[index].split)
        taken[key] += 1
        if taken[key] <= limit:
            chosen.append(int(index))
    return tuple(samples[index] for index in sorted(chosen))


def tally(samples: Sequence[Sample]) -> tuple[int, int]:
    """How many are real, and how many fake."""
    fakes = sum(int(sample.label) for sample in samples)
    return len(samples) - fakes, fakes


def count(samples: Iterable[Sample]) -> tuple[SetCount, ...]:
    """Class counts for each set and split, ordered by name and split."""
    cells = Counter((sample.set, sample.split, sample.label) for sample in samples)
    keys = sorted({(name, split) for name, split, _ in cells}, key=lambda key: (key[0], _split_rank(key[1])))
    return tuple(
        SetCount(name, split, cells[(name, split, Label.REAL)], cells[(name, split, Label.FAKE)])
        for name, split in keys
    )


def fingerprint(samples: Sequence[Sample]) -> str:
    """SHA-256 (hexadecimal) over the sorted relative paths, labels, splits and file sizes."""
    digest = hashlib.sha256()
    lines = (
        f"{name}\t{sample.label.name}\t{sample.split or ''}\t{sample.path.stat().st_size}\n"
        for name, sample in zip(relative_names(samples), samples, strict=True)
    )
    for line in sorted(lines):
        digest.update(line.encode())
    return digest.hexdigest()


def _split_rank(split: Split | None) -> int:
    return -1 if split is None else SPLITS.index(split)


def common_parent(samples: Sequence[Sample]) -> Path:
    """The deepest folder that all pictures lie in, as an absolute path. Raises DataError if there are none."""
    if not samples:
        raise DataError("there are no pictures")
    return Path(os.path.commonpath([sample.path.parent.absolute() for sample in samples]))


def relative_names(samples: Sequence[Sample]) -> list[str]:
    """Each picture's path below the folder that all lie in, with slashes. Raises DataError if there are none."""
    root = common_parent(samples)
    return [sample.path.absolute().relative_to(root).as_posix() for sample in samples]


def near_miss(word: str, known: Sequence[str]) -> str:
    """`` (did you mean 'x'?)``, or nothing where no known name is close."""
    by_small = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), list(by_small), n=1)
    return f" (did you mean {by_small[close[0]]!r}?)" if close else ""
