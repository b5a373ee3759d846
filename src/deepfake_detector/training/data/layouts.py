"""Recognises published data sets by their folders, and reads their labels, groups and official splits."""

from __future__ import annotations

import csv
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Kind
from deepfake_detector.training.data.grouping import stratify
from deepfake_detector.training.data.samples import (
    CLIP_SUFFIXES,
    LABEL_WORDS,
    PICTURE_SUFFIXES,
    SPLITS,
    Label,
    Sample,
    Split,
    is_clip,
)

logger = logging.getLogger(__name__)


_VAL_SHARE = 0.1
"""Celeb-DF names its test clips only; so much of the others validates."""
_FFPP_SPLITS = ("", "splits", "dataset/splits")
_FFPP_SIDES = {Split.TRAIN: "train.json", Split.VAL: "val.json", Split.TEST: "test.json"}
_FFPP_QUALITIES = ("c23", "raw", "c0", "c40")
_FFPP_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
_CELEB_LIST = "List_of_testing_videos.txt"
_CELEB_FOLDERS = {"celeb-real": Label.REAL, "youtube-real": Label.REAL, "celeb-synthesis": Label.FAKE}
_FACES_140K = Path("real_vs_fake") / "real-vs-fake"
_FRAMES = ("frames", "images", "videos", "")
"""Where below a class the clips, or frames that somebody cut out of them, may lie; the first that exists counts."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A published set: how its root is told, and how it is read."""

    name: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path], list[Sample]]


def read_published(root: Path) -> tuple[Sample, ...]:
    """The pictures or clips of a published set whose folder this is; empty if it is none. Raises DataError.

    Known are Kaggle's ``deepfake-and-real-images`` and ``140k-real-and-fake-faces``, FaceForensics++ and Celeb-DF.
    """
    for layout in LAYOUTS:
        if layout.recognise(root):
            return tuple(layout.read(root))
    return ()


def _kaggle(root: Path) -> list[Sample]:
    """Karki's set: ``Dataset/{Train,Validation,Test}/{Real,Fake}``, 256 px faces made from OpenForensics."""
    sides = {"Train": Split.TRAIN, "Validation": Split.VAL, "Test": Split.TEST}
    name = "deepfake-and-real-images"
    return [
        Sample(path, label, set=name, split=split)
        for folder, split in sides.items()
        for word, label in (("Real", Label.REAL), ("Fake", Label.FAKE))
        for path in _files(root / "Dataset" / folder / word, PICTURE_SUFFIXES)
    ]


def _faces_140k(root: Path) -> list[Sample]:
    """70,000 faces of FFHQ and as many of StyleGAN, 256 px: by its tables, else by its folders."""
    samples = []
    for word, split in (("train", Split.TRAIN), ("valid", Split.VAL), ("test", Split.TEST)):
        table = root / f"{word}.csv"
        rows = _table_140k(table, root) if table.is_file() else _folders_140k(root / _FACES_140K / word)
        samples += [
            Sample(path, label, *_made(label, Kind.GENERATED, "140k-real-and-fake-faces", "StyleGAN"), split=split)
            for path, label in rows
        ]
    return samples


def _made(label: Label, kind: Kind, name: str, method: str) -> tuple[Kind | None, str, str]:
    """Kind, set and method of a sample: a real has a set only."""
    return (kind, name, method) if label is Label.FAKE else (None, name, "")


def _table_140k(table: Path, root: Path) -> Iterator[tuple[Path, Label]]:
    """Rows of ``train.csv``: the columns ``path`` (``train/real/31355.jpg``) and ``label_str`` count."""
    with table.open(encoding="utf-8-sig", newline="") as stream:
        for row in csv.DictReader(stream):
            label = LABEL_WORDS.get((row.get("label_str") or "").lower())
            if label is None or not row.get("path"):
                raise DataError(f"{table} has a row without path or label_str: {row}; get the set's own file again")
            path = root / _FACES_140K / row["path"]
            if not path.is_file():
                raise DataError(f"{table} lists {row['path']}, but there is no {path}; unpack the set anew")
            yield path, label


def _folders_140k(folder: Path) -> Iterator[tuple[Path, Label]]:
    for word in ("real", "fake"):
        for path in _files(folder / word, PICTURE_SUFFIXES):
            yield path, LABEL_WORDS[word]


def _ffpp(root: Path) -> list[Sample]:
    """FaceForensics++ (Rössler et al. 2019): originals 000–999, and fakes ``target_source`` of the same pairs.

    One quality for all, or else the codec would tell the classes apart.
    """
    quality = next((q for q in _FFPP_QUALITIES if (root / "original_sequences/youtube" / q).is_dir()), None)
    if quality is None:
        raise DataError(f"{root / 'original_sequences/youtube'} has none of the folders {', '.join(_FFPP_QUALITIES)}")
    found = list(_clips(root / "original_sequences" / "youtube" / quality, Label.REAL, ""))
    for method in _FFPP_METHODS:
        fakes = list(_clips(root / "manipulated_sequences" / method / quality, Label.FAKE, method))
        if not fakes:
            logger.warning("%s has no %s in the quality %s; it is left out", root, method, quality)
        found += fakes
    sides, pairs = _ffpp_splits(root), _ffpp_pairs(found)
    name = f"ffpp_{quality}"
    samples = [
        Sample(
            *(path, label, *_made(label, Kind.MANIPULATED, name, method)),
            group=pairs[clip],
            split=sides.get(clip.split("_")[0]),
        )
        for path, clip, label, method in found
    ]
    listed = [sample for sample in samples if sample.split or not sides]
    if len(listed) < len(samples):
        logger.warning("%s: %d files are in no official split, and are left out", root, len(samples) - len(listed))
    return listed


