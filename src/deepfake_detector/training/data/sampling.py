"""Chooses which samples an epoch shows and in which order: balanced by class or source, real and fake side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.samples import Label, Sample, near_miss

Indices = NDArray[np.int64]


class BalanceConfig(BaseModel):
    """How often each sample is shown.

    ``balance``: ``none`` shows each once an epoch; ``class`` gives both classes half of it; ``source`` also gives each
    set of a class a share of that half, by (its number of samples) ** ``exponent`` times its weight. ``exponent`` 1
    keeps the sizes, 0 makes all sets equal. ``weights`` names sets (``utk``) or one class of one
    (``photoshop/fake``, which goes before); others weigh 1, and 0 leaves a set out. ``pairs`` puts a real and a fake
    side by side, of the same set where there are such. ``epoch_size`` is the number of samples shown in an epoch,
    None for as many as there are; it needs a balance.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    balance: Literal["none", "class", "source"] = "none"
    exponent: float = Field(default=0.5, ge=0.0, le=1.0)
    weights: dict[str, float] = Field(default_factory=dict)
    pairs: bool = False
    epoch_size: int | None = Field(default=None, ge=2)


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
    for name, weight in config.weights.items():
        if name not in known:
            raise DataError(f"a weight names {name!r}{near_miss(name, known)}; there are {', '.join(known)}")
        if weight < 0.0:
            raise DataError(f"the weight of {name!r} is {weight:g}; give 0 or more")
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
        waiting[(samples[index].label, samples[index].set)].append(int(index))
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
