"""Finds near-duplicate pictures and deals groups of pictures out to the sides of a split."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from deepfake_detector.core.errors import DataError, InputError, MissingExtraError
from deepfake_detector.core.types import ImageArray
from deepfake_detector.training.data.samples import Progress

Ratios = tuple[float, float, float]
"""Shares of train, val and test; they add up to 1."""

DEFAULT_RATIOS: Ratios = (0.8, 0.1, 0.1)
MAX_DISTANCE = 4
"""Two pictures are near-duplicates if their 64-bit hashes differ in at most this many bits."""

_HASH_BITS = 64
_BLOCK = 2048
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """A group name for each picture, and which pictures could not be read, with the reason."""

    groups: tuple[str, ...]
    unreadable: Mapping[Path, str]


def near_duplicates(
    paths: Sequence[Path],
    groups: Sequence[str],
    max_distance: int = MAX_DISTANCE,
    progress: Progress | None = None,
) -> NearDuplicates:
    """Join pictures that have a group in common, or whose perceptual hashes are close, directly or over others.

    The hash is the 64-bit DCT hash of the ``imagehash`` package. A picture that cannot be read keeps its own group.
    """
    hashes, unreadable = hash_pictures(paths, progress)
    joined = join([hashes.get(path) for path in paths], groups, max_distance)
    return NearDuplicates(tuple(str(root) for root in joined), unreadable)


def join(hashes: Sequence[int | None], groups: Sequence[str], max_distance: int = MAX_DISTANCE) -> list[int]:
    """The first member of each picture's group: those with close hashes (None: unknown) or an equal, named group."""
    known = [index for index, value in enumerate(hashes) if value is not None]
    values = np.array([hashes[index] for index in known], dtype=np.uint64)
    links = [(known[a], known[b]) for a, b in close_pairs(values, max_distance)]
    first: dict[str, int] = {}
    for index, group in enumerate(groups):
        if group:
            links.append((first.setdefault(group, index), index))
    return _union(len(hashes), links)


def hash_pictures(paths: Sequence[Path], progress: Progress | None = None) -> tuple[dict[Path, int], dict[Path, str]]:
    """The perceptual hash of each picture as a 64-bit number; and the reasons why some have none."""
    hashes: dict[Path, int] = {}
    unreadable: dict[Path, str] = {}
    with ThreadPoolExecutor(_WORKERS) as pool:
        for done, (path, answer) in enumerate(zip(paths, pool.map(_hash, paths), strict=True), start=1):
            if isinstance(answer, str):
                unreadable[path] = answer
            else:
                hashes[path] = answer
            if progress:
                progress(done, len(paths))
    return hashes, unreadable


def _hash(path: Path) -> int | str:
    from deepfake_detector.media.image import load_image

    try:
        pixels = load_image(path).pixels
    except (InputError, MissingExtraError) as error:
        return f"{error.code}: {error}"
    return picture_hash(pixels)


def picture_hash(pixels: ImageArray) -> int:
    """The 64-bit DCT hash (``imagehash.phash``) of a picture, uint8 RGB (h, w, 3)."""
    import imagehash

    bits = imagehash.phash(Image.fromarray(pixels)).hash
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def close_pairs(hashes: NDArray[np.uint64], max_distance: int) -> list[tuple[int, int]]:
    """Enough pairs of positions to link all hashes that differ in at most ``max_distance`` bits.

    Pigeonhole: cut in ``max_distance`` + 1 pieces, two such hashes agree in at least one of them, so only pictures
    with a piece in common are compared. Equal hashes are linked once, not all with all.
    """
    if not len(hashes):
        return []
    unique, where, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    pairs = [(int(where[unique_index]), index) for index, unique_index in enumerate(inverse)]
    pairs = [(a, b) for a, b in pairs if a != b]
    for mask in _masks(max_distance + 1):
        pieces = unique & mask
        order = np.argsort(pieces, kind="stable")
        starts = np.flatnonzero(np.diff(pieces[order])) + 1
        for bucket in np.split(order, starts):
            pairs.extend((int(where[a]), int(where[b])) for a, b in _close_in(bucket, unique, max_distance))
    return pairs


def _masks(pieces: int) -> list[np.uint64]:
    edges = [round(index * _HASH_BITS / pieces) for index in range(pieces + 1)]
    return [np.uint64(((1 << (high - low)) - 1) << low) for low, high in pairwise(edges)]


def _close_in(
    bucket: NDArray[np.intp], hashes: NDArray[np.uint64], max_distance: int
) -> Iterable[tuple[np.intp, np.intp]]:
    for begin in range(0, len(bucket) if len(bucket) > 1 else 0, _BLOCK):
        rows = bucket[begin : begin + _BLOCK]
        for other in range(begin, len(bucket), _BLOCK):
            columns = bucket[other : other + _BLOCK]
            near = _ones(hashes[rows][:, None] ^ hashes[columns][None, :]) <= max_distance
            for a, b in np.argwhere(near):
                if rows[a] < columns[b]:
                    yield rows[a], columns[b]


def _ones(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """How many bits are set in each number: sums of neighbours, of pairs of them, and so on."""
    one, two, four = (np.uint64(mask) for mask in (0x5555555555555555, 0x3333333333333333, 0x0F0F0F0F0F0F0F0F))
    bits = bits - ((bits >> np.uint64(1)) & one)
    bits = (bits & two) + ((bits >> np.uint64(2)) & two)
    bits = (bits + (bits >> np.uint64(4))) & four
    return (bits * np.uint64(0x0101010101010101)) >> np.uint64(56)


def _union(size: int, links: Iterable[tuple[int, int]]) -> list[int]:
    """The smallest member of each position's group."""
    parent = list(range(size))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for a, b in links:
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return [root(index) for index in range(size)]


def stratify(
    names: Sequence[str], strata: Sequence[Hashable], groups: Sequence[str], ratios: Ratios, seed: int
) -> list[int]:
    """The side (0, 1 or 2) of each picture: whole groups, with the shares ``ratios`` in each stratum.

    Groups are dealt in an order that hangs on ``seed`` and on the names in them only, the largest first, each to the
    side that lacks most in its strata. Raises DataError if the ratios are no shares.
    """
    check_ratios(ratios)
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    totals = Counter(strata)
    wanted = {stratum: [share * total for share in ratios] for stratum, total in totals.items()}
    sides = [0] * len(names)
    for family in sorted(members.values(), key=lambda family: (-len(family), _rank(family, names, seed))):
        need = Counter(strata[index] for index in family)
        lack = [
            sum(n * wanted[stratum][side] / totals[stratum] for stratum, n in need.items()) if ratios[side] else -np.inf
            for side in range(len(ratios))
        ]
        side = int(np.argmax(lack))
        for index in family:
            sides[index] = side
            wanted[strata[index]][side] -= 1
    return sides


def check_ratios(ratios: Sequence[float]) -> None:
    """Raises DataError unless there are three shares, 0–1, that add up to 1, and the first is not 0."""
    good = len(ratios) == 3 and all(0.0 <= share <= 1.0 for share in ratios) and ratios[0] > 0.0
    if not good or abs(sum(ratios) - 1.0) > 1e-6:
        given = " ".join(f"{share:g}" for share in ratios)
        raise DataError(
            f"the ratios are {given}; give shares of train, val and test that add up to 1, such as .8 .1 .1"
        )


def _rank(group: Sequence[int], names: Sequence[str], seed: int) -> str:
    first = min(names[index] for index in group)
    return hashlib.sha256(f"{seed}\0{first}".encode()).hexdigest()
