"""Finds the main face of each picture once, and keeps the pixels around it in a lossless cache."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from deepfake_detector.core.errors import DataError, InputError, MissingExtraError
from deepfake_detector.core.types import Box, CropMode, CropRule, ImageArray, Landmarks
from deepfake_detector.training.data.crop_index import Entry, EntryLog, Key
from deepfake_detector.training.data.samples import Progress, Sample

if TYPE_CHECKING:
    from deepfake_detector.faces.find import Finder

MARGIN = 2.2
"""Side of the cached square over the longer side of the finder's box: room for a turned, moved and wider crop."""

_CHUNK = 64


@dataclass(frozen=True, slots=True)
class CachedCrop:
    """Where the pixels around the main face of a sample are.

    ``file`` is a PNG of shape (height, width); ``box`` and ``landmarks`` are in its pixels, ``left`` and ``top`` say
    where it lay in the upright picture. With ``whole``, ``file`` is the picture itself and ``box`` is all of it.
    """

    file: Path
    sample: Sample
    box: Box
    landmarks: Landmarks | None
    whole: bool
    width: int
    height: int
    left: int = 0
    top: int = 0


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture that cannot be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class CropIndex:
    """All usable pictures, in the order of the samples, and the skipped ones; ``reused`` came from the cache."""

    crops: tuple[CachedCrop, ...]
    skipped: tuple[Skipped, ...]
    reused: int

    def reasons(self) -> Mapping[str, int]:
        """How many pictures were skipped for which reason (the part before the colon)."""
        return Counter(skip.reason.split(":")[0] for skip in self.skipped)


@dataclass(frozen=True, slots=True)
class CropOptions:
    """How to find and cut: None takes the finder that the package ships.

    ``finder_version`` names a finder that is given; the cache holds what each version found apart.
    """

    finder: Finder | None = None
    finder_version: str = ""
    margin: float = MARGIN
    workers: int = 2


def build_crops(
    samples: Sequence[Sample],
    rule: CropRule,
    cache: Path,
    options: CropOptions | None = None,
    progress: Progress | None = None,
) -> CropIndex:
    """Find the largest face of each picture and cache the region around it as PNG, at the picture's own resolution.

    The region is cut at whole pixels, so that ``faces.align.crop`` gives the same crop, bit for bit, from it as from
    the picture. Whole-picture mode only checks that the pictures can be read. Pictures whose size and time stamp are
    as in the index are not opened again. May be interrupted: what is done is kept. Raises DataError if nothing is left.
    """
    options = options or CropOptions()
    worker = _Worker(cache, rule, options)
    log = worker.log
    entries, fresh = log.current([sample.path for sample in samples])
    done = len(samples) - len(fresh)
    if progress:
        progress(done, len(samples))
    for path, entry in zip(fresh, _each(worker, fresh, options.workers), strict=True):
        log.append(entry)
        entries[path] = entry
        done += 1
        if progress:
            progress(done, len(samples))
    return _index(samples, entries, worker, len(samples) - len(fresh))


def read_cached(crop: CachedCrop) -> ImageArray:
    """The cached pixels (height, width, 3), uint8 RGB. Raises DataError if the cache has been damaged."""
    if crop.whole:
        return _load(crop.file.read_bytes())
    pixels = cv2.imread(str(crop.file), cv2.IMREAD_COLOR)
    if pixels is None:
        raise DataError(f"the cached crop {crop.file} is missing or damaged; delete it and start again")
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def context_region(box: Box, margin: float, width: int, height: int, room: int = 2) -> tuple[int, int, int, int]:
    """The whole pixels of a square around a face, inside of the picture: left, top, right, bottom (both exclusive).

    Its side is ``margin`` times the longer side of the box, and ``room`` pixels more on each side.
    """
    half = box.long_side * margin / 2.0
    cx, cy = box.center
    left, top = max(0, math.floor(cx - half) - room), max(0, math.floor(cy - half) - room)
    return left, top, min(width, math.ceil(cx + half) + room), min(height, math.ceil(cy + half) + room)


def write_png(pixels: ImageArray, file: Path) -> None:
    """Write uint8 RGB as PNG, quickly and whole: the file is there complete, or not at all. Raises DataError."""
    good, encoded = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not good:
        raise DataError(f"cannot encode {file} as PNG; its shape is {pixels.shape}")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}")
    part.write_bytes(encoded.tobytes())
    part.replace(file)


