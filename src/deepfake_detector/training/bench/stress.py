"""Changes whole pictures in many ways, cuts the face again each time, and asks the model what it says now."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from deepfake_detector.core.types import CropMode, CropRule, OperatingPoint
from deepfake_detector.media.image import load_image
from deepfake_detector.scoring.bundle import Bundle
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.bench.changes import CHANGES, Change, moved
from deepfake_detector.training.data.crops import CachedCrop, build_crops
from deepfake_detector.training.data.samples import Sample
from deepfake_detector.training.predict import Answer, CutFace, Prediction, Progress, View, bounds, cut, judge

if TYPE_CHECKING:
    from deepfake_detector.faces.find import Finder

PICTURES_AT_ONCE = 8
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Stress:
    """How to change and to look: ``find_again`` looks for the face in each changed picture, as ``detect`` does.

    Else the face is where it was found in the unchanged picture, moved along with the pixels.
    """

    changes: tuple[Change, ...] = CHANGES
    seed: int = 0
    find_again: bool = False
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Stressed:
    """What the model says of the pictures as they are, and under each change; None: no face is found any more.

    ``answers[k][n]`` is of change k and picture n of ``clean``, which all have an answer; ``skipped`` are the others.
    """

    changes: tuple[Change, ...]
    clean: tuple[Prediction, ...]
    answers: tuple[tuple[Answer | None, ...], ...]
    skipped: tuple[Prediction, ...]


def stress(
    bundle: Bundle,
    samples: Sequence[Sample],
    cache: Path,
    point: OperatingPoint,
    how: Stress,
    progress: Progress = lambda what, done, total: None,
) -> Stressed:
    """Ask the model about each picture as it is and under each change; the same seed gives the same answers.

    Raises DataError if no picture can be used, ModelError if the model does not answer.
    """
    rule = bundle.card.input.rule()
    index = build_crops(samples, rule, cache, progress=lambda done, total: progress("finding faces", done, total))
    scorer, limits = Scorer(bundle, how.threads), bounds(bundle.card.calibration, point)
    work = _Work(rule, how)
    rows: list[list[Answer | None]] = []
    with ThreadPoolExecutor(WORKERS) as pool:
        for begin in range(0, len(index.crops), PICTURES_AT_ONCE):
            for faces in pool.map(work, index.crops[begin : begin + PICTURES_AT_ONCE]):
                said = iter(judge([face for face in faces if face is not None], scorer, limits))
                rows.append([None if face is None else next(said) for face in faces])
            progress("changing and scoring", len(rows), len(index.crops))
    return Stressed(
        changes=how.changes,
        clean=tuple(Prediction(item.sample, row[0]) for item, row in zip(index.crops, rows, strict=True)),
        answers=tuple(tuple(row[number] for row in rows) for number in range(1, len(how.changes) + 1)),
        skipped=_skipped(samples, {skip.path: skip.reason for skip in index.skipped}),
    )


def _skipped(samples: Sequence[Sample], reasons: dict[Path, str]) -> tuple[Prediction, ...]:
    return tuple(Prediction(one, None, reasons[one.path]) for one in samples if one.path in reasons)


class _Work:
    """From a picture to the faces as the network gets them: unchanged first, then after each change."""

    def __init__(self, rule: CropRule, how: Stress) -> None:
        self._rule, self._how = rule, how
        self._finder: Finder | None = None
        if how.find_again and rule.mode is not CropMode.WHOLE:
            from deepfake_detector.faces.mtcnn import MtcnnFinder

            self._finder = MtcnnFinder(threads=1)

    def __call__(self, item: CachedCrop) -> list[CutFace | None]:
        return list(self._faces(item))

    def _faces(self, item: CachedCrop) -> Iterator[CutFace | None]:
        data = item.sample.path.read_bytes()
        in_picture = np.array([[1.0, 0.0, item.left], [0.0, 1.0, item.top]])
        pixels = load_image(data).pixels
        view = moved(View(pixels, item.box, item.landmarks), pixels, in_picture)
        yield cut(view, self._rule)
        content = int.from_bytes(hashlib.sha256(data).digest()[:8])
        for change in self._how.changes:
            # Of the picture and the change alone: neither their order nor the choice of pictures matters.
            rng = np.random.default_rng([self._how.seed, content, zlib.crc32(change.name.encode())])
            changed = self._placed(change.apply(view, rng))
            yield None if changed is None else cut(changed, self._rule)

    def _placed(self, view: View) -> View | None:
        """The view with the face where it is found now, if it is to be looked for."""
        if self._rule.mode is CropMode.WHOLE:
            height, width = view.pixels.shape[:2]
            return replace(view, box=replace(view.box, x=0.0, y=0.0, w=float(width), h=float(height)))
        if self._finder is None:
            return view
        from deepfake_detector.faces.find import find_faces

        faces = find_faces(self._finder, view.pixels)
        return View(view.pixels, faces[0].box, faces[0].landmarks) if faces else None
