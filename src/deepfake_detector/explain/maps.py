"""Heat maps that need no more than an ONNX file, and what all maps are used through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.explanation import MapMethod
from deepfake_detector.core.onnx import open_session
from deepfake_detector.core.types import FloatArray, ImageArray
from deepfake_detector.explain.gradient import with_fine_map

if TYPE_CHECKING:
    import onnxruntime

CROPS_PER_RUN = 1
"""As many as in a run for the score."""

CELLS = 7
"""Cells of an occlusion map to a side: as many as the activation map of a 224-pixel network has."""

PATCH = 2.0
"""Side of the covered square in cells: neighbours overlap by half, so that no trace falls between two of them."""

Crops = NDArray[np.uint8]
Logits = Callable[[Crops], FloatArray]
"""Crops (N, S, S, 3), uint8 RGB → raw fake logits (N,)."""


class MapMaker(Protocol):
    """Makes a heat map of each crop in some other way than the network's own."""

    @property
    def method(self) -> MapMethod:
        """What the maps are called."""
        ...

    def maps(self, crops: Crops) -> FloatArray:
        """Crops (N, S, S, 3), uint8 RGB → maps (N, h, w), positive where something speaks for fake."""
        ...


class ActivationMaps:
    """The activation maps that a network gives with its logits."""

    method = MapMethod.CAM

    def __init__(self, own: Callable[[Crops], FloatArray]) -> None:
        self._own = own

    def maps(self, crops: Crops) -> FloatArray:
        """One map (h, w) for each crop, as coarse as the feature map."""
        return self._own(crops)


class LayerMaps:
    """What speaks for fake before the last feature map, in cells of half the width (LayerCAM); see ``gradient``.

    They cost one more run of the network, half as long again as a plain one.
    """

    method = MapMethod.LAYER_CAM

    def __init__(self, session: onnxruntime.InferenceSession, output: str) -> None:
        self._session, self._output = session, output
        self._input = session.get_inputs()[0].name

    @classmethod
    def of(cls, model: bytes, cam: str, threads: int = 0) -> Self | None:
        """For an ONNX model and the name of its activation map; None where its graph gives no finer one."""
        found = with_fine_map(model, cam)
        return None if found is None else cls(open_session(found[0], "the model with a finer map", threads), found[1])

    def maps(self, crops: Crops) -> FloatArray:
        """One map (H, W) for each crop, smoothed, with the mean of its activation map."""
        begins = range(0, len(crops), CROPS_PER_RUN)
        runs = [self._run(crops[begin : begin + CROPS_PER_RUN]) for begin in begins]
        return np.concatenate(runs) if runs else np.zeros((0, 1, 1), np.float32)

    def _run(self, crops: Crops) -> FloatArray:
        (found,) = self._session.run([self._output], {self._input: np.ascontiguousarray(crops)})
        return smoothed(np.asarray(found, dtype=np.float32))


class OcclusionMaps:
    """Occlusion sensitivity (Zeiler & Fergus 2014) of any network: it needs nothing but the logits.

    Each cell says by how much the fake logit falls when the square around it is blurred beyond recognition. Blur keeps
    the colours, so that the cover itself looks less like a forgery than a grey square does.
    """

    method = MapMethod.OCCLUSION

    def __init__(self, logits: Logits, cells: int = CELLS) -> None:
        self._logits = logits
        self._cells = cells

    def maps(self, crops: Crops) -> FloatArray:
        """One map (cells, cells) for each crop; ``cells**2 + 1`` runs of the network each."""
        found = [self._map(crop) for crop in crops]
        return np.stack(found) if found else np.zeros((0, self._cells, self._cells), np.float32)

    def _map(self, crop: ImageArray) -> FloatArray:
        logits = self._logits(np.stack([crop, *self._covered(crop)]))
        lost = (logits[0] - logits[1:]).reshape(self._cells, self._cells)
        return np.asarray(lost, dtype=np.float32)

    def _covered(self, crop: ImageArray) -> Iterator[ImageArray]:
        size = crop.shape[0]
        cell = size / self._cells
        cover = blurred(crop)
        for row in range(self._cells):
            for column in range(self._cells):
                mask = _soft_square(size, (column + 0.5) * cell, (row + 0.5) * cell, cell * PATCH)
                yield mix(crop, cover, mask)


def smoothed(maps: FloatArray) -> FloatArray:
    """Maps (N, h, w) blurred by a cell, each with its mean as it was.

    A strided convolution treats neighbouring cells differently, which shows in gradients as a chequered pattern
    (Odena et al. 2016).
    """
    soft = np.stack([cv2.GaussianBlur(one, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT) for one in maps])
    return np.asarray(soft + (maps - soft).mean(axis=(1, 2), keepdims=True), dtype=np.float32)


def blurred(crop: ImageArray) -> ImageArray:
    """A crop in which nothing but its colours is left: a Gaussian blur of an eighth of its side."""
    return np.asarray(cv2.GaussianBlur(crop, (0, 0), crop.shape[0] / 8.0), dtype=np.uint8)


def mix(under: ImageArray, over: ImageArray, mask: FloatArray) -> ImageArray:
    """``over`` where the mask (h, w) is 1, ``under`` where it is 0."""
    weight = mask[..., None]
    return np.asarray(np.round(under * (1.0 - weight) + over * weight), dtype=np.uint8)


def enlarged(values: FloatArray, size: int) -> FloatArray:
    """A map (h, w) at (size, size), interpolated linearly between the middles of its cells."""
    return np.asarray(cv2.resize(values, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _soft_square(size: int, x: float, y: float, side: float) -> FloatArray:
    """1 inside a square around (x, y), falling to 0 over a tenth of its side: a hard edge would be a trace itself."""
    places = np.arange(size, dtype=np.float32) + 0.5
    edge = side / 10.0

    def along(center: float) -> FloatArray:
        inside = (side / 2.0 - np.abs(places - center)) / edge + 0.5
        return np.asarray(np.clip(inside, 0.0, 1.0), dtype=np.float32)

    return np.asarray(np.outer(along(y), along(x)), dtype=np.float32)
