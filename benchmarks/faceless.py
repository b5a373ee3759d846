"""A hundred pictures without a face: photos of scikit-image and scikit-learn, generated textures, drawn scenes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

PHOTOS = (
    "brick", "cell", "chelsea", "clock_motion", "coffee", "color", "grass", "gravel", "horse", "hubble_deep_field",
    "ihc", "logo", "moon", "motorcycle_left", "motorcycle_right", "page", "phantom", "retina", "rocket", "text",
)  # fmt: skip
"""Those inside the wheel of scikit-image; without astronaut, camera (a man) and coins (portraits)."""
CROPPED = ("chelsea", "coffee", "hubble_deep_field", "ihc", "motorcycle_left", "retina", "rocket")
SIDE = 384
TEXTURES, SCENES = 20, 22


def photos() -> dict[str, Picture]:
    """The non-face photos, RGB."""
    import skimage.data
    from sklearn.datasets import load_sample_images

    folder = Path(skimage.data.__file__).parent
    found = {}
    for name in PHOTOS:
        file = next(path for path in sorted(folder.glob(f"{name}.*")) if path.suffix in {".png", ".jpg"})
        found[name] = cv2.cvtColor(cv2.imread(str(file), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    samples = load_sample_images()
    for file, image in zip(samples.filenames, samples.images, strict=True):
        found[Path(file).stem] = np.asarray(image, dtype=np.uint8)
    return found


def quarters(image: Picture) -> list[Picture]:
    """The four corners of a picture, each a little over half as wide and high."""
    height, width = image.shape[:2]
    h, w = round(height * 0.55), round(width * 0.55)
    return [image[:h, :w], image[:h, -w:], image[-h:, :w], image[-h:, -w:]]


def texture(rng: np.random.Generator, index: int) -> Picture:
    """Noise at several scales, stripes, checks, or cells, in random colours."""
    kind = index % 4
    if kind == 0:
        image = np.zeros((SIDE, SIDE, 3), np.float32)
        for octave in range(2, 8):
            grid = rng.random((2**octave, 2**octave, 3), dtype=np.float32)
            image += cv2.resize(grid, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) / octave
        return _levels(image)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    if kind == 1:
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 60)
        wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period)
        return _levels(wave[..., None] * rng.uniform(0.3, 1.0, 3).astype(np.float32))
    if kind == 2:
        side = rng.uniform(8, 60)
        checks = ((x // side + y // side) % 2)[..., None] * rng.uniform(0.2, 1.0, 3)
        return _levels((checks + rng.normal(0, 0.1, checks.shape)).astype(np.float32))
    seeds = rng.uniform(0, SIDE, (60, 2)).astype(np.float32)
    near = np.sqrt((x[..., None] - seeds[:, 0]) ** 2 + (y[..., None] - seeds[:, 1]) ** 2).min(axis=-1)
    return _levels(near[..., None] * rng.uniform(0.3, 1.0, 3).astype(np.float32))


def scene(rng: np.random.Generator) -> Picture:
    """Sky, ground, sun, houses with windows and a door, trees, a few round and straight things."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    horizon = int(rng.integers(SIDE // 3, 2 * SIDE // 3))
    image[:horizon], image[horizon:] = _color(rng), _color(rng)
    cv2.circle(image, _point(rng, 0, horizon), int(rng.integers(15, 45)), _color(rng), -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 6))):
        left, bottom = _point(rng, horizon, SIDE)
        width, height = int(rng.integers(40, 130)), int(rng.integers(40, 130))
        wall, glass = _color(rng), _color(rng)
        cv2.rectangle(image, (left, bottom - height), (left + width, bottom), wall, -1)
        roof = np.array(
            [
                [left - 8, bottom - height],
                [left + width + 8, bottom - height],
                [left + width // 2, bottom - height - 45],
            ]
        )
        cv2.fillPoly(image, [roof], _color(rng), cv2.LINE_AA)
        for share in (0.15, 0.6):
            x, y = left + int(width * share), bottom - int(height * 0.8)
            cv2.rectangle(image, (x, y), (x + width // 4, y + height // 4), glass, -1)
        cv2.rectangle(image, (left + width * 2 // 5, bottom - height // 3), (left + width * 3 // 5, bottom), glass, -1)
    for _ in range(int(rng.integers(2, 8))):
        x, y = _point(rng, horizon, SIDE)
        cv2.rectangle(image, (x - 4, y - 50), (x + 4, y), (90, 60, 30), -1)
        cv2.circle(image, (x, y - 60), int(rng.integers(15, 35)), _color(rng), -1, cv2.LINE_AA)
    for _ in range(int(rng.integers(2, 10))):
        cv2.line(image, _point(rng, 0, SIDE), _point(rng, 0, SIDE), _color(rng), int(rng.integers(1, 6)), cv2.LINE_AA)
        axes = (int(rng.integers(5, 40)), int(rng.integers(5, 40)))
        cv2.ellipse(image, _point(rng, 0, SIDE), axes, 0.0, 0.0, 360.0, _color(rng), 2, cv2.LINE_AA)
    noisy = image + rng.normal(0.0, 4.0, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def pictures(seed: int = 0) -> Iterator[tuple[str, Picture]]:
    """The hundred, named: 22 photos, 36 quarters of them, 20 textures, 22 drawn scenes."""
    rng = np.random.default_rng(seed)
    whole = photos()
    yield from whole.items()
    for name in (*CROPPED, "china", "flower"):
        for index, part in enumerate(quarters(whole[name])):
            yield f"{name}-{index}", np.ascontiguousarray(part)
    for index in range(TEXTURES):
        yield f"texture-{index}", texture(rng, index)
    for index in range(SCENES):
        yield f"scene-{index}", scene(rng)


def _levels(image: NDArray[np.float32]) -> Picture:
    low, high = float(image.min()), float(image.max())
    return np.asarray((image - low) * (255.0 / max(high - low, 1e-6)), dtype=np.uint8)


def _color(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def _point(rng: np.random.Generator, top: int, bottom: int) -> tuple[int, int]:
    return int(rng.integers(0, SIDE)), int(rng.integers(top, max(bottom, top + 1)))
