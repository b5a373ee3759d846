"""The scores of a detector for labelled pictures: of any detector, from a CSV; of one of ours, from its bundle."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.samples import Sample, common_parent
from deepfake_detector.training.evaluate import EvaluateOptions, ModelSource, crop_cache, find_model
from deepfake_detector.training.intervals import Floats
from deepfake_detector.training.predict import Progress, predict

SCORE_COLUMNS = ("score", "logit", "p_fake")
"""The first of these that a file has is taken; higher means fake in each."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectorScores:
    """A detector's ``scores`` (N,), in the order of the pictures; NaN where it gave none.

    ``foreign_rows``: lines of its file that name none of these pictures. ``chosen_by``: the sets that its run chose its
    best epoch by, as far as that is known.
    """

    name: str
    scores: Floats
    foreign_rows: int = 0
    chosen_by: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """For how many pictures there is no score."""
        return int(np.isnan(self.scores).sum())


def open_detector(name: str) -> Path | ModelSource:
    """A CSV of scores, or a bundle, a run, or a shipped model. Raises ModelError."""
    return Path(name) if name.lower().endswith(".csv") else find_model(name)


def scores_of(
    detector: Path | ModelSource, samples: Sequence[Sample], root: Path, options: EvaluateOptions, progress: Progress
) -> DetectorScores:
    """The scores of a CSV file, or those that a model gives to the main faces.

    ``root`` is the folder that relative paths in a file may begin at. Raises DataError or ModelError.
    """
    if isinstance(detector, Path):
        return read_scores(detector, samples, root)
    cache = crop_cache(detector, options)
    answers = predict(detector.bundle, samples, cache, options.settings.point, options.threads, progress)
    scores = np.array([np.nan if one.answer is None else one.answer.logit for one in answers])
    chosen_by = detector.config.data.validate_only if detector.config else ()
    return DetectorScores(detector.name, scores, chosen_by=chosen_by)


def read_scores(file: Path, samples: Sequence[Sample], root: Path) -> DetectorScores:
    """Read a CSV with the columns ``path`` and ``score`` (or ``logit``, or ``p_fake``), higher for fake.

    A path is absolute, or relative to ``root``, or to the folder that all pictures lie in, or enough of its end to tell
    it from all others. An empty score, or nan, is a missing one. Raises DataError.
    """
    places = _Places(samples, root)
    scores = np.full(len(samples), np.nan)
    seen: set[int] = set()
    foreign = 0
    for number, path, score in _rows(file):
        place = places.find(path)
        if place is None:
            foreign += 1
            continue
        if place in seen:
            raise DataError(f"{file}, line {number}: {path} has a second score; give each picture one")
        seen.add(place)
        scores[place] = score
    if not seen:
        raise DataError(
            f"no line of {file} names a picture of the data; paths begin at {root}, such as {places.example()}"
        )
    return DetectorScores(str(file), scores, foreign)


def _rows(file: Path) -> Iterator[tuple[int, str, float]]:
    """Line number, path and score."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            table = csv.DictReader(stream)
            names = table.fieldnames or ()
            column = next((name for name in SCORE_COLUMNS if name in names), None)
            if "path" not in names or column is None:
                raise DataError(
                    f"{file} has the columns {', '.join(names) or '(none)'}; it needs path, and one of "
                    f"{', '.join(SCORE_COLUMNS)}"
                )
            for row in table:
                yield table.line_num, row["path"] or "", _score(row[column], file, table.line_num)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read the scores {file}: {error}") from error


def _score(text: str | None, file: Path, line: int) -> float:
    if not (text or "").strip():
        return float("nan")
    try:
        return float(str(text))
    except ValueError:
        raise DataError(
            f"{file}, line {line}: the score {text!r} is no number; leave it empty if there is none"
        ) from None


class _Places:
    """Which picture a path means."""

    def __init__(self, samples: Sequence[Sample], root: Path) -> None:
        self._root = root.absolute()
        absolute = [sample.path.absolute() for sample in samples]
        common = common_parent(samples)
        self._exact = {path.as_posix(): place for place, path in enumerate(absolute)}
        for base in (common, self._root):  # the root wins
            for place, path in enumerate(absolute):
                if path.is_relative_to(base):
                    self._exact[path.relative_to(base).as_posix()] = place
        self._ends = _unique_ends(absolute)

    def find(self, text: str) -> int | None:
        """The number of the picture, or None."""
        path = PurePosixPath(text.strip().replace("\\", "/")).as_posix().removeprefix("./")
        return self._exact.get(path, self._ends.get(path))

    def example(self) -> str:
        """A path that would be understood."""
        return min((path for path in self._exact if not path.startswith("/")), key=len, default="(no picture)")


def _unique_ends(paths: Sequence[Path]) -> Mapping[str, int]:
    """The ends of paths that belong to one picture only."""
    ends: dict[str, int] = {}
    several: set[str] = set()
    for place, path in enumerate(paths):
        parts = path.parts[1:]
        for begin in range(len(parts)):
            end = "/".join(parts[begin:])
            if ends.setdefault(end, place) != place:
                several.add(end)
    return {end: place for end, place in ends.items() if end not in several}
