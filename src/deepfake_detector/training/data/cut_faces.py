"""Cuts the main face out of every picture, and out of some frames of every clip, of a folder or manifest."""

from __future__ import annotations

import shutil
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
from deepfake_detector.training.data.manifest import MANIFEST_NAME, read_folder, read_manifest, write_manifest
from deepfake_detector.training.data.samples import CLIP_SUFFIXES, PICTURE_SUFFIXES, Progress, Sample, is_clip

_CHUNK = 64


@dataclass(frozen=True, slots=True)
class CutOptions:
    """How to cut: a square of ``size`` pixels, as a network sees it, or, None, the pixels as they are.

    ``ratio`` is the side of the square over the longer side of the face box; ``frames`` of each clip are looked at.
    With ``resume``, what is in the destination is kept. None takes the finder that the package ships.
    """

    size: int | None = None
    ratio: float = 1.1
    frames: int = 8
    resume: bool = False
    finder: Finder | None = None
    workers: int = 2


@dataclass(frozen=True, slots=True)
class CutSummary:
    """How many faces were written, how many files were done already, and which were skipped and why."""

    written: int
    kept: int
    skipped: tuple[Skipped, ...]


def cut_faces(
    source: Path, destination: Path, options: CutOptions | None = None, progress: Progress | None = None
) -> CutSummary:
    """Write the largest face of each picture as PNG, in the same folders below ``destination``.

    A clip becomes a folder with a face from each of ``frames`` frames, evenly over its length; frames without a face
    are left out. With a size, each PNG is the network's input, bit for bit: what lies outside of the picture is
    mirrored. Without, it is cut at whole pixels and at the edge of the picture, so it need not be square there.

    For a manifest, a published set, and for Real and Fake folders with clips, a manifest of the faces is written, too;
    the faces of one clip are of one group there. Raises DataError, and MissingExtraError for clips without [video].
    """
    options = options or CutOptions()
    _refuse_overwriting(source, destination, options.resume)
    samples, paths = _listed(source)
    targets = _targets(paths, source if source.is_dir() else source.parent, destination)
    todo = [(path, target) for path, target in zip(paths, targets, strict=True) if not target.exists()]
    finder = options.finder or _shipped_finder()

    def run(job: tuple[Path, Path]) -> int | Skipped:
        return (_cut_clip if is_clip(job[0]) else _cut)(*job, finder, options)

    answers: list[int | Skipped] = []
    kept = len(paths) - len(todo)
    pool = ThreadPoolExecutor(max(options.workers, 1))
    try:
        for begin in range(0, len(todo), _CHUNK):
            for answer in pool.map(run, todo[begin : begin + _CHUNK]):
                answers.append(answer)
                if progress:
                    progress(kept + len(answers), len(paths))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if samples:
        write_manifest(_faces_of(samples, targets, source), destination / MANIFEST_NAME)
    skipped = tuple(answer for answer in answers if isinstance(answer, Skipped))
    return CutSummary(sum(answer for answer in answers if isinstance(answer, int)), kept, skipped)


def _refuse_overwriting(source: Path, destination: Path, resume: bool) -> None:
    if not source.exists():
        raise DataError(f"there is no {source}; give a folder of pictures, or a CSV manifest")
    if destination.is_file():
        raise DataError(f"{destination} is a file; give a folder")
    if destination.is_dir() and any(destination.iterdir()) and not resume:
        raise DataError(f"{destination} is not empty; give another place, or --resume to go on with it")
    if source.is_dir() and destination.resolve().is_relative_to(source.resolve()):
        raise DataError(f"{destination} lies inside of {source}; give a place beside it")


def _listed(source: Path) -> tuple[tuple[Sample, ...], list[Path]]:
    """The samples where labels and groups are to be kept, else none; and the pictures and clips."""
    table = source / MANIFEST_NAME if source.is_dir() else source
    samples: tuple[Sample, ...] = ()
    if table.is_file():
        samples = read_manifest(table, clips=True).samples
    else:
        suffixes = PICTURE_SUFFIXES | CLIP_SUFFIXES
        paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
        if not paths:
            raise DataError(f"{source} has no pictures and no clips")
        try:
            samples = read_folder(source, clips=True)
        except DataError:  # no labels; it need not have any
            return (), paths
        if not any(sample.set != source.resolve().name or is_clip(sample.path) for sample in samples):
            return (), paths  # the folders of the destination say all
    return samples, [sample.path for sample in samples]


def _faces_of(samples: Sequence[Sample], targets: Sequence[Path], source: Path) -> list[Sample]:
    """The faces that were cut: one of a picture, some of a clip, which are of one group."""
    root = source if source.is_dir() else source.parent
    faces = []
    for sample, target in zip(samples, targets, strict=True):
        if is_clip(sample.path):
            group = sample.group or sample.path.relative_to(root).as_posix()
            faces += [replace(sample, path=path, group=group) for path in sorted(target.glob("*.png"))]
        elif target.is_file():
            faces.append(replace(sample, path=target))
    return faces


def _targets(paths: Sequence[Path], root: Path, destination: Path) -> list[Path]:
    """The same place below the destination, as PNG; two files that differ in the suffix only keep it.

    That of a clip is a folder.
    """
    places = []
    for path in paths:
        if not path.is_relative_to(root):
            raise DataError(f"{path} does not lie below {root}; put the manifest into a folder above all pictures")
        places.append(destination / path.relative_to(root))
    stems = Counter(place.with_suffix("") for place in places)
    bare = [place if stems[place.with_suffix("")] > 1 else place.with_suffix("") for place in places]
    return [
        place if is_clip(path) else place.with_name(f"{place.name}.png")
        for path, place in zip(paths, bare, strict=True)
    ]


def _shipped_finder() -> Finder:
    from deepfake_detector.faces.mtcnn import MtcnnFinder

    return MtcnnFinder(threads=1)


def _cut(path: Path, target: Path, finder: Finder, options: CutOptions) -> int | Skipped:
    try:
        pixels = load_image(path).pixels
    except (InputError, MissingExtraError) as error:
        return Skipped(path, f"{error.code}: {error}")
    faces = find_faces(finder, pixels)
    if not faces:
        return Skipped(path, "no face was found")
    write_png(_face(pixels, faces[0], options), target)
    return 1


def _cut_clip(path: Path, target: Path, finder: Finder, options: CutOptions) -> int | Skipped:
    """Fill a folder beside the target, and give it its name when it is whole."""
    from deepfake_detector.media.sampling import Sampling
    from deepfake_detector.media.video import open_video

    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    written = 0
    try:
        with open_video(path) as video:
            for frame in video.frames(Sampling(frames=options.frames)):
                faces = find_faces(finder, frame.pixels)
                if faces:
                    write_png(_face(frame.pixels, faces[0], options), part / f"{frame.index:04d}.png")
                    written += 1
    except InputError as error:
        shutil.rmtree(part, ignore_errors=True)
        return Skipped(path, f"{error.code}: {error}")
    if not written:
        return Skipped(path, "no face was found")
    part.replace(target)
    return written


def _face(pixels: ImageArray, face: DetectedFace, options: CutOptions) -> ImageArray:
    if options.size is not None:
        return crop(pixels, face.box, face.landmarks, CropRule(size=options.size, ratio=options.ratio))
    height, width = pixels.shape[:2]
    left, top, right, bottom = context_region(face.box, options.ratio, width, height, room=0)
    return np.ascontiguousarray(pixels[top:bottom, left:right])