_Found = tuple[Path, str, Label, str]
"""A file, the clip that it is or is of, and how that was made."""


def _ffpp_splits(root: Path) -> dict[str, Split]:
    """Which side the official lists (``[["071", "054"], …]``) put an original on; empty if they are not there."""
    for folder in _FFPP_SPLITS:
        if all((root / folder / file).is_file() for file in _FFPP_SIDES.values()):
            break
    else:
        logger.warning("%s has no train.json, val.json and test.json; identity pairs will be split by chance", root)
        return {}
    sides: dict[str, Split] = {}
    for split, file in _FFPP_SIDES.items():
        try:
            pairs = json.loads((root / folder / file).read_text(encoding="utf-8"))
            sides |= {str(name): split for name in chain.from_iterable(pairs)}
        except (ValueError, TypeError) as error:
            raise DataError(f"{root / folder / file} is no list of pairs of names: {error}") from error
    return sides


def _ffpp_pairs(found: Sequence[_Found]) -> Mapping[str, str]:
    """The identity pair of each clip: ``054_071`` for 054, 071, 054_071 and 071_054."""
    partner: dict[str, str] = {}
    for _, clip, label, _ in found:
        if label is Label.FAKE and "_" in clip:
            target, source = clip.split("_")[:2]
            partner.setdefault(target, source)
            partner.setdefault(source, target)
    pairs = {}
    for _, clip, _, _ in found:
        first = clip.split("_")[0]
        pairs[clip] = "_".join(sorted({first, partner.get(first, first)}))
    return pairs


def _celeb_df(root: Path) -> list[Sample]:
    """Celeb-DF (Li et al. 2020): ``id0_0000`` of the celebrity id0, and ``id0_id16_0000``, the same with id16's face.

    A group is a clip with all that was made of it. The official list names the test clips; of the others, a tenth
    validates, no target person on both sides.
    """
    found: list[_Found] = []
    for folder in sorted(root.iterdir()):
        label = _CELEB_FOLDERS.get(folder.name.lower())
        if label is not None:
            found += _clips(folder, label, "" if label is Label.REAL else "Celeb-synthesis")
    tested = _celeb_test(root)
    samples = []
    for path, clip, label, method in found:
        group = "_".join(dict.fromkeys((clip.split("_")[0], clip.split("_")[-1])))
        made = _made(label, Kind.MANIPULATED, "celeb_df", method)
        samples.append(Sample(path, label, *made, group=group, split=Split.TEST if clip in tested else None))
    return _with_validation(samples) if tested else samples


def _celeb_test(root: Path) -> frozenset[str]:
    """The clips of the official list, whose lines are ``1 YouTube-real/00170.mp4`` (1 is real)."""
    table = root / _CELEB_LIST
    if not table.is_file():
        logger.warning("%s has no %s; clips will be split by chance", root, _CELEB_LIST)
        return frozenset()
    lines = [line.split() for line in table.read_text(encoding="utf-8").splitlines() if line.strip()]
    return frozenset(Path(words[-1]).stem for words in lines)


def _with_validation(samples: Sequence[Sample]) -> list[Sample]:
    """Give those that are not tested with a side: whole target persons on one."""
    free = [index for index, sample in enumerate(samples) if sample.split is None]
    persons = [samples[index].group.split("_")[0] for index in free]
    names = [samples[index].path.name for index in free]
    sides = stratify(names, [samples[index].label for index in free], persons, (1 - _VAL_SHARE, _VAL_SHARE, 0.0), 0)
    side_of = dict(zip(free, sides, strict=True))
    return [
        replace(sample, split=SPLITS[side_of[index]]) if index in side_of else sample
        for index, sample in enumerate(samples)
    ]


def _clips(folder: Path, label: Label, method: str) -> Iterator[_Found]:
    """The clips below a folder, or the frames that were cut out of them: those lie in a folder named after the clip."""
    place = next((folder / name for name in _FRAMES if (folder / name).is_dir()), None)
    if place is None:
        return
    frames: defaultdict[Path, list[Path]] = defaultdict(list)
    for path in _files(place, PICTURE_SUFFIXES):
        frames[path.parent].append(path)
    for path in chain(_files(place, CLIP_SUFFIXES), *frames.values()):
        yield path, path.stem if is_clip(path) else path.parent.name, label, method


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())


def _has_celeb_folders(root: Path) -> bool:
    names = {path.name.lower() for path in root.iterdir() if path.is_dir()}
    return {"celeb-real", "celeb-synthesis"} <= names


LAYOUTS: tuple[Layout, ...] = (
    Layout("deepfake-and-real-images", lambda root: (root / "Dataset" / "Train" / "Real").is_dir(), _kaggle),
    Layout("140k-real-and-fake-faces", lambda root: (root / _FACES_140K).is_dir(), _faces_140k),
    Layout("FaceForensics++", lambda root: (root / "original_sequences").is_dir(), _ffpp),
    Layout("Celeb-DF", _has_celeb_folders, _celeb_df),
)
