"""Chooses which samples an epoch shows and in which order: balanced by class or source, real and fake side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.samples import SYNTHETIC, Label, Sample, near_miss

Indices = NDArray[np.int64]


class BalanceConfig(BaseModel):
    """How often each training picture is shown, and beside which.

    With ``source``, a set's share of its class is (its number of pictures) ** ``exponent`` times its weight.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    balance: Literal["none", "class", "source"] = Field(
        "none",
        description="'none' shows each picture once an epoch; 'class' gives both classes half of it; 'source' also "
        "gives each set of a class its share",
    )
    exponent: float = Field(0.5, ge=0.0, le=1.0, description="1 keeps the sizes of the sets, 0 makes all equal")
    weights: dict[str, float] = Field(
        default_factory=dict,
        description="set (utk), or one class of it (photoshop/fake, which goes before) → weight; others weigh 1, "
        "0 leaves it out; only with 'source'",
    )
    pairs: bool = Field(False, description="a real and a fake side by side, of the same set where there are such")
    epoch_size: int | None = Field(
        None, ge=2, description="pictures in an epoch; null: as many as there are; not with 'none'"
    )

    @model_validator(mode="after")
    def _check(self) -> BalanceConfig:
        if self.weights and self.balance != "source":
            raise ValueError(f"weights count only with balance: source, and it is {self.balance!r}")
        if self.epoch_size is not None and self.balance == "none":
            raise ValueError("epoch_size needs balance: class or source")
        wrong = {name: weight for name, weight in self.weights.items() if weight < 0.0}
        if wrong:
            raise ValueError(f"weights are 0 or more, and there are {wrong}")
        return self


def epoch_indices(samples: Sequence[Sample], config: BalanceConfig, rng: np.random.Generator) -> Indices:
    """Indices into ``samples`` for one epoch, in the order in which they are shown.

    A set that must give more than it has gives every sample as often as any other, give or take one. Raises DataError
    for a weight that names no set, and for a class that is left with nothing.
    """
    if config.balance == "none":
        chosen = rng.permutation(len(samples))
    else:
        pools = _pools(samples)
        total = config.epoch_size or len(samples)
        wanted = _wanted(pools, config, total)
        chosen = np.concatenate([_draw(pools[key], wanted[key], rng) for key in sorted(pools)])
        chosen = rng.permutation(chosen)
    chosen = chosen.astype(np.int64)
    return _paired(samples, chosen, rng) if config.pairs else chosen


def class_weights(samples: Sequence[Sample]) -> Mapping[Label, float]:
    """The weight of each class that makes both count the same, with a mean of 1 over the samples."""
    counts = {label: sum(sample.label is label for sample in samples) for label in Label}
    return {label: len(samples) / (2.0 * max(number, 1)) for label, number in counts.items()}


Pools = dict[tuple[Label, str], list[int]]


def _pools(samples: Sequence[Sample]) -> Pools:
    pools: Pools = defaultdict(list)
    for index, sample in enumerate(samples):
        pools[(sample.label, sample.set)].append(index)
    return dict(pools)


def _wanted(pools: Pools, config: BalanceConfig, total: int) -> dict[tuple[Label, str], int]:
    """How many samples of each class of each set an epoch shows."""
    weights = _weights(pools, config)
    wanted: dict[tuple[Label, str], int] = {}
    for label, number in zip(Label, (total - total // 2, total // 2), strict=True):
        keys = sorted(key for key in pools if key[0] is label)
        masses = np.array([weights[key] for key in keys])
        if not masses.sum() > 0.0:
            raise DataError(
                f"no {label.name.lower()} pictures are left to train on; look at the sets and their weights"
            )
        wanted.update(zip(keys, _whole_numbers(masses / masses.sum() * number), strict=True))
    return wanted


def _weights(pools: Pools, config: BalanceConfig) -> dict[tuple[Label, str], float]:
    if config.balance == "class":
        return {key: float(len(pool)) for key, pool in pools.items()}
    named = {(label, name): f"{name}/{label.name.lower()}" for label, name in pools}
    known = sorted({name for _, name in pools} | set(named.values()))
    for name in config.weights:
        if name not in known:
            raise DataError(f"a weight names {name!r}{near_miss(name, known)}; there are {', '.join(known)}")
    return {
        key: config.weights.get(named[key], config.weights.get(key[1], 1.0)) * len(pool) ** config.exponent
        for key, pool in pools.items()
    }


def _whole_numbers(shares: NDArray[np.float64]) -> list[int]:
    """Whole numbers with the same sum, by the largest remainders."""
    numbers = np.floor(shares).astype(int)
    missing = round(float(shares.sum())) - int(numbers.sum())
    numbers[np.argsort(numbers - shares, kind="stable")[:missing]] += 1
    return [int(number) for number in numbers]


def _draw(pool: Sequence[int], number: int, rng: np.random.Generator) -> Indices:
    rounds = -(-number // len(pool))
    drawn = [rng.permutation(np.asarray(pool, dtype=np.int64)) for _ in range(rounds)]
    return np.concatenate([np.zeros(0, dtype=np.int64), *drawn])[:number]


def _paired(samples: Sequence[Sample], chosen: Indices, rng: np.random.Generator) -> Indices:
    """Real and fake next to each other; those of one class that are left over are spread between the pairs."""
    waiting: dict[tuple[Label, str], list[int]] = defaultdict(list)
    for index in chosen:
        origin = samples[index].set.removesuffix(SYNTHETIC)
        waiting[(samples[index].label, origin)].append(int(index))
    blocks: list[list[int]] = []
    alone: dict[Label, list[int]] = {label: [] for label in Label}
    for name in sorted({name for _, name in waiting}):
        reals, fakes = waiting[(Label.REAL, name)], waiting[(Label.FAKE, name)]
        both = min(len(reals), len(fakes))
        blocks.extend([a, b] for a, b in zip(reals[:both], fakes[:both], strict=True))
        alone[Label.REAL].extend(reals[both:])
        alone[Label.FAKE].extend(fakes[both:])
    reals, fakes = ([alone[label][i] for i in rng.permutation(len(alone[label]))] for label in Label)
    both = min(len(reals), len(fakes))
    blocks.extend([a, b] for a, b in zip(reals[:both], fakes[:both], strict=True))
    # Twos of one class, so that every pair starts at an even place and is not torn by an even batch size.
    rest = reals[both:] + fakes[both:]
    blocks.extend(rest[i : i + 2] for i in range(0, len(rest) - 1, 2))
    order = [block for i in rng.permutation(len(blocks)) for block in blocks[i]]
    return np.array(order + (rest[-1:] if len(rest) % 2 else []), dtype=np.int64)
