"""Draws heat maps: colours that colour-blind readers can tell apart, a scale, and the way back onto the picture."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.explanation import CloseUp, Heatmap
from deepfake_detector.core.types import Face, FloatArray, ImageArray
from deepfake_detector.explain.maps import enlarged

STOPS: tuple[tuple[int, int, int], ...] = (
    (84, 39, 136), (153, 142, 195), (216, 218, 235), (247, 247, 247), (254, 224, 182), (241, 163, 64), (179, 88, 6),
)  # fmt: skip
"""From "speaks for real" to "speaks for fake": ColorBrewer's PuOr (Brewer 2003), safe for colour-blind readers."""

OPACITY = 0.8
"""Of the ends of the scale; it falls with the root of the value, and the middle is transparent."""

MOST_CLOSE_UPS = 8
"""Faces that a report shows from near; the answers of the others are in its table."""

FINE = 224
MARGIN = 0.12
"""How much of the picture a close-up shows around the square, as a share of its side."""

_WORDS = ("speaks for real", "speaks for fake")


def colours(values: FloatArray, limit: float) -> ImageArray:
    """RGB (h, w, 3) of values between ``-limit`` and ``limit``; what lies beyond takes the colour of the end."""
    places = (np.clip(values / max(limit, 1e-12), -1.0, 1.0) + 1.0) / 2.0 * (len(STOPS) - 1)
    stops = np.asarray(STOPS, dtype=np.float32)
    channels = [np.interp(places, np.arange(len(STOPS)), stops[:, channel]) for channel in range(3)]
    return np.asarray(np.round(np.stack(channels, axis=-1)), dtype=np.uint8)


def overlay(image: ImageArray, heatmaps: Iterable[Heatmap]) -> ImageArray:
    """The picture (H, W, 3), RGB, with each map where it belongs; all maps share one scale.

    Below a map the picture is grey, since the colours of skin and of the scale would mix.
    """
    drawn = list(heatmaps)
    limit = max((heatmap.limit for heatmap in drawn), default=0.0)
    result = image
    for heatmap in drawn:
        result = _painted(result, heatmap, limit)
    return result


def layer(image: ImageArray, heatmap: Heatmap, limit: float) -> NDArray[np.uint8]:
    """One map alone, RGBA (H, W, 4), to be faded in over the picture: the grey face with its colours, clear outside.

    ``limit`` is the end of the scale, on both sides.
    """
    left, top, right, bottom = _window(image, heatmap, margin=0.0)
    painted, inside = _layer(image, heatmap, limit)
    result = np.zeros((*image.shape[:2], 4), dtype=np.uint8)
    pixels = np.concatenate([painted, inside[..., None] * 255.0], axis=2)
    result[top:bottom, left:right] = np.round(pixels).clip(0.0, 255.0).astype(np.uint8)
    return result


def scaled(heatmap: Heatmap, scale: float) -> Heatmap:
    """The same map for a picture whose sides are ``scale`` times as long."""
    return _moved(heatmap, scale, 0.0, 0.0)


def close_ups(faces: Sequence[Face], image: ImageArray, side: int) -> list[CloseUp]:
    """The first faces of a picture, each with its heat map, in pixels of this side; none if nothing was explained."""
    maps = [face.heatmap for face in faces[:MOST_CLOSE_UPS]]
    return [close_up(image, heatmap, side) for heatmap in maps if heatmap is not None]


