"""Who trains: one process alone; ``cluster.shared`` has the team of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.config import LossConfig
from deepfake_detector.training.fitdata import WHOLE, Part
from deepfake_detector.training.steps import Stepper

if TYPE_CHECKING:
    import keras


class Team:
    """One process, which does all and waits for nobody."""

    part: Part = WHOLE

    def lead(self, work: Callable[[], object]) -> None:
        """Let the first member do it, such as writing a file, and all wait until it is done."""
        work()

    def merge(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows of all members (N, k) in the order of the whole, from those of this member's part (n, k)."""
        return rows

    def same(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the first member says, so that all decide alike."""
        return values

    def stepper(
        self, network: keras.Model, optimizer: keras.optimizers.Optimizer, loss: LossConfig, ema: float
    ) -> Stepper:
        """What takes the steps of fine-tuning."""
        return Stepper(network, optimizer, loss, ema)


ALONE = Team()
