"""The two phases of training: the head alone on cached features, then the network from one block on."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfake_detector.core.errors import ConfigError, DataError
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.checkpoint import (
    BEST_FILE,
    Check,
    State,
    load_state,
    restore,
    save_network,
    save_state,
    weights_name,
)
from deepfake_detector.training.config import BatchNorm, Schedule, Selection, TrainConfig, TrainPhase, Tune
from deepfake_detector.training.features import HeadData, cached_features, forget_features
from deepfake_detector.training.fitdata import FitData
from deepfake_detector.training.models.network import (
    begin_as_identity,
    freeze_all_but_heads,
    freeze_all_but_norms,
    head_model,
    settle_batchnorm,
    unfreeze_from,
)
from deepfake_detector.training.selection import Figures, Known, figures
from deepfake_detector.training.steps import Logits, Stepper, current_rate, learning_rate
from deepfake_detector.training.team import ALONE, Team
from deepfake_detector.training.weights import RANDOM

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

HEAD, FINE, DONE = "head", "fine-tuning", "done"
START_FILE = "start.keras"


@dataclass(frozen=True, slots=True)
class Training:
    """What both phases work with; ``folder`` is that of the checkpoints."""

    network: keras.Model
    data: FitData
    config: TrainConfig
    folder: Path
    callback: Callback
    team: Team = ALONE

    @property
    def first_epoch(self) -> int:
        """The number of fine-tuning's first epoch: the views of the head were those before it."""
        return self.config.head.views if self.config.head.epochs else 0

    def judge(self, place: tuple[str, int, int], logits: Logits, meter: Meter, rate: float, best: float) -> Check:
        """The check at (phase, epoch, step), whose validation logits these are."""
        loss = sum(meter.losses) / len(meter.losses) if meter.losses else float("nan")
        said, metric = figures(self.data.known, logits.fake), self.config.train.metric
        values = self.team.same(np.array([loss, said.loss, said.auc, said.set_auc], dtype=np.float64))
        loss, found = float(values[0]), Figures(*values[1:].tolist())
        seconds = time.monotonic() - meter.start
        return Check(
            *place,
            lr=rate,
            loss=loss,
            val_loss=found.loss,
            auc=found.auc,
            set_auc=found.set_auc,
            best=metric is Selection.LAST or found.score(metric) > best,
            seconds=round(seconds, 2),
            images_per_second=round(meter.images / max(meter.seconds, 1e-9), 2),
        )

    def save(self, state: State, variables: Sequence[Any]) -> State:
        """Write the state and the variables; the state then names their file."""
        state = replace(state, weights=weights_name(state))
        self.team.lead(lambda: save_state(self.folder, state, variables))
        return state

    def keep(self, file: str) -> None:
        """Write the network."""
        self.team.lead(lambda: save_network(self.network, self.folder / file))


@dataclass(slots=True)
class Meter:
    """Losses and speed since the last check; ``seconds`` is the time spent on training alone."""

    losses: list[float] = field(default_factory=list)
    images: int = 0
    start: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def add(self, loss: float, images: int) -> None:
        """A batch is done. Raises ConfigError if the loss is no number any more."""
        if not math.isfinite(loss):
            raise ConfigError(f"the loss became {loss}; set a lower learning rate (head.lr or train.lr)")
        self.losses.append(loss)
        self.images += images
        self.seconds = time.monotonic() - self.start


def learn(training: Training) -> State:
    """Both phases, from the last state on the disk to the end; the best network is then in ``best.keras``."""
    state = load_state(training.folder)
    try:
        if state.phase == HEAD:
            state = train_head(training, state)
            training.keep(START_FILE)
        if state.phase == FINE:
            state = fine_tune(training, state)
    finally:
        training.callback.on_end()
    return state


def train_head(training: Training, state: State) -> State:
    """Phase one. It takes seconds once the features are cached, so an interruption begins it anew.

    Leaves the best head in the network and on the disk, and the state at the beginning of phase two.
    """
    if training.config.model.weights == RANDOM:
        begin_as_identity(training.network)
        settle_batchnorm(training.network, training.data.train.epoch_dataset(0).repeat())
    freeze_all_but_heads(training.network)
    if training.config.head.epochs:
        state = _head_epochs(training, State())
    training.keep(BEST_FILE)
    state = replace(state, phase=FINE, epoch=0, step=0, checks_without_gain=0)
    state = training.save(state, training.network.variables)
    if state.checks:  # none where the phase is left out
        training.callback.on_check(state.checks)
    training.team.lead(lambda: forget_features(training.folder))
    return state


def _head_epochs(training: Training, state: State) -> State:
    import keras

    phase = training.config.head
    cached = cached_features(
        training.network, training.data, phase.views, training.folder, training.callback, training.team
    )
    head = head_model(training.network)
    steps = cached.steps(phase.batch_size) * phase.epochs
    optimizer = keras.optimizers.Adam(learning_rate(phase.lr, steps, 0.0, Schedule.COSINE))
    stepper = Stepper(head, optimizer, training.config.loss)
    training.callback.on_phase(HEAD, len(cached.training) * phase.epochs, 0)
    best = head.get_weights()
    for epoch in range(1, phase.epochs + 1):
        check = _head_epoch(training, stepper, cached, epoch, state.score)
        if check.best:
            best = head.get_weights()
        state = state.with_check(check, training.config.train.metric)
    head.set_weights(best)
    return state


