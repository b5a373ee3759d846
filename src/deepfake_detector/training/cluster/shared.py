"""Data-parallel training: each process computes a part of every batch, and all take the same step."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.training.config import LossConfig
from deepfake_detector.training.fitdata import Part
from deepfake_detector.training.steps import Logits, Stepper, input_spec
from deepfake_detector.training.team import Team

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Number = TypeVar("Number", np.float32, np.float64)


class SharedTeam(Team):
    """Several processes that train one network. All of them call the same methods in the same order."""

    def __init__(self, part: Part) -> None:
        self.part = part

    @abstractmethod
    def sum(self, numbers: NDArray[Number]) -> NDArray[Number]:
        """The sum of the vectors (n,) of all members, the same bits for each; waits for all."""

    def lead(self, work: Callable[[], object]) -> None:
        """Let the first member do it, and all wait until it is done."""
        if self.part.rank == 0:
            work()
        self.sum(np.zeros(1, np.float32))

    def merge(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows of all members (N, k) in the order of the whole, from those of this member's part (n, k)."""
        count = round(float(self.sum(np.array([len(rows)], np.float64))[0]))
        whole = np.zeros((count, rows.shape[1]), np.float32)
        whole[self.part.places(count)] = rows
        return self.sum(whole.ravel()).reshape(whole.shape)

    def same(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the first member says, so that all decide alike."""
        return self.sum(values if self.part.rank == 0 else np.zeros_like(values))

    def stepper(
        self, network: keras.Model, optimizer: keras.optimizers.Optimizer, loss: LossConfig, ema: float
    ) -> Stepper:
        """One that averages gradients over the team."""
        return SharedStepper(self, network, optimizer, loss, ema)


class SharedStepper(Stepper):
    """Takes the step that one process would take on the whole batch.

    The mean of the members' gradients, each weighing as much as it has pictures, is the gradient of the whole batch;
    but for BatchNorm that learns, whose statistics each member takes from its own pictures.
    """

    def __init__(
        self,
        team: SharedTeam,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: LossConfig,
        ema: float,
    ) -> None:
        import tensorflow as tf

        super().__init__(network, optimizer, loss, ema)
        self._team = team
        self._shapes = [tuple(variable.shape) for variable in self._learning]
        self._length = sum(int(np.prod(shape)) for shape in self._shapes)
        answers = {key: tf.TensorSpec((None,), tf.float32) for key in ("fake", "kind")}
        self._compute = tf.function(self._flat, input_signature=(input_spec(network), answers, answers))
        self._move = tf.function(self._apply_flat, input_signature=(tf.TensorSpec((self._length,), tf.float32),))
        self.train = self._train_together
        self._predict_part = self.predict
        self.predict = self._predict_together

    def _flat(
        self, images: tf.Tensor, targets: dict[str, tf.Tensor], weights: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The loss, and all gradients in one vector."""
        import tensorflow as tf

        loss, gradients = self._gradients(images, targets, weights)
        return loss, tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], axis=0)

    def _apply_flat(self, vector: tf.Tensor) -> None:
        import tensorflow as tf

        parts = tf.split(vector, [int(np.prod(shape)) for shape in self._shapes])
        self._apply([tf.reshape(part, shape) for part, shape in zip(parts, self._shapes, strict=True)])

    def _train_together(self, images: Any, targets: dict[str, Any], weights: dict[str, Any]) -> float:
        """One step on a batch of which this member has a part, which may be empty; returns the loss before it."""
        count = int(images.shape[0])
        message = np.zeros(self._length + 2, np.float32)
        if count:
            loss, vector = self._compute(images, targets, weights)
            message[:-2] = vector.numpy() * count
            message[-2:] = float(loss) * count, count
        total = self._team.sum(message)
        self._move(total[:-2] / total[-1])
        return float(total[-2] / total[-1])

    def _predict_together(self, batches: Any) -> Logits:
        part = self._predict_part(batches)
        rows = self._team.merge(np.stack([part.fake, part.kind], axis=1))
        return Logits(rows[:, 0], rows[:, 1])

    def agree(self) -> None:
        """Give all members the mean of their variables: the statistics of BatchNorm, and what rounding moved apart."""
        chosen = [variable for variable in self.variables() if "float" in str(variable.dtype)]
        arrays = [np.asarray(variable.numpy(), np.float32) for variable in chosen]
        mean = self._team.sum(np.concatenate([array.ravel() for array in arrays])) / self._team.part.size
        begin = 0
        for variable, array in zip(chosen, arrays, strict=True):
            variable.assign(mean[begin : begin + array.size].reshape(array.shape))
            begin += array.size
