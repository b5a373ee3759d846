"""Named reasons to trust a score less, each found by something that was measured; none of them is a verdict."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.explanation import Caution, CautionName, FacePart
from deepfake_detector.core.provenance import Provenance, TraceKind
from deepfake_detector.core.types import ImageArray, InputInfo
from deepfake_detector.explain.parts import PARTS, Labels

STRONG_JPEG = 50
"""Below this JPEG quality, blocks and colour bleeding are stronger than most traces."""

DARK_EYES = 0.3
OTHER_COLOUR = 25.0
DRAWN = 22.0
"""Thresholds of the measures below. How often real photos and drawn covers reach them: ``benchmarks/cautions.py``."""

FLAT = 4.0
"""Sobel gradient (grey, 0–255) below which a place is flat."""

ENOUGH_PIXELS = 20

SCREENS = frozenset({
    (750, 1334), (828, 1792), (1080, 1920), (1080, 2220), (1080, 2280), (1080, 2340), (1080, 2400), (1080, 2408),
    (1125, 2436), (1170, 2532), (1179, 2556), (1206, 2622), (1242, 2208), (1242, 2688), (1284, 2778), (1290, 2796),
    (1320, 2868), (1440, 2560), (1440, 2960), (1440, 3040), (1440, 3088), (1440, 3120), (1440, 3200),
})  # fmt: skip
"""Width and height of common phone screens, upright."""


def picture_cautions(info: InputInfo, provenance: Provenance | None) -> Iterator[Caution]:
    """What the file and its metadata give reason to."""
    traces = () if provenance is None else provenance.traces
    for trace in traces:
        if trace.kind is TraceKind.BEAUTY:
            yield Caution(CautionName.BEAUTY_FILTER, f"{trace.where} names {trace.program}")
    named = next((trace for trace in traces if trace.kind is TraceKind.SCREENSHOT), None)
    camera = None if provenance is None else provenance.camera
    if named is not None:
        yield Caution(CautionName.SCREENSHOT, f"{named.where} says so")
    elif camera is None and (info.width, info.height) in SCREENS:
        size = f"{info.width} × {info.height}"
        yield Caution(CautionName.SCREENSHOT, f"the size of a phone's screen, {size}, and no camera is named")
    quality = None if provenance is None else provenance.jpeg_quality
    if quality is not None and quality < STRONG_JPEG:
        yield Caution(CautionName.STRONG_COMPRESSION, f"JPEG quality about {quality}")


def face_cautions(crop: ImageArray, labels: Labels, face: int) -> Iterator[Caution]:
    """What the pixels of a face give reason to: ``crop`` and its parts, both (S, S); ``face`` is its index.

    A beauty filter is not among them: what it does to pixels is what soft light and strong compression do, too.
    """
    covered = [*_covered(crop, labels)]
    for detail in covered:
        yield Caution(CautionName.COVERED_FACE, detail, face)
    drawn = drawing_strength(crop, labels)
    # A mask or sunglasses are flat with sharp edges as well.
    if not covered and drawn > DRAWN:
        detail = f"flat areas between hard edges ({drawn:.0f}; most photos stay under {DRAWN:.0f})"
        yield Caution(CautionName.DRAWING, detail, face)


def drawing_strength(crop: ImageArray, labels: Labels) -> float:
    """The share of a face without any gradient, times the strength of its strongest edges: high for drawings only."""
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    gradient = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    inside = gradient[~_of(labels, FacePart.BACKGROUND)]
    return float((inside < FLAT).mean() * np.percentile(inside, 97)) if inside.size else 0.0


def eye_darkness(crop: ImageArray, labels: Labels) -> float:
    """Lightness (CIE L*) of the eyes and brows over that of the skin above the nose's tip; medians."""
    eyes, upper = _median(crop, _of(labels, FacePart.EYES)), _median(crop, _skin(labels, above=True))
    return 1.0 if eyes is None or upper is None else float((eyes[0] + 1.0) / (upper[0] + 1.0))


def lower_colour(crop: ImageArray, labels: Labels) -> float:
    """How far the colour below the nose is from that of the skin above its tip, in the a*b* plane; medians."""
    lower, upper = _median(crop, _skin(labels, above=False)), _median(crop, _skin(labels, above=True))
    return 0.0 if lower is None or upper is None else float(np.hypot(*(lower - upper)[1:]))


def _covered(crop: ImageArray, labels: Labels) -> Iterator[str]:
    darkness = eye_darkness(crop, labels)
    if darkness < DARK_EYES:
        yield f"the eyes have {darkness * 100:.0f} % of the skin's lightness, as with sunglasses"
    colour = lower_colour(crop, labels)
    if colour > OTHER_COLOUR:
        yield f"the colour below the nose is another than that of the skin (by {colour:.0f}), as with a mask"


def _of(labels: Labels, *parts: FacePart) -> NDArray[np.bool_]:
    return np.isin(labels, [PARTS.index(part) for part in parts])


def _skin(labels: Labels, *, above: bool) -> NDArray[np.bool_]:
    """Skin above the nose's lower end, or skin and mouth below it."""
    rows = np.flatnonzero(_of(labels, FacePart.NOSE).any(axis=1))
    tip = int(rows[-1]) if rows.size else labels.shape[0] // 2
    upper = np.arange(labels.shape[0])[:, None] <= tip
    return _of(labels, FacePart.SKIN) & upper if above else _of(labels, FacePart.SKIN, FacePart.MOUTH) & ~upper


def _median(crop: ImageArray, where: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """The median colour in CIE L*a*b*, as OpenCV scales it (0–255); None where there are too few pixels."""
    if where.sum() < ENOUGH_PIXELS:
        return None
    return np.asarray(np.median(cv2.cvtColor(crop, cv2.COLOR_RGB2LAB)[where].astype(np.float64), axis=0))
