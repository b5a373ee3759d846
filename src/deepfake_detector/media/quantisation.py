"""How strongly a JPEG file was compressed, by its quantisation tables."""

from __future__ import annotations

from collections.abc import Sequence

# Annex K of the JPEG standard (ITU-T T.81), table K.1: luminance, rows.
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61,
    12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77,
    24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def jpeg_quality(tables: Sequence[Sequence[int]]) -> int | None:
    """The quality, 1–100, on the scale of the Independent JPEG Group whose luminance table is most like this one.

    Programs with tables of their own get the nearest; None where there are no tables.
    """
    if not tables:
        return None
    table = tables[0]
    return min(range(1, 101), key=lambda quality: _distance(table, quality))


def _distance(table: Sequence[int], quality: int) -> int:
    """Between a table and that of libjpeg at a quality (``jpeg_quality_scaling`` and ``jpeg_add_quant_table``)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    expected = (min(max((value * scale + 50) // 100, 1), 255) for value in _LUMINANCE)
    return sum(abs(mine - theirs) for mine, theirs in zip(table, expected, strict=True))
