"""Random changes of a training picture: what happens to pictures in the wild, the same for both classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from deepfake_detector.core.types import Box, ImageArray, Landmarks
from deepfake_detector.faces.align import Jitter
from deepfake_detector.training.data import degrade
from deepfake_detector.training.data.augment_config import AugmentConfig
from deepfake_detector.training.data.degrade import Op


@dataclass(frozen=True, slots=True)
class Augmenter:
    """An ``AugmentConfig``, composed; every method takes its randomness from the generator that it is given."""

    config: AugmentConfig
    ops: tuple[tuple[float, Op], ...]

    def jitter(self, rng: np.random.Generator) -> Jitter:
        """The geometric part, to be folded into the crop warp."""
        config = self.config
        draws = rng.uniform(-1.0, 1.0, size=3)
        return Jitter(
            zoom=float(np.exp(rng.uniform(*np.log(config.zoom)))),
            shift_x=float(draws[0] * config.shift),
            shift_y=float(draws[1] * config.shift),
            rotation=float(draws[2] * config.rotation),
            flip=bool(rng.random() < config.flip),
        )

    def degrade(self, image: ImageArray, rng: np.random.Generator) -> ImageArray:
        """The pixel part, at the picture's own resolution: at most ``max_degradations`` changes, in random order.

        Takes and gives uint8 RGB of the same shape.
        """
        chosen = np.flatnonzero(rng.random(len(self.ops)) < [p for p, _ in self.ops])
        for index in rng.permutation(chosen)[: self.config.max_degradations]:
            image = self.ops[index][1](image, rng)
        return image

    def cut_out(self, image: ImageArray, box: Box, landmarks: Landmarks | None, rng: np.random.Generator) -> ImageArray:
        """Cover the eyes, the nose, the mouth or one side of the face, as often as the config says."""
        if rng.random() >= self.config.cutout.p:
            return image
        return degrade.cover_part(image, box, landmarks, rng)


def make_augmenter(config: AugmentConfig) -> Augmenter:
    """Compose the degradations that have a probability above 0."""
    factories: tuple[tuple[float, Callable[[], Op]], ...] = (
        (config.jpeg.p, lambda: degrade.jpeg(config.jpeg.quality)),
        (config.webp.p, lambda: degrade.webp(config.webp.quality)),
        (config.video.p, lambda: degrade.video(config.video.crf)),
        (config.resize.p, lambda: degrade.resize(config.resize.scale)),
        (config.blur.p, lambda: degrade.blur(config.blur.sigma)),
        (config.motion.p, lambda: degrade.motion(config.motion.length)),
        (config.sharpen.p, lambda: degrade.sharpen(config.sharpen.amount)),
        (config.noise.p, lambda: degrade.noise(config.noise.sigma)),
        (config.color.p, lambda: degrade.color(config.color)),
        (config.gray.p, lambda: degrade.gray),
    )
    return Augmenter(config, tuple((p, make()) for p, make in factories if p > 0.0))


def stream(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random numbers of one picture in one epoch, the same whichever thread draws them and in whatever order."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, epoch, index])))
