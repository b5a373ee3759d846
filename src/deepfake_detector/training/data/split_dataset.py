"""Splits a folder of Real and Fake pictures into train, val and test; near-duplicates stay on one side.

Run it as ``python -m deepfake_detector.training.data.split_dataset SRC DST --ratios .8 .1 .1 --seed 7``, which is
``deepfake split``.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.grouping import (
    DEFAULT_RATIOS,
    MAX_DISTANCE,
    Ratios,
    check_ratios,
    near_duplicates,
)
from deepfake_detector.training.data.manifest import MANIFEST_NAME, deal, read_samples, write_manifest
from deepfake_detector.training.data.samples import LABEL_WORDS, Progress, Sample, SetCount, count, relative_names


class Mode(StrEnum):
    """How the split comes about: copies, hard links (no space, one file system), or only a CSV that lists it."""

    COPY = "copy"
    HARDLINK = "hardlink"
    MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class SplitOptions:
    """How to split: shares of train, val and test; ``max_distance`` in bits of the 64-bit perceptual hash."""

    ratios: Ratios = DEFAULT_RATIOS
    seed: int = 0
    mode: Mode = Mode.COPY
    max_distance: int = MAX_DISTANCE


@dataclass(frozen=True, slots=True)
class SplitSummary:
    """What was done: ``groups`` of more than one picture hold ``grouped`` pictures; ``unreadable`` were left out."""

    destination: Path
    options: SplitOptions
    counts: tuple[SetCount, ...]
    groups: int
    grouped: int
    unreadable: Mapping[Path, str]


def split(
    source: Path, destination: Path, options: SplitOptions | None = None, progress: Progress | None = None
) -> SplitSummary:
    """Split the pictures of ``source`` (Real and Fake folders, or a CSV manifest without splits).

    Writes ``train``, ``val`` and ``test``, each with ``Real`` and ``Fake``, and for a CSV source a manifest that keeps
    its columns; in the mode ``manifest`` only that. The classes of each set have the same shares on all sides;
    groups of the manifest and near-duplicates are not torn. The same pictures, names, ratios and seed give the same
    split on any machine. ``destination`` appears when all is done. Raises DataError, and overwrites nothing.
    """
    options = options or SplitOptions()
    check_ratios(options.ratios)
    if destination.suffix == ".csv" and options.mode is not Mode.MANIFEST:
        raise DataError(f"{destination} is to be a folder in the mode {options.mode}; a CSV needs --mode manifest")
    _refuse_overwriting(source, destination)
    samples = read_samples(source)
    if any(sample.split for sample in samples):
        raise DataError(f"{source} is split already; give it to `deepfake train` as it is")
    near = near_duplicates(
        [sample.path for sample in samples], [sample.group for sample in samples], options.max_distance, progress
    )
    kept = [index for index, sample in enumerate(samples) if sample.path not in near.unreadable]
    if not kept:
        raise DataError(f"none of the {len(samples)} pictures of {source} can be read")
    groups = [near.groups[index] for index in kept]
    dealt = deal([samples[index] for index in kept], groups, options.ratios, options.seed)
    _write(_with_groups(dealt, groups), source, destination, options.mode)
    shared = [size for size in Counter(groups).values() if size > 1]
    return SplitSummary(destination, options, count(dealt), len(shared), sum(shared), near.unreadable)


def _with_groups(samples: Sequence[Sample], groups: Sequence[str]) -> list[Sample]:
    """Name the groups of near-duplicates, by the first of their files, where the data names none."""
    members: defaultdict[str, list[str]] = defaultdict(list)
    for name, group in zip(relative_names(samples), groups, strict=True):
        members[group].append(name)
    names = {
        group: f"near-{hashlib.sha256(min(files).encode()).hexdigest()[:12]}" if len(files) > 1 else ""
        for group, files in members.items()
    }
    return [replace(sample, group=sample.group or names[group]) for sample, group in zip(samples, groups, strict=True)]


def _refuse_overwriting(source: Path, destination: Path) -> None:
    if destination.is_file() or (destination.is_dir() and any(destination.iterdir())):
        raise DataError(f"{destination} exists already; nothing is overwritten: remove it, or give another place")
    if source.is_dir() and destination.suffix != ".csv" and destination.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{destination} lies inside of {source}; give a place beside it")


def _write(samples: Sequence[Sample], source: Path, destination: Path, mode: Mode) -> None:
    """Write beside the destination first, and move there when all is done."""
    destination = destination.absolute()
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    try:
        if mode is Mode.MANIFEST and destination.suffix == ".csv":
            write_manifest(samples, part)
        else:
            part.mkdir()
            _fill(samples, source, part, mode)
        if destination.is_dir():
            destination.rmdir()
        part.replace(destination)
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)


def _fill(samples: Sequence[Sample], source: Path, folder: Path, mode: Mode) -> None:
    if mode is Mode.MANIFEST:
        write_manifest(samples, folder / MANIFEST_NAME)
        return
    targets = [folder / name for name in _names(samples)]
    for sample, target in zip(samples, targets, strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode is Mode.COPY:
            shutil.copy2(sample.path, target)
        else:
            _link(sample.path, target)
    if source.is_file() or (source / MANIFEST_NAME).is_file():
        moved = [replace(sample, path=target) for sample, target in zip(samples, targets, strict=True)]
        write_manifest(moved, folder / MANIFEST_NAME)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        raise DataError(f"cannot link {source} ({error.strerror or error}); --mode copy works everywhere") from error


def _names(samples: Sequence[Sample]) -> list[str]:
    """Where each picture goes: its path in the source without the folder that names its class."""
    paths = [Path(name) for name in relative_names(samples)]
    short = [
        "/".join(part for part in path.parts[:-1] if LABEL_WORDS.get(part.lower()) is not sample.label)
        for path, sample in zip(paths, samples, strict=True)
    ]
    folders = [f"{sample.split}/{sample.label.name.title()}" for sample in samples]
    names = [
        "/".join(filter(None, (folder, middle, path.name)))
        for folder, middle, path in zip(folders, short, paths, strict=True)
    ]
    if len(set(names)) < len(names):
        return [f"{folder}/{path.as_posix()}" for folder, path in zip(folders, paths, strict=True)]
    return names


if __name__ == "__main__":
    # The command line lies above this layer; run as a script, this file is only another name of one command.
    sys.exit(importlib.import_module("deepfake_detector.cli.main").main(["split", *sys.argv[1:]]))
