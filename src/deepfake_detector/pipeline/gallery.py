"""Keeps, while a video runs, a few pictures of the frames in which each person looks most like a fake."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.explanation import Heatmap
from deepfake_detector.core.types import ImageArray
from deepfake_detector.core.video import Exhibit, Observation, Still
from deepfake_detector.faces.align import Matrix, window

MOST = 3
"""Exhibits of a person."""

APART = 0.5
"""Seconds between two of them; frames that are nearer look the same."""

SIDE, STILL_SIDE = 240, 640
"""Pixels of the longer side of an exhibit, and of a whole frame."""

MARGIN = 0.15
"""What an exhibit shows around the square that the network looked at, as a share of its side."""

BLOCK = 16
"""A cut-out begins at a multiple of this, so that a coded picture keeps its grid."""


@dataclass(frozen=True, slots=True, eq=False)
class Cutout:
    """The pixels of a frame around a face, as they are; (left, top) is where they lie in the frame."""

    pixels: ImageArray
    left: int
    top: int


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What can be shown of a face in a frame: from near, and the whole frame, made small."""

    cutout: Cutout
    still: ImageArray


def cut_out(image: ImageArray, matrix: Matrix, size: int) -> Cutout:
    """All pixels of an RGB frame that a crop with this warp reads, and some around them."""
    height, width = image.shape[:2]
    left, top, right, bottom = window(matrix, size, width, height)
    more = round(MARGIN * max(right - left, bottom - top))
    left, top = max(0, left - more) // BLOCK * BLOCK, max(0, top - more) // BLOCK * BLOCK
    return Cutout(image[top : min(height, bottom + more), left : min(width, right + more)].copy(), left, top)


def small(image: ImageArray) -> ImageArray:
    """The frame as large as a report shows it."""
    return _at_most(image, STILL_SIDE)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """An exhibit with what was used to make it; ``rank`` is higher the more it looks like a fake.

    ``cutout`` is None where no explanation will need it.
    """

    rank: tuple[bool, float]
    observation: Observation
    exhibit: Exhibit
    still: Still
    cutout: Cutout | None


class Gallery:
    """The worst frames of each person; ``pieces(id)`` gives them, the worst first."""

    def __init__(self, keep_cutouts: bool = False) -> None:
        self._keep_cutouts = keep_cutouts
        self._pieces: dict[int, list[Piece]] = {}

    def offer(self, person: int, seen: Observation, shown: Shown, heatmap: Heatmap | None) -> None:
        """Keep this frame if it looks more like a fake than those that are kept; who can be judged comes first."""
        kept = self._pieces.setdefault(person, [])
        rank = (seen.quality.usable, seen.logit)
        near = [piece for piece in kept if abs(piece.observation.time - seen.time) < APART]
        if any(piece.rank >= rank for piece in near) or (len(kept) - len(near) >= MOST and rank <= kept[-1].rank):
            return
        exhibit = _exhibit(seen, shown.cutout, heatmap)
        still = Still(seen.index, seen.time, _jpeg(shown.still), shown.still.shape[1], shown.still.shape[0])
        kept = [piece for piece in kept if piece not in near]
        kept.append(Piece(rank, seen, exhibit, still, shown.cutout if self._keep_cutouts else None))
        self._pieces[person] = sorted(kept, key=lambda piece: piece.rank, reverse=True)[:MOST]

    def pieces(self, person: int) -> tuple[Piece, ...]:
        """What was kept of a person."""
        return tuple(self._pieces.get(person, ()))


def _exhibit(seen: Observation, cutout: Cutout, heatmap: Heatmap | None) -> Exhibit:
    exhibit = Exhibit(seen.index, seen.time, seen.p_fake, _jpeg(_at_most(cutout.pixels, SIDE)), None, heatmap)
    return exhibit if heatmap is None else with_map(exhibit, cutout, heatmap)


def with_map(exhibit: Exhibit, cutout: Cutout, heatmap: Heatmap) -> Exhibit:
    """The exhibit with a heat map (in pixels of the frame) laid over its picture."""
    from deepfake_detector.explain.overlay import close_up

    moved = tuple((x - cutout.left, y - cutout.top) for x, y in heatmap.corners)
    shown = close_up(cutout.pixels, replace(heatmap, corners=moved), SIDE)
    return replace(exhibit, picture=_jpeg(shown.plain), overlay=_jpeg(shown.overlay), heatmap=heatmap)


def _at_most(image: ImageArray, side: int) -> ImageArray:
    scale = side / max(image.shape[:2])
    if scale >= 1.0:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
