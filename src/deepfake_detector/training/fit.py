"""Trains a network in two phases and leaves it with its best weights; an interrupted training goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.checkpoint import BEST_FILE, FINAL_FILE, Check, save_network
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.fitdata import FitData
from deepfake_detector.training.phases import START_FILE, Training, known_both_classes, learn
from deepfake_detector.training.selection import Figures, figures
from deepfake_detector.training.steps import Logits, predictor

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class FitResult:
    """The checks of both phases; what the final network says of the validation pictures, and how good that is."""

    checks: tuple[Check, ...]
    validation: Logits
    figures: Figures


def fit(network: keras.Model, data: FitData, config: TrainConfig, folder: Path, callback: Callback) -> FitResult:
    """Train, or go on from the last state in ``folder`` (that of the checkpoints), to the same result.

    The network ends with the weights of the best check, mixed with those before fine-tuning where the config says so;
    they are also in ``final.keras``. Raises DataError, WeightsError, and ConfigError if the loss is no number any more.
    """
    known_both_classes(data.known)
    state = learn(Training(network, data, config, folder, callback))
    _take_best(network, folder, config.train.keep_start)
    validation = predictor(network)(data.validation.epoch_dataset(0))
    return FitResult(state.checks, validation, figures(data.known, validation.fake))


def _take_best(network: keras.Model, folder: Path, keep_start: float) -> None:
    """The best weights; with ``keep_start`` their mean with those before fine-tuning (Wortsman et al. 2022)."""
    network.load_weights(folder / BEST_FILE)
    if keep_start:
        best = network.get_weights()
        network.load_weights(folder / START_FILE)
        start = network.get_weights()
        network.set_weights([keep_start * a + (1.0 - keep_start) * b for a, b in zip(start, best, strict=True)])
    save_network(network, folder / FINAL_FILE)
