"""The augmentation part of an experiment file: how often and how strongly a training picture is changed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


def _ordered(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError(f"[{values[0]:g}, {values[1]:g}] is no range; give the smaller number first")
    return values


Quality = Annotated[int, Field(ge=1, le=100)]
QualityRange = Annotated[tuple[Quality, Quality], AfterValidator(_ordered)]
Positive = Annotated[float, Field(gt=0.0)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class Sometimes(_Strict):
    """A change without a strength; ``p`` is how often."""

    p: Probability = 0.0


class Codec(_Strict):
    """Save with a loss and open again, at a random quality (inclusive) and chroma subsampling."""

    p: Probability = 0.3
    quality: QualityRange = (40, 95)


class Resize(_Strict):
    """Scale by a random factor and back, each with a random interpolation."""

    p: Probability = 0.3
    scale: PositiveRange = (0.4, 1.3)


class Blur(_Strict):
    """Gaussian blur; ``sigma`` in pixels of the picture."""

    p: Probability = 0.1
    sigma: PositiveRange = (0.3, 2.0)


class Motion(_Strict):
    """Blur along a random line; ``length`` in pixels of the picture."""

    p: Probability = 0.05
    length: PositiveRange = (3.0, 9.0)


class Sharpen(_Strict):
    """Unsharp mask; ``amount`` 1 doubles what a small blur takes away."""

    p: Probability = 0.05
    amount: PositiveRange = (0.3, 1.5)


class Noise(_Strict):
    """Noise of a random ``sigma`` (levels of 0–255): even or growing with the light, coloured or grey."""

    p: Probability = 0.1
    sigma: PositiveRange = (1.0, 10.0)


class Color(_Strict):
    """Largest changes: brightness and contrast as shares, saturation as a share, hue in degrees, gamma as a share."""

    p: Probability = 0.3
    brightness: float = Field(default=0.15, ge=0.0, le=1.0)
    contrast: float = Field(default=0.2, ge=0.0, lt=1.0)
    saturation: float = Field(default=0.3, ge=0.0, le=1.0)
    hue: float = Field(default=8.0, ge=0.0, le=180.0)
    gamma: float = Field(default=0.2, ge=0.0, lt=1.0)


class AugmentConfig(_Strict):
    """How training pictures are changed; the defaults suit a face crop.

    Geometry, folded into the one crop warp: ``flip`` is a probability, ``rotation`` in degrees to either side,
    ``zoom`` a range that multiplies the side of the crop, ``shift`` a share of that side each way. Then, on the
    picture itself, at most ``max_degradations`` of the changes from ``jpeg`` to ``gray``; ``cutout`` covers a part
    of the face.
    """

    flip: Probability = 0.5
    rotation: float = Field(default=8.0, ge=0.0, le=45.0)
    zoom: PositiveRange = (0.9, 1.1)
    shift: float = Field(default=0.04, ge=0.0, le=0.5)
    max_degradations: int = Field(default=3, ge=0, le=9)
    jpeg: Codec = Codec()
    webp: Codec = Codec(p=0.05)
    resize: Resize = Resize()
    blur: Blur = Blur()
    motion: Motion = Motion()
    sharpen: Sharpen = Sharpen()
    noise: Noise = Noise()
    color: Color = Color()
    gray: Sometimes = Sometimes(p=0.05)
    cutout: Sometimes = Sometimes(p=0.0)
