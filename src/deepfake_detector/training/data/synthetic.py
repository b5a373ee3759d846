"""Samples that do not lie on disk: fakes synthesised anew in each epoch from the real faces of a training set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import FloatArray, ImageArray, Kind
from deepfake_detector.training.data.blend import disturb
from deepfake_detector.training.data.crops import CachedCrop
from deepfake_detector.training.data.samples import SYNTHETIC, Label, Sample, near_miss
from deepfake_detector.training.data.synthesize import (
    Likeness,
    MeshedFace,
    SynthesisConfig,
    Synthetic,
    likeness,
    similar_partner,
    synthesize,
)

Read = Callable[[int], ImageArray]
_LEAST_INSIDE = 0.98
"""Share of the mesh's points."""


class SyntheticConfig(BaseModel):
    """Which reals fakes are made from, and how. Each adds one fake to its set's pool ``<set>+synthetic``."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sets: tuple[str, ...] | None = Field(default=None, description="only from the reals of these sets; null: all")
    recipes: SynthesisConfig = Field(default_factory=SynthesisConfig, description="shares of the recipes")
    disturb_reals: float = Field(
        default=0.5,
        ge=0.0,
        le=1.0,
        description="how often a real of these sets gets the plain changes that self-blending gives to surroundings",
    )
    candidates: int = Field(default=24, ge=1, description="random people among whom the most similar face is taken")


class SyntheticFakes:
    """Makes the fakes; number ``k`` is made from the crop ``sources[k]``. Raises DataError if there is none to use."""

    def __init__(
        self, crops: Sequence[CachedCrop], meshes: Mapping[Path, FloatArray], config: SyntheticConfig | None = None
    ) -> None:
        self.config = config or SyntheticConfig()
        present = sorted({crop.sample.set for crop in crops})
        for name in self.config.sets or ():
            if name not in present:
                raise DataError(f"there is no set {name!r} to synthesise from{near_miss(name, present)}")
        wanted = set(present if self.config.sets is None else self.config.sets)
        reals = [i for i, crop in enumerate(crops) if crop.sample.label is Label.REAL and crop.sample.set in wanted]
        self._disturbed = frozenset(reals)
        self.sources = tuple(i for i in reals if crops[i].file in meshes and _inside(meshes[crops[i].file], crops[i]))
        if not self.sources:
            raise DataError(
                f"of {len(reals)} real faces, none has a mesh that lies in its picture, to synthesise fakes from; "
                "look at synthetic.sets"
            )
        self._meshes = {i: meshes[crops[i].file] for i in self.sources}
        self._likeness: dict[int, Likeness] = {}
        self.samples = tuple(_fake_of(crops[i].sample) for i in self.sources)

    def fake(self, number: int, read: Read, rng: np.random.Generator) -> ImageArray:
        """The fake ``number`` (0 … len(sources)), uint8 RGB of its source's shape; ``read`` gives a crop's pixels."""
        return self.make(number, read, rng).pixels

    def make(self, number: int, read: Read, rng: np.random.Generator) -> Synthetic:
        """As ``fake``, with the mask and the real picture to show beside it."""
        source = self.sources[number]
        drawn = [self.sources[int(k)] for k in rng.integers(len(self.sources), size=self.config.candidates)]
        others = [i for i in drawn if i != source] or drawn
        partner = others[similar_partner(self._like(source, read), [self._like(i, read) for i in others])]
        target, other = (MeshedFace(read(i), self._meshes[i]) for i in (source, partner))
        return synthesize(target, other, self.config.recipes, rng)

    def _like(self, index: int, read: Read) -> Likeness:
        if index not in self._likeness:
            self._likeness[index] = likeness(MeshedFace(read(index), self._meshes[index]))
        return self._likeness[index]

    def plain(self, index: int, pixels: ImageArray, rng: np.random.Generator) -> ImageArray:
        """A real as it is, or with the plain changes that the surroundings of self-blended faces have."""
        if index in self._disturbed and rng.random() < self.config.disturb_reals:
            return disturb(pixels, rng)
        return pixels


def _inside(mesh: FloatArray, crop: CachedCrop) -> bool:
    """Whether nearly all of a face lies in its picture; else the border of a blend would lie outside of it."""
    within = (mesh >= 0.0) & (mesh <= np.array([crop.width, crop.height]))
    return bool(within.all(axis=1).mean() >= _LEAST_INSIDE)


def _fake_of(sample: Sample) -> Sample:
    return replace(sample, label=Label.FAKE, kind=Kind.MANIPULATED, set=sample.set + SYNTHETIC, method="synthetic")
