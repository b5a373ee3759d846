"""Reads a set of labelled pictures: a CSV manifest, a split tree, or plain Real and Fake folders."""

from __future__ import annotations

import csv
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Kind
from deepfake_detector.training.data.grouping import DEFAULT_RATIOS, Ratios, near_duplicates, stratify
from deepfake_detector.training.data.layouts import read_published
from deepfake_detector.training.data.samples import (
    CLIP_SUFFIXES,
    LABEL_WORDS,
    PICTURE_SUFFIXES,
    SPLITS,
    Label,
    Sample,
    SetCount,
    Split,
    count,
    fingerprint,
    is_clip,
    near_miss,
    relative_names,
    select,
)

__all__ = [
    "SPLITS",
    "Label",
    "Manifest",
    "Sample",
    "SetCount",
    "Split",
    "assign_splits",
    "count",
    "deal",
    "fingerprint",
    "read_data",
    "read_manifest",
    "read_samples",
    "select",
    "write_manifest",
]

T = TypeVar("T")

logger = logging.getLogger(__name__)

MANIFEST_NAME = "manifest.csv"
_COLUMNS = ("path", "label", "kind", "set", "method", "group", "split")
_SHOWN = 5


_SPLIT_NAMES = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
}


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest lists: the pictures, and how many rows are no pictures (videos, say), by suffix."""

    samples: tuple[Sample, ...]
    left_out: Mapping[str, int]


def read_data(source: Path, ratios: Ratios = DEFAULT_RATIOS, seed: int = 0) -> tuple[Sample, ...]:
    """The pictures of a CSV manifest, or of a folder, each with its split.

    A folder holds a ``manifest.csv``; or is a published set (see ``layouts``); or holds ``Train``, ``Validation`` and
    ``Test``, each with ``Real`` and ``Fake``; or just ``Real`` and ``Fake``. Data without a split is split by
    ``ratios`` (train, val, test) and ``seed``, as ``deepfake split`` does it. Raises DataError.
    """
    samples = read_samples(source)
    unsplit = sum(sample.split is None for sample in samples)
    if not unsplit:
        return samples
    if unsplit < len(samples):
        raise DataError(f"{source}: {unsplit} of {len(samples)} rows have no split; fill the column, or leave it out")
    return assign_splits(samples, ratios, seed)


def read_samples(source: Path) -> tuple[Sample, ...]:
    """As ``read_data``, but data without a split keeps ``split`` None. Raises DataError."""
    if not source.exists():
        raise DataError(f"there is no {source}; give a folder with Real and Fake pictures, or a CSV manifest")
    if source.is_file():
        table: Path | None = source
    else:
        table = source / MANIFEST_NAME if (source / MANIFEST_NAME).is_file() else None
    if table is None:
        samples = read_folder(source)
        if any(is_clip(sample.path) for sample in samples):
            raise DataError(f"{source} holds clips; cut their faces first: deepfake faces {source} FACES --ratio 2.2")
    else:
        manifest = read_manifest(table)
        samples = manifest.samples
        if manifest.left_out:
            kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(manifest.left_out.items()))
            logger.warning("%s: left out rows that are no pictures: %s", table, kinds)
    _need_both_classes(samples, source)
    return samples


def assign_splits(samples: Sequence[Sample], ratios: Ratios, seed: int) -> tuple[Sample, ...]:
    """Give each sample a split: stratified by set and class, groups and near-duplicates on one side.

    Depends on the pictures, groups and file names, not on their order. Pictures that cannot be read are placed
    by their name alone.
    """
    near = near_duplicates([sample.path for sample in samples], [sample.group for sample in samples])
    return deal(samples, near.groups, ratios, seed)


def deal(samples: Sequence[Sample], groups: Sequence[str], ratios: Ratios, seed: int) -> tuple[Sample, ...]:
    """Give each sample a split, with the groups that were found. Raises DataError if the ratios are no shares."""
    strata = [f"{sample.set}/{sample.label.name}" for sample in samples]
    sides = stratify(relative_names(samples), strata, groups, ratios, seed)
    return tuple(replace(sample, split=SPLITS[side]) for sample, side in zip(samples, sides, strict=True))


def read_manifest(table: Path, clips: bool = False) -> Manifest:
    """Read a CSV manifest: columns path, label and optionally kind, set, method, group, split; more are ignored.

    Paths are relative to the CSV. ``kind`` may be empty or ``real`` for reals. Rows that name no picture file are
    counted and left out; with ``clips``, those of clips stay. Raises DataError for unknown words and missing files.
    """
    suffixes = PICTURE_SUFFIXES | CLIP_SUFFIXES if clips else PICTURE_SUFFIXES
    samples: list[Sample] = []
    left_out: Counter[str] = Counter()
    for line, row in _rows(table):
        path = Path(os.path.normpath(table.parent / row["path"]))
        if path.suffix.lower() not in suffixes:
            left_out[path.suffix.lower() or "(no suffix)"] += 1
            continue
        samples.append(_sample(row, path, f"{table}, line {line}"))
    missing = [sample.path for sample in samples if not sample.path.is_file()]
    if missing:
        raise DataError(
            f"{table}: {len(missing)} of {len(samples)} files are missing: {_named(missing)}; "
            "paths are relative to the manifest's folder"
        )
    doubled = [path for path, count in Counter(sample.path for sample in samples).items() if count > 1]
    if doubled:
        raise DataError(f"{table}: {len(doubled)} files are listed twice: {_named(doubled)}")
    return Manifest(tuple(samples), dict(left_out))


def write_manifest(samples: Iterable[Sample], table: Path) -> None:
    """Write a CSV that ``read_manifest`` reads; paths are written relative to its folder."""
    with table.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(_COLUMNS)
        for sample in samples:
            relative = Path(os.path.relpath(sample.path.absolute(), table.parent.absolute())).as_posix()
            label = sample.label.name.lower()
            kind = sample.kind.value if sample.kind else ""
            writer.writerow([relative, label, kind, sample.set, sample.method, sample.group, sample.split or ""])


def _rows(table: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, restval="")
            columns = reader.fieldnames or []
            for needed in ("path", "label"):
                if needed not in columns:
                    raise DataError(f"{table} has no column {needed!r}; its columns are {', '.join(columns) or 'none'}")
            for row in reader:
                if not row["path"]:
                    raise DataError(f"{table}, line {reader.line_num}: the path is empty")
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {table} as a CSV manifest in UTF-8: {error}") from error


def _sample(row: Mapping[str, str], path: Path, place: str) -> Sample:
    label = _word(row["label"], LABEL_WORDS, "label", place)
    kind_word = row.get("kind", "").strip().lower()
    kind = None
    if kind_word and not (label is Label.REAL and kind_word == "real"):
        kind = _word(kind_word, {kind.value: kind for kind in Kind}, "kind", place)
        if label is Label.REAL:
            raise DataError(f"{place}: a real picture has the kind {kind_word!r}; leave it empty")
    split_word = row.get("split", "").strip()
    split = _word(split_word, _SPLIT_NAMES, "split", place) if split_word else None
    return Sample(path, label, kind, row.get("set", ""), row.get("method", ""), row.get("group", ""), split)


def _word(word: str, known: Mapping[str, T], what: str, place: str) -> T:
    value = known.get(word.strip().lower())
    if value is None:
        names = sorted(known)
        raise DataError(f"{place}: unknown {what} {word!r}{near_miss(word, names)}; known are {', '.join(names)}")
    return value


def _named(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(str(path) for path in paths[:_SHOWN]) + more


def read_folder(root: Path, clips: bool = False) -> tuple[Sample, ...]:
    """The pictures of a published set, a split tree, or Real and Fake folders, and with ``clips`` the clips, too.

    Clips of published sets are always given. Raises DataError.
    """
    published = read_published(root)
    if published:
        return published
    suffixes = PICTURE_SUFFIXES | CLIP_SUFFIXES if clips else PICTURE_SUFFIXES
    splits = _known_folders(root, _SPLIT_NAMES)
    if not splits:
        return tuple(_read_classes(root, root.resolve().name, None, suffixes))
    samples: list[Sample] = []
    for folder, split in splits:
        part = list(_read_classes(folder, root.resolve().name, split, suffixes))
        _need_both_classes(part, folder)
        samples.extend(part)
    return tuple(samples)


def _read_classes(root: Path, name: str, split: Split | None, suffixes: frozenset[str]) -> Iterator[Sample]:
    classes = _known_folders(root, LABEL_WORDS)
    found = {label for _, label in classes}
    for label in Label:
        if label not in found:
            folders = sorted(path.name for path in root.iterdir() if path.is_dir())
            hint = near_miss(label.name, folders)
            raise DataError(
                f"{root} has no folder {label.name.title()!r}{hint}; it needs Real and Fake, "
                f"or Train, Validation and Test with Real and Fake in each, or a {MANIFEST_NAME}; "
                f"it has the folders {', '.join(folders) or '(none)'}"
            )
    for folder, label in classes:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in suffixes and path.is_file():
                yield Sample(path, label, set=name, split=split)


def _known_folders(root: Path, names: Mapping[str, T]) -> list[tuple[Path, T]]:
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    return [(path, names[path.name.lower()]) for path in folders if path.name.lower() in names]


def _need_both_classes(samples: Sequence[Sample], source: Path) -> None:
    for label in Label:
        if not any(sample.label is label for sample in samples):
            raise DataError(f"{source} has no {label.name.lower()} pictures; both classes are needed")
