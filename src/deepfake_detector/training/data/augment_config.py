"""The augmentation part of an experiment file: how often and how strongly a training picture is changed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _ordered(values: tuple[float, float]) -> tuple[float, float]:
    if values[0] > values[1]:
        raise ValueError(f"[{values[0]:g}, {values[1]:g}] is no range; give the smaller number first")
    return values


Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Quality = Annotated[int, Field(ge=1, le=100)]
Rate = Annotated[int, Field(ge=0, le=51)]
QualityRange = Annotated[tuple[Quality, Quality], AfterValidator(_ordered)]
Positive = Annotated[float, Field(gt=0.0)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class Sometimes(_Strict):
    """A change that has no strength."""

    p: Probability = Field(0.0, description="how often, 0–1")


class Codec(_Strict):
    """Save with a loss and open again; JPEG with a random chroma subsampling."""

    p: Probability = Field(0.3, description="how often, 0–1")
    quality: QualityRange = Field((40, 95), description="lowest and highest quality, 1–100")


class Video(_Strict):
    """Encode as a picture of an H.264 stream and decode again, as frames of clips have been; needs the extra video."""

    p: Probability = Field(0.0, description="how often, 0–1")
    crf: Annotated[tuple[Rate, Rate], AfterValidator(_ordered)] = Field(
        (20, 36), description="smallest and largest constant rate factor of x264, 0–51; larger is coarser"
    )


class Resize(_Strict):
    """Scale by a random factor and back, each time with a random interpolation."""

    p: Probability = Field(0.3, description="how often, 0–1")
    scale: PositiveRange = Field((0.4, 1.3), description="smallest and largest factor")


class Blur(_Strict):
    """Gaussian blur."""

    p: Probability = Field(0.1, description="how often, 0–1")
    sigma: PositiveRange = Field((0.3, 2.0), description="smallest and largest deviation, in pixels of the picture")


class Motion(_Strict):
    """Blur along a line of random direction."""

    p: Probability = Field(0.05, description="how often, 0–1")
    length: PositiveRange = Field((3.0, 9.0), description="shortest and longest line, in pixels of the picture")


class Sharpen(_Strict):
    """Unsharp mask."""

    p: Probability = Field(0.05, description="how often, 0–1")
    amount: PositiveRange = Field((0.3, 1.5), description="weakest and strongest; 1 adds what a small blur takes away")


class Noise(_Strict):
    """Noise, even or growing with the light, coloured or grey."""

    p: Probability = Field(0.1, description="how often, 0–1")
    sigma: PositiveRange = Field((1.0, 10.0), description="smallest and largest deviation, in levels of 0–255")


class Color(_Strict):
    """Random changes of light and colour, each up to the number given, in both directions."""

    p: Probability = Field(0.3, description="how often, 0–1")
    brightness: float = Field(0.15, ge=0.0, le=1.0, description="share of the full range that is added")
    contrast: float = Field(0.2, ge=0.0, lt=1.0, description="share by which distances from the middle grow")
    saturation: float = Field(0.3, ge=0.0, le=1.0, description="share by which distances from grey grow")
    hue: float = Field(8.0, ge=0.0, le=180.0, description="turn around the grey axis, in degrees")
    gamma: float = Field(0.2, ge=0.0, lt=1.0, description="share by which the exponent grows")


class AugmentConfig(_Strict):
    """How training pictures are changed; the same for both classes.

    ``flip`` to ``shift`` are folded into the one crop warp. Before it, the picture itself, at its own resolution, gets
    at most ``max_degradations`` of the changes from ``jpeg`` to ``gray``, in random order.
    """

    flip: Probability = Field(0.5, description="how often left and right are mirrored, 0–1")
    rotation: float = Field(8.0, ge=0.0, le=45.0, description="largest turn to either side, in degrees")
    zoom: PositiveRange = Field((0.9, 1.1), description="smallest and largest factor on the side of the crop")
    shift: float = Field(0.04, ge=0.0, le=0.5, description="largest move each way, as a share of the crop's side")
    max_degradations: int = Field(3, ge=0, le=10, description="at most so many of the changes below on one picture")
    jpeg: Codec = Field(Codec(), description="JPEG")
    webp: Codec = Field(Codec(p=0.05), description="WebP")
    video: Video = Field(Video(), description="a frame of a clip (H.264)")
    resize: Resize = Field(Resize(), description="smaller or larger, and back")
    blur: Blur = Field(Blur(), description="Gaussian blur")
    motion: Motion = Field(Motion(), description="motion blur")
    sharpen: Sharpen = Field(Sharpen(), description="sharpening")
    noise: Noise = Field(Noise(), description="sensor-like noise")
    color: Color = Field(Color(), description="light and colour")
    gray: Sometimes = Field(Sometimes(p=0.05), description="grey pictures")
    cutout: Sometimes = Field(Sometimes(p=0.0), description="eyes, nose, mouth or a side of the face covered")
