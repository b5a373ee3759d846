"""Turns whatever Pillow decoded (grey, CMYK, Lab, 16 bits, float, palette, alpha) into 8-bit sRGB."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsProfile

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262
_WHITE_IS_ZERO = 0
_SRGB_TOLERANCE = 2


def to_rgb(image: Image.Image, notes: list[str]) -> Image.Image:
    """An 8-bit RGB picture in sRGB, of the same size; what was guessed or changed is added to ``notes``, in words.

    * 16-bit grey is scaled by its full range, never clipped; grey values without a fixed range (32-bit, float) by
      the smallest usual range (1, 255 or 65535) that holds the largest of them.
    * An embedded ICC profile is applied (relative colorimetric, black-point compensation). One whose colours are
      sRGB's to within 2/255 is left alone, so that the pixels stay as they were.
    * Transparent parts are shown over white.
    """
    alpha = _alpha(image)
    rgb = _color_managed(_opaque(image, notes), image.info.get("icc_profile"), notes)
    if alpha is None:
        return rgb
    notes.append("the picture has transparent parts; they were shown over white")
    return Image.composite(rgb, Image.new("RGB", rgb.size, (255, 255, 255)), alpha)


def _alpha(image: Image.Image) -> Image.Image | None:
    """The opacity as an ``L`` picture, or None if every pixel is opaque."""
    if not image.has_transparency_data or image.mode.startswith("I"):
        return None
    alpha = image.convert("LA" if image.mode == "La" else "RGBA").getchannel("A")
    return alpha if np.asarray(alpha).min() < 255 else None


def _opaque(image: Image.Image, notes: list[str]) -> Image.Image:
    """The colours without the opacity, 8 bits, in mode L, RGB, CMYK or LAB."""
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_to_8_bits(image, notes))
    if image.mode in {"La", "RGBa"}:
        image = image.convert(image.mode.upper())
    if image.mode in {"1", "L", "LA"}:
        return image.convert("L")
    return image if image.mode in {"RGB", "CMYK", "LAB"} else image.convert("RGB")


def _to_8_bits(image: Image.Image, notes: list[str]) -> NDArray[np.uint8]:
    """Wide grey values, shape (height, width), scaled to 0–255."""
    tags = getattr(image, "tag_v2", {})
    values = np.asarray(image).astype(np.float32)
    if image.mode.startswith("I;16"):
        bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
        top = 2.0**bits - 1.0 if 8 < bits < 16 else 65535.0
    else:
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        top = _guess_top(float(values.max()), (255.0, 65535.0) if image.mode == "I" else (1.0, 255.0, 65535.0))
        notes.append(f"the picture's values have no fixed range; they were read as 0 to {top:g}")
    scaled: NDArray[np.uint8] = np.clip(values * np.float32(255.0 / top) + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.invert(scaled) if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else scaled


def _guess_top(largest: float, usual: tuple[float, ...]) -> float:
    return next((top for top in usual if largest <= top), largest)


def _color_managed(image: Image.Image, profile: bytes | None, notes: list[str]) -> Image.Image:
    """``image`` in sRGB: by its ICC profile if there is one that can be used, else as if it were sRGB."""
    if profile:
        try:
            return _by_profile(image, profile)
        except ImportError:
            notes.append("this Pillow is built without colour management; the embedded colour profile was ignored")
        except (OSError, ValueError, TypeError) as error:
            notes.append(f"the embedded colour profile cannot be used and was ignored ({error})")
    return image.convert("RGB")


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Raises ImportError, or one of OSError, ValueError and TypeError if the profile is broken or does not fit."""
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if space == "RGB" and image.mode == "L":
        image = image.convert("RGB")
    wanted = {"L": "GRAY", "LAB": "Lab"}.get(image.mode, image.mode)
    if space != wanted:
        raise ValueError(f"it is made for {space} and the picture is {wanted}")
    try:
        return _transformed(image, source)
    except ImageCms.PyCMSError as error:
        raise ValueError(str(error)) from error


def _transformed(image: Image.Image, source: ImageCmsProfile) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.buildTransform(
        source,
        ImageCms.createProfile("sRGB"),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if image.mode in {"RGB", "L"}:
        probe = _probe(image.mode)
        moved = _apply(probe, transform)
        change = np.abs(np.asarray(moved, dtype=np.int16) - np.asarray(probe.convert("RGB"), dtype=np.int16))
        if change.max() <= _SRGB_TOLERANCE:
            return image.convert("RGB")
    return _apply(image, transform)


def _apply(image: Image.Image, transform: object) -> Image.Image:
    from PIL import ImageCms

    moved = ImageCms.applyTransform(image, transform)  # type: ignore[arg-type]
    if moved is None:
        raise ValueError("it does not give a new picture")
    return moved


def _probe(mode: str) -> Image.Image:
    """All greys, or 9³ colours evenly spread over the RGB cube."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)
    return Image.fromarray(cube.reshape(27, 27, 3))
