"""One compiled training step, with the loss of both heads and averaged weights, and compiled prediction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfake_detector.core.types import FloatArray
from deepfake_detector.training.config import LossConfig, Schedule

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


@dataclass(frozen=True, slots=True)
class Logits:
    """What a network says of N pictures: ``fake`` and ``kind``, each (N,) float32."""

    fake: FloatArray
    kind: FloatArray


class Stepper:
    """A network, its optimizer and, if ``ema`` is above 0, the running average of its trainable weights."""

    def __init__(
        self,
        network: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: LossConfig,
        ema: float = 0.0,
    ) -> None:
        import tensorflow as tf

        self.network = network
        self.optimizer = optimizer
        self._loss = loss
        self._decay = ema
        self._learning = list(network.trainable_variables)
        optimizer.build(self._learning)
        self.averages = [tf.Variable(variable.value) for variable in self._learning] if ema else []
        answers = {key: tf.TensorSpec((None,), tf.float32) for key in ("fake", "kind")}
        self.train = tf.function(self._train, input_signature=(input_spec(network), answers, answers))
        self.predict = predictor(network)

    def _train(self, images: tf.Tensor, targets: dict[str, tf.Tensor], weights: dict[str, tf.Tensor]) -> tf.Tensor:
        """One step on a batch; returns the loss before it, a scalar."""
        loss, gradients = self._gradients(images, targets, weights)
        self._apply(gradients)
        return loss

    def _gradients(
        self, images: tf.Tensor, targets: dict[str, tf.Tensor], weights: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The loss of a batch, a scalar, and its gradient by each variable that learns."""
        import tensorflow as tf

        values = [variable.value for variable in self._learning]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            logits = self.network(images, training=True)
            loss = self._losses(logits, targets, weights)
            if self.network.losses:
                loss += tf.add_n(self.network.losses)
        return loss, tape.gradient(loss, values)

    def _apply(self, gradients: list[tf.Tensor]) -> None:
        """Move the weights along the gradients, and their averages after them."""
        self.optimizer.apply(gradients, self._learning)
        for average, variable in zip(self.averages, self._learning, strict=bool(self.averages)):
            average.assign(self._decay * average + (1.0 - self._decay) * variable.value)

    def _losses(
        self, logits: dict[str, tf.Tensor], targets: dict[str, tf.Tensor], weights: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """Cross-entropy of fake or real, plus that of the kind, which weighs 0 where the kind is not known."""
        import tensorflow as tf

        entropy = tf.nn.sigmoid_cross_entropy_with_logits
        smooth = self._loss.label_smoothing
        known = targets["fake"] * (1.0 - 2.0 * smooth) + smooth
        loss = tf.reduce_mean(weights["fake"] * entropy(known, logits["fake"]))
        kind = tf.reduce_mean(weights["kind"] * entropy(targets["kind"], logits["kind"]))
        return loss + self._loss.kind_weight * kind

    def exchange_averages(self) -> None:
        """Put the averaged weights into the network and the network's aside; a second call undoes it."""
        for average, variable in zip(self.averages, self._learning, strict=bool(self.averages)):
            aside = variable.numpy()
            variable.assign(average)
            average.assign(aside)

    def agree(self) -> None:
        """Where several processes train one network: let them have the same variables. Here there is one."""

    def variables(self) -> list[Any]:
        """Everything that a training step changes or depends on, in a fixed order: for checkpoints."""
        return [*self.network.variables, *self.optimizer.variables, *self.averages]


def input_spec(network: keras.Model) -> Any:
    """The signature of a batch of any size, so that the last, smaller batch compiles nothing anew."""
    import tensorflow as tf

    entry = network.inputs[0]
    return tf.TensorSpec((None, *entry.shape[1:]), entry.dtype)


def predictor(network: keras.Model) -> Callable[[Any], Logits]:
    """A compiled function from a data set (or any batches, pictures or features first) to the logits of all of it."""
    import tensorflow as tf

    forward = tf.function(lambda images: network(images, training=False), input_signature=(input_spec(network),))

    def predict(batches: Any) -> Logits:
        parts = [forward(batch[0]) for batch in batches if batch[0].shape[0]]
        fake, kind = (np.concatenate([part[key].numpy() for part in parts]) for key in ("fake", "kind"))
        return Logits(fake, kind)

    return predict


def learning_rate(highest: float, steps: int, warmup: float, schedule: Schedule) -> Any:
    """A learning rate that rises over the first ``warmup`` (share of all ``steps``), then follows the schedule."""
    import keras

    rising = round(warmup * steps)
    if schedule is Schedule.CONSTANT and not rising:
        return highest
    # A cosine that is never gone down (alpha 1) is constant.
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if rising else highest,
        decay_steps=max(steps - rising, 1),
        alpha=1.0 if schedule is Schedule.CONSTANT else 0.0,
        warmup_target=highest if rising else None,
        warmup_steps=rising,
    )


def current_rate(optimizer: keras.optimizers.Optimizer) -> float:
    """The learning rate of the next step."""
    return float(optimizer.learning_rate)