class _Worker:
    """Turns one picture into an index entry and, in face mode, a cached PNG; used by several threads at once."""

    def __init__(self, cache: Path, rule: CropRule, options: CropOptions) -> None:
        self.whole = rule.mode is CropMode.WHOLE
        self.margin = max(options.margin, 2.0 * rule.ratio)
        self._finder: Finder | None = options.finder
        self._lock = threading.Lock()
        version = options.finder_version if options.finder else shipped_finder_version()
        key = Key("whole", "", 0.0) if self.whole else Key("face", version, self.margin)
        self.folder = cache / key.folder
        self.log = EntryLog(self.folder, key)

    def __call__(self, path: Path) -> Entry:
        try:
            status = path.stat()
            data = path.read_bytes()
        except OSError as error:
            return Entry(str(path), 0, 0, "", reason=f"unreadable: {error.strerror or error}")
        sha256 = hashlib.sha256(data).hexdigest()
        entry = self.log.same_content(sha256)
        if entry is None:
            entry = self._look(data, sha256)
        return entry.moved(str(path), status.st_size, status.st_mtime_ns)

    def _look(self, data: bytes, sha256: str) -> Entry:
        try:
            pixels = _load(data)
        except (InputError, MissingExtraError) as error:
            return Entry("", 0, 0, sha256, reason=f"{error.code}: {error}")
        height, width = pixels.shape[:2]
        if self.whole:
            return Entry("", 0, 0, sha256, width=width, height=height, box=(0.0, 0.0, float(width), float(height)))
        from deepfake_detector.faces.find import find_faces

        faces = find_faces(self._find_with(), pixels)
        if not faces:
            return Entry("", 0, 0, sha256, reason="no face was found")
        face = faces[0]
        left, top, right, bottom = context_region(face.box, self.margin, width, height)
        if right - left < 2 or bottom - top < 2:
            return Entry("", 0, 0, sha256, reason="no face was found inside of the picture")
        name = f"crops/{sha256[:2]}/{sha256[:32]}.png"
        write_png(np.ascontiguousarray(pixels[top:bottom, left:right]), self.folder / name)
        return Entry(
            *("", 0, 0, sha256, name),
            *(right - left, bottom - top, left, top),
            box=(face.box.x, face.box.y, face.box.w, face.box.h),
            landmarks=tuple(float(value) for point in _points(face.landmarks) for value in point),
        )

    def _find_with(self) -> Finder:
        with self._lock:
            if self._finder is None:
                from deepfake_detector.faces.mtcnn import MtcnnFinder

                # One thread for each session: the pictures are what runs side by side.
                self._finder = MtcnnFinder(threads=1)
            return self._finder


def shipped_finder_version() -> str:
    """Names the finder that the package ships, by its version and the hashes of its networks."""
    from deepfake_detector.faces.mtcnn import FINDER_VERSION, PINS

    pins = "".join(PINS[name] for name in sorted(PINS))
    return f"{FINDER_VERSION}-{hashlib.sha256(pins.encode()).hexdigest()[:12]}"


def _each(worker: _Worker, paths: Sequence[Path], workers: int) -> Iterator[Entry]:
    pool = ThreadPoolExecutor(max(workers, 1))
    try:
        # In chunks, so that an interruption waits for a few pictures and not for all.
        for begin in range(0, len(paths), _CHUNK):
            yield from pool.map(worker, paths[begin : begin + _CHUNK])
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _load(data: bytes) -> ImageArray:
    from deepfake_detector.media.image import load_image

    return load_image(data).pixels


def _points(landmarks: Landmarks) -> tuple[tuple[float, float], ...]:
    marks = landmarks
    return marks.left_eye, marks.right_eye, marks.nose, marks.left_mouth, marks.right_mouth


def _index(samples: Sequence[Sample], entries: Mapping[Path, Entry], worker: _Worker, reused: int) -> CropIndex:
    crops: list[CachedCrop] = []
    skipped: list[Skipped] = []
    for sample in samples:
        entry = entries[sample.path]
        if entry.reason:
            skipped.append(Skipped(sample.path, entry.reason))
        else:
            crops.append(_crop(sample, entry, worker))
    index = CropIndex(tuple(crops), tuple(skipped), reused)
    if not crops:
        why = ", ".join(f"{count} × {reason}" for reason, count in index.reasons().items()) or "there are no pictures"
        raise DataError(f"no picture can be used: {why}")
    return index


def _crop(sample: Sample, entry: Entry, worker: _Worker) -> CachedCrop:
    file = sample.path if worker.whole else worker.folder / entry.file
    x, y, w, h = entry.box
    numbers = entry.landmarks
    points = [(numbers[i] - entry.left, numbers[i + 1] - entry.top) for i in range(0, len(numbers), 2)]
    return CachedCrop(
        file=file,
        sample=sample,
        box=Box(x - entry.left, y - entry.top, w, h),
        landmarks=Landmarks(*points) if points else None,
        whole=worker.whole,
        width=entry.width,
        height=entry.height,
        left=entry.left,
        top=entry.top,
    )