def close_up(image: ImageArray, heatmap: Heatmap, side: int) -> CloseUp:
    """The square that the network looked at, with a little around it, drawn at ``side`` pixels."""
    left, top, right, bottom = _window(image, heatmap)
    part = np.ascontiguousarray(image[top:bottom, left:right])
    scale = side / max(part.shape[0], part.shape[1])
    size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    plain = np.asarray(cv2.resize(part, size, interpolation=way), dtype=np.uint8)
    here = _moved(heatmap, scale, left, top)
    bar = _bar(plain.shape[1], max(1, side // 30))
    return CloseUp(plain, _painted(plain, here, heatmap.limit), bar, heatmap.limit, heatmap.method)


def with_scale(image: ImageArray, limit: float) -> ImageArray:
    """The picture with a strip below it that says what the colours mean."""
    from PIL import Image, ImageDraw, ImageFont

    width = image.shape[1]
    unit = max(10, min(width // 24, 40))
    strip = Image.new("RGB", (width, round(unit * 3.4)), "white")
    strip.paste(Image.fromarray(_bar(width, unit)), (0, unit // 3))
    draw, font = ImageDraw.Draw(strip), ImageFont.load_default(unit)
    below = round(unit * 1.6)
    for x, anchor, words in ((2, "la", f"-{limit:.3g}"), (width / 2, "ma", "0"), (width - 2, "ra", f"+{limit:.3g}")):
        draw.text((x, below), words, "black", font, anchor)
    for x, anchor, words in ((2, "la", _WORDS[0]), (width - 2, "ra", _WORDS[1])):
        draw.text((x, below + unit * 0.95), words, "black", ImageFont.load_default(round(unit * 0.8)), anchor)
    return np.concatenate([image, np.asarray(strip, dtype=np.uint8)])


def raw_png(heatmap: Heatmap) -> bytes:
    """The map as a grey PNG of 16 bits, one pixel for each cell: 32768 is 0, 1 and 65535 are the ends of the scale.

    The end of the scale stands in the text chunk "limit", the method in "method".
    """
    from PIL import Image, PngImagePlugin

    limit = heatmap.limit
    grey = np.round(heatmap.as_array() / (limit or 1.0) * 32767.0 + 32768.0).astype(np.uint16)
    text = PngImagePlugin.PngInfo()
    text.add_text("method", heatmap.method.value)
    text.add_text("limit", repr(limit))
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", pnginfo=text)
    return buffer.getvalue()


def _bar(width: int, height: int) -> ImageArray:
    """The colours of the scale from left to right."""
    return colours(np.linspace(-1.0, 1.0, width, dtype=np.float32)[None].repeat(height, axis=0), 1.0)


def _moved(heatmap: Heatmap, scale: float, left: float, top: float) -> Heatmap:
    """The map in a part of the picture that begins at (left, top), enlarged by ``scale``."""
    corners = tuple(((x + 0.5 - left) * scale - 0.5, (y + 0.5 - top) * scale - 0.5) for x, y in heatmap.corners)
    return Heatmap(heatmap.method, heatmap.values, corners)


def _painted(image: ImageArray, heatmap: Heatmap, limit: float) -> ImageArray:
    """``image`` with one map laid over its square."""
    left, top, right, bottom = _window(image, heatmap, margin=0.0)
    painted, inside = _layer(image, heatmap, limit)
    mixed = image[top:bottom, left:right] * (1.0 - inside[..., None]) + painted * inside[..., None]
    result = image.copy()
    result[top:bottom, left:right] = np.round(mixed).astype(np.uint8)
    return result


def _layer(image: ImageArray, heatmap: Heatmap, limit: float) -> tuple[FloatArray, FloatArray]:
    """The pixels around a square, grey and under the map (interpolated linearly), and how far each lies inside, 0–1."""
    left, top, right, bottom = _window(image, heatmap, margin=0.0)
    corners = np.asarray(heatmap.corners, dtype=np.float32) - (left, top)
    edge = FINE - 0.5
    square = np.array([[-0.5, -0.5], [edge, -0.5], [-0.5, edge]], dtype=np.float32)
    matrix = cv2.getAffineTransform(square, corners[[0, 1, 3]].astype(np.float32))
    size = (right - left, bottom - top)
    fine = enlarged(heatmap.as_array(), FINE)
    values = _warped(fine, matrix, size)
    inside = _warped(np.ones_like(fine), matrix, size)
    part = image[top:bottom, left:right]
    grey = cv2.cvtColor(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    strength = np.sqrt((np.abs(values) / max(limit, 1e-12)).clip(0.0, 1.0))[..., None] * OPACITY
    painted = grey * (1.0 - strength) + colours(values, limit) * strength
    return np.asarray(painted, dtype=np.float32), inside


def _warped(values: FloatArray, matrix: NDArray[np.float64], size: tuple[int, int]) -> FloatArray:
    warped = cv2.warpAffine(values, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(warped, dtype=np.float32)


def _window(image: ImageArray, heatmap: Heatmap, margin: float = MARGIN) -> tuple[int, int, int, int]:
    """The pixels around the square that lie inside the picture: left, top, right, bottom (both exclusive)."""
    height, width = image.shape[:2]
    corners = np.asarray(heatmap.corners, dtype=np.float64)
    around = margin * float(np.linalg.norm(corners[1] - corners[0]))
    low = np.floor(corners.min(axis=0) - around).astype(int)
    high = np.ceil(corners.max(axis=0) + around).astype(int) + 1
    left, top = int(np.clip(low[0], 0, width - 1)), int(np.clip(low[1], 0, height - 1))
    right, bottom = int(np.clip(high[0], left + 1, width)), int(np.clip(high[1], top + 1, height))
    return left, top, right, bottom
