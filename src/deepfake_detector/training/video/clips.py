"""Reads labelled clips, and what the frame model says of each: once, then from a cache."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import DataError, InputError
from deepfake_detector.core.types import FloatArray
from deepfake_detector.core.video import Observation
from deepfake_detector.scoring.sequence import frame_rows
from deepfake_detector.training.checkpoint import write_whole
from deepfake_detector.training.data.manifest import MANIFEST_NAME, deal, read_folder, read_manifest
from deepfake_detector.training.data.samples import Label, Sample, Split, is_clip, select
from deepfake_detector.training.video.config import ClipDataConfig

logger = logging.getLogger(__name__)

FEWEST_FRAMES = 3
NO_PERSON = "no person in three frames"

Watch = Callable[[Path], tuple[Observation, ...]]
"""Gives the frames of the person that is seen in most frames of a clip, the earliest first; empty if there is nobody.

Raises InputError for a clip that cannot be read.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A clip, and what the frame model says of its frames: ``rows`` (T, channels), see ``scoring.sequence``."""

    sample: Sample
    rows: FloatArray


@dataclass(frozen=True, slots=True)
class Clips:
    """The clips that can be used, and why the others cannot."""

    all: tuple[Clip, ...]
    skipped: Mapping[Path, str]

    def of(self, split: Split) -> tuple[Clip, ...]:
        """Those of one side."""
        return tuple(clip for clip in self.all if clip.sample.split is split)


def read_clips(config: ClipDataConfig) -> tuple[Sample, ...]:
    """The labelled clips of a folder or manifest, each with its split; clips of one ``group`` stay on one side.

    Raises DataError.
    """
    samples = select(_listed(config.source), config.sets or (), config.exclude)
    unsplit = sum(sample.split is None for sample in samples)
    if unsplit and unsplit < len(samples):
        raise DataError(
            f"{config.source}: {unsplit} of {len(samples)} clips have no split; fill the column, or leave it out"
        )
    if unsplit:
        groups = [sample.group or str(sample.path) for sample in samples]
        samples = deal(samples, groups, config.ratios, config.split_seed)
    for split in (Split.TRAIN, Split.VAL):
        for label in Label:
            if not any(sample.split is split and sample.label is label for sample in samples):
                raise DataError(
                    f"{config.source} has no {label.name.lower()} clips in {split}; both classes are needed in train "
                    "and val. Add clips, or change data.ratios or data.split_seed"
                )
    return samples


def _listed(source: Path) -> tuple[Sample, ...]:
    """The clips of a manifest or folder; pictures beside them are left alone."""
    table = source / MANIFEST_NAME if source.is_dir() else source
    if not source.exists():
        raise DataError(f"there is no {source}; give a folder with Real and Fake clips, or a CSV manifest")
    samples = read_manifest(table, clips=True).samples if table.is_file() else read_folder(source, clips=True)
    return tuple(sample for sample in samples if is_clip(sample.path))


def watch_clips(samples: Sequence[Sample], watch: Watch, folder: Path) -> Clips:
    """What the frame model says of each clip; ``folder`` keeps it, and must be for one frame model and one sampling."""
    clips: list[Clip] = []
    skipped: dict[Path, str] = {}
    for number, sample in enumerate(samples, 1):
        file = folder / f"{_sha256(sample.path)}.npz"
        try:
            rows = _read(file) if file.is_file() else _watched(sample.path, watch, file)
        except InputError as error:
            skipped[sample.path] = f"{error.code}: {error}"
            continue
        if len(rows) < FEWEST_FRAMES:
            skipped[sample.path] = NO_PERSON
            continue
        clips.append(Clip(sample, rows))
        logger.info("%d of %d clips: %s, %d frames", number, len(samples), sample.path.name, len(rows))
    return Clips(tuple(clips), skipped)


def _watched(path: Path, watch: Watch, file: Path) -> FloatArray:
    observations = watch(path)
    rows = frame_rows(observations) if observations else np.zeros((0, 0), dtype=np.float32)

    def write(part: Path) -> None:
        with part.open("wb") as stream:
            np.savez_compressed(stream, rows=rows)

    write_whole(file, write)
    return rows


def _read(file: Path) -> FloatArray:
    with np.load(file, allow_pickle=False) as content:
        rows: FloatArray = content["rows"]
    return rows


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
