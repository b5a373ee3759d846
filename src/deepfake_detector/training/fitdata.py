"""What training needs of data: batches by epoch, and the truth about the validation pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.training.selection import Known

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, slots=True)
class Part:
    """One of ``size`` equal parts of every batch: its pictures at ``rank``, ``rank + size`` …"""

    rank: int = 0
    size: int = 1

    def places(self, count: int) -> NDArray[np.int64]:
        """Which of ``count`` places are of this part."""
        return np.arange(self.rank, count, self.size, dtype=np.int64)

    def share(self, batch_size: int) -> int:
        """How many pictures of a batch are of this part. Raises ConfigError if it is not the same for all parts."""
        if batch_size % self.size:
            raise ConfigError(
                f"train.batch_size is {batch_size}; make it a multiple of the number of workers, {self.size}"
            )
        return batch_size // self.size


WHOLE = Part()


class EpochLoader(Protocol):
    """Gives the batches of an epoch, the same for the same number; ``data.dataloader.CropLoader`` is one."""

    def epoch_dataset(self, epoch: int, part: Part = WHOLE) -> tf.data.Dataset:
        """Batches of pictures (B, S, S, 3) uint8, targets and weights, both {"fake": (B,), "kind": (B,)} float32.

        There are as many batches of a part as of the whole; its last one may be empty.
        """

    def steps(self, epoch: int) -> int:
        """How many batches the epoch has."""
        ...

    def indices(self, epoch: int) -> NDArray[np.int64]:
        """Which pictures the epoch shows, in its order."""
        ...


@dataclass(frozen=True, slots=True)
class FitData:
    """Training batches; validation batches (not shuffled; epoch 0 is used) and the truth about them in that order."""

    train: EpochLoader
    validation: EpochLoader
    known: Known
