"""The face meshes of cached crops, computed once and kept beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from deepfake_detector.core.types import FloatArray
from deepfake_detector.training.data.crops import CachedCrop, read_cached
from deepfake_detector.training.data.samples import Progress

MIN_CONFIDENCE = 0.5
_CHUNK = 256


def build_meshes(
    crops: Sequence[CachedCrop], workers: int = 2, progress: Progress | None = None
) -> Mapping[Path, FloatArray]:
    """The mesh of each face crop by its file: float32 (468, 2), (x, y) in pixels of the cached picture.

    Faces whose mesh the network itself doubts (confidence under ``MIN_CONFIDENCE``) have none. What is new is added
    to a file in the folder of the cache, so that a second call is fast and an interruption loses little.
    """
    from deepfake_detector.faces.mesh import FaceMesh

    if not crops:
        return {}
    store = _Store(crops[0].file.parents[2])  # <cache>/crops/<two letters>/<file>
    missing = [crop for crop in crops if crop.file.name not in store.known]
    mesh = FaceMesh(threads=1)

    def look(crop: CachedCrop) -> FloatArray:
        points, confidence = mesh.points(read_cached(crop), crop.box, crop.landmarks)
        return points if confidence >= MIN_CONFIDENCE else np.full_like(points, np.nan)

    with ThreadPoolExecutor(workers) as pool:
        for begin in range(0, len(missing), _CHUNK):
            chunk = missing[begin : begin + _CHUNK]
            store.add([crop.file.name for crop in chunk], list(pool.map(look, chunk)))
            if progress:
                progress(min(begin + _CHUNK, len(missing)), len(missing))
    found = ((crop.file, store.known[crop.file.name]) for crop in crops)
    return {file: points for file, points in found if np.isfinite(points).all()}


class _Store:
    """Meshes by file name in one .npz, named after the network that made them; NaN where there is no face."""

    def __init__(self, folder: Path) -> None:
        from deepfake_detector.faces.mesh import MESH_SHA256

        self._file = folder / f"meshes-{MESH_SHA256[:12]}.npz"
        self.known: dict[str, FloatArray] = {}
        if self._file.is_file():
            with np.load(self._file, allow_pickle=False) as stored:
                self.known = dict(zip(stored["names"].tolist(), stored["points"], strict=True))

    def add(self, names: Sequence[str], points: Sequence[FloatArray]) -> None:
        self.known.update(zip(names, points, strict=True))
        part = self._file.with_suffix(".part.npz")
        np.savez(part, names=np.array(list(self.known)), points=np.stack(list(self.known.values())))
        part.replace(self._file)
