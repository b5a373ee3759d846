"""Cuts the main face out of every picture of a folder or manifest, for use elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import DataError, InputError, MissingExtraError
from deepfake_detector.core.types import CropRule, DetectedFace, ImageArray
from deepfake_detector.faces.align import crop
from deepfake_detector.faces.find import Finder, find_faces
from deepfake_detector.media.image import load_image
from deepfake_detector.training.data.crops import Skipped, context_region, write_png
from deepfake_detector.training.data.manifest import MANIFEST_NAME, read_manifest, write_manifest
from deepfake_detector.training.data.samples import PICTURE_SUFFIXES, Progress, Sample

_CHUNK = 64


@dataclass(frozen=True, slots=True)
class CutOptions:
    """How to cut: a square of ``size`` pixels, as a network sees it, or, None, the pixels as they are.

    ``ratio`` is the side of the square over the longer side of the face box. With ``resume``, what is in the
    destination is kept. None takes the finder that the package ships.
    """

    size: int | None = None
    ratio: float = 1.1
    resume: bool = False
    finder: Finder | None = None
    workers: int = 2


@dataclass(frozen=True, slots=True)
class CutSummary:
    """How many faces were written, how many were there already, and which pictures were skipped and why."""

    written: int
    kept: int
    skipped: tuple[Skipped, ...]


def cut_faces(
    source: Path, destination: Path, options: CutOptions | None = None, progress: Progress | None = None
) -> CutSummary:
    """Write the largest face of each picture as PNG, in the same folders below ``destination``.

    With a size, each PNG is the network's input, bit for bit: what lies outside of the picture is mirrored. Without,
    it is cut at whole pixels and at the edge of the picture, so it need not be square there. For a manifest, a
    manifest of the faces is written too. Raises DataError.
    """
    options = options or CutOptions()
    _refuse_overwriting(source, destination, options.resume)
    samples, paths = _pictures(source)
    root = source if source.is_dir() else source.parent
    targets = _targets(paths, root, destination)
    todo = [(path, target) for path, target in zip(paths, targets, strict=True) if not target.is_file()]
    finder = options.finder or _shipped_finder()

    def run(job: tuple[Path, Path]) -> Skipped | None:
        return _cut(job[0], job[1], finder, options)

    skipped: list[Skipped] = []
    kept = len(paths) - len(todo)
    pool = ThreadPoolExecutor(max(options.workers, 1))
    try:
        for begin in range(0, len(todo), _CHUNK):
            for done, answer in enumerate(pool.map(run, todo[begin : begin + _CHUNK]), start=kept + begin + 1):
                skipped.extend([answer] if answer else [])
                if progress:
                    progress(done, len(paths))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if samples:
        faces = [replace(sample, path=target) for sample, target in zip(samples, targets, strict=True)]
        write_manifest([face for face in faces if face.path.is_file()], destination / MANIFEST_NAME)
    return CutSummary(len(todo) - len(skipped), kept, tuple(skipped))


def _refuse_overwriting(source: Path, destination: Path, resume: bool) -> None:
    if not source.exists():
        raise DataError(f"there is no {source}; give a folder of pictures, or a CSV manifest")
    if destination.is_file():
        raise DataError(f"{destination} is a file; give a folder")
    if destination.is_dir() and any(destination.iterdir()) and not resume:
        raise DataError(f"{destination} is not empty; give another place, or --resume to go on with it")
    if source.is_dir() and destination.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{destination} lies inside of {source}; give a place beside it")


def _pictures(source: Path) -> tuple[tuple[Sample, ...], list[Path]]:
    """The samples where there is a manifest, else none; and the pictures."""
    table = source / MANIFEST_NAME if source.is_dir() else source
    if table.is_file():
        samples = read_manifest(table).samples
        return samples, [sample.path for sample in samples]
    paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file())
    if not paths:
        raise DataError(f"{source} has no pictures")
    return (), paths


def _targets(paths: Sequence[Path], root: Path, destination: Path) -> list[Path]:
    """The same place below the destination, as PNG; two pictures that differ in the suffix only keep it."""
    places = []
    for path in paths:
        if not path.is_relative_to(root):
            raise DataError(f"{path} does not lie below {root}; put the manifest into a folder above all pictures")
        places.append(destination / path.relative_to(root))
    stems = Counter(place.with_suffix(".png") for place in places)
    return [
        place.with_name(f"{place.name}.png") if stems[place.with_suffix(".png")] > 1 else place.with_suffix(".png")
        for place in places
    ]


def _shipped_finder() -> Finder:
    from deepfake_detector.faces.mtcnn import MtcnnFinder

    return MtcnnFinder(threads=1)


def _cut(path: Path, target: Path, finder: Finder, options: CutOptions) -> Skipped | None:
    try:
        pixels = load_image(path).pixels
    except (InputError, MissingExtraError) as error:
        return Skipped(path, f"{error.code}: {error}")
    faces = find_faces(finder, pixels)
    if not faces:
        return Skipped(path, "no face was found")
    write_png(_face(pixels, faces[0], options), target)
    return None


def _face(pixels: ImageArray, face: DetectedFace, options: CutOptions) -> ImageArray:
    if options.size is not None:
        return crop(pixels, face.box, face.landmarks, CropRule(size=options.size, ratio=options.ratio))
    height, width = pixels.shape[:2]
    left, top, right, bottom = context_region(face.box, options.ratio, width, height, room=0)
    return np.ascontiguousarray(pixels[top:bottom, left:right])
