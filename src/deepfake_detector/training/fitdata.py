"""What training needs of data: batches by epoch, and the truth about the validation pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.selection import Known

if TYPE_CHECKING:
    import tensorflow as tf


class EpochLoader(Protocol):
    """Gives the batches of an epoch, the same for the same number; ``data.dataloader.CropLoader`` is one."""

    def epoch_dataset(self, epoch: int) -> tf.data.Dataset:
        """Batches of pictures (B, S, S, 3) uint8, targets and weights, both {"fake": (B,), "kind": (B,)} float32."""

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