def _head_epoch(training: Training, stepper: Stepper, cached: HeadData, epoch: int, best: float) -> Check:
    meter, rate = Meter(), current_rate(stepper.optimizer)
    for batch in cached.batches(training.config.head.batch_size, training.config.seed, epoch):
        meter.add(float(stepper.train(*batch)), len(batch[0]))
        training.callback.on_batch(len(batch[0]), meter.losses[-1])
    logits = stepper.predict([(cached.validation,)])
    return training.judge((HEAD, epoch, 0), logits, meter, rate, best)


def fine_tune(training: Training, state: State) -> State:
    """Phase two, from the state to the end or the early stop, with a checkpoint at every check."""
    if training.config.train.epochs:
        state = _FineTuning(training, state).run()
    return training.save(replace(state, phase=DONE), [])


class _FineTuning:
    def __init__(self, training: Training, state: State) -> None:
        self._training, self._state = training, state
        self._phase = training.config.train
        self._loader = training.data.train
        self._steps = [self._loader.steps(training.first_epoch + epoch) for epoch in range(self._phase.epochs)]
        network = training.network
        choose_what_learns(network, self._phase)
        begins = all(check.phase != FINE for check in state.checks)
        if begins:
            restore(training.folder, state, network.variables)
        self._stepper = training.team.stepper(network, self._optimizer(), training.config.loss, self._phase.ema)
        if not begins:
            restore(training.folder, state, self._stepper.variables())

    def _optimizer(self) -> keras.optimizers.Optimizer:
        import keras

        phase = self._phase
        rate = learning_rate(phase.lr, sum(self._steps), phase.warmup, phase.schedule)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=phase.weight_decay, global_clipnorm=phase.clip_norm)
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    def run(self) -> State:
        loader, first, callback = self._loader, self._training.first_epoch, self._training.callback
        images = [len(loader.indices(first + epoch)) for epoch in range(self._phase.epochs)]
        done = sum(images[: self._state.epoch]) + self._state.step * self._phase.batch_size
        callback.on_phase(FINE, sum(images), done)
        if not math.isfinite(self._state.score):
            self._check(0, 0, Meter())
        for epoch in range(self._state.epoch, self._phase.epochs):
            self._epoch(epoch)
            if self._state.checks_without_gain >= self._phase.patience:
                break
        return self._state

    def _epoch(self, epoch: int) -> None:
        steps = self._steps[epoch]
        count = self._phase.checks_per_epoch
        checks = {max(1, round(steps * (number + 1) / count)) for number in range(count)}
        meter, step, number = Meter(), self._state.step, self._training.first_epoch + epoch
        pictures, size = len(self._loader.indices(number)), self._phase.batch_size
        for batch in self._loader.epoch_dataset(number, self._training.team.part).skip(step):
            images = min(size, pictures - step * size)
            meter.add(float(self._stepper.train(*batch)), images)
            self._training.callback.on_batch(images, meter.losses[-1])
            step += 1
            if step in checks:
                self._check(epoch, step, meter)
                meter = Meter()
                if self._state.checks_without_gain >= self._phase.patience:
                    return
        if step != steps:
            raise DataError(
                f"epoch {epoch + 1} gave {step} batches instead of {steps}; were pictures removed meanwhile?"
            )

    def _check(self, epoch: int, step: int, meter: Meter) -> None:
        """Validate the (averaged) weights, keep them if they are the best, and save the state."""
        training, stepper = self._training, self._stepper
        rate = current_rate(stepper.optimizer)
        stepper.agree()
        stepper.exchange_averages()
        logits = stepper.predict(training.data.validation.epoch_dataset(0, training.team.part))
        check = training.judge((FINE, epoch + 1, step), logits, meter, rate, self._state.score)
        if check.best:
            training.keep(BEST_FILE)
        stepper.exchange_averages()
        ends = step == self._steps[epoch]
        state = self._state.with_check(check, self._phase.metric)
        state = replace(state, epoch=epoch + 1, step=0) if ends else replace(state, epoch=epoch, step=step)
        self._state = training.save(state, stepper.variables())
        training.callback.on_check(self._state.checks)


def choose_what_learns(network: keras.Model, phase: TrainPhase) -> None:
    """Freeze and unfreeze the layers as phase two wants them. Raises ConfigError if it cannot be done."""
    if phase.tune is Tune.HEAD:
        freeze_all_but_heads(network)
        return
    unfreeze_from(network, phase.from_block)
    if phase.tune is Tune.NORMS:
        freeze_all_but_norms(network)
    elif phase.batchnorm is BatchNorm.LEARNED:
        _learn_batchnorm(network)


def _learn_batchnorm(network: keras.Model) -> None:
    """Let BatchNorm learn, and measure its inputs, from the first layer that learns on."""
    import keras

    first = next(place for place, layer in enumerate(network.layers) if layer.trainable and layer.weights)
    for layer in network.layers[first:]:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = True


def known_both_classes(known: Known) -> None:
    """Raises DataError unless there are real and fake validation pictures."""
    if set(known.labels.tolist()) != {0, 1}:
        raise DataError("the validation pictures are all of one class; give both, else nothing can be selected by them")
