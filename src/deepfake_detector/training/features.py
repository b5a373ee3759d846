"""Features of the frozen backbone for the head to learn on, computed once and kept on the disk meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.types import FloatArray
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.checkpoint import write_whole
from deepfake_detector.training.fitdata import EpochLoader, FitData
from deepfake_detector.training.models.network import features_model
from deepfake_detector.training.steps import input_spec
from deepfake_detector.training.team import ALONE, Team

if TYPE_CHECKING:
    import keras

PHASE = "features"
COLUMNS = ("fake", "kind", "fake_weight", "kind_weight")


@dataclass(frozen=True, slots=True)
class HeadData:
    """``training``: features (N, d) of all views; ``answers`` (N, 4): the targets and weights of ``COLUMNS``;
    ``validation``: features (M, d) of the validation pictures, in their order.
    """

    training: FloatArray
    answers: FloatArray
    validation: FloatArray

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return -(-len(self.training) // batch_size)

    def batches(self, batch_size: int, seed: int, epoch: int) -> Iterator[tuple[Any, dict[str, Any], dict[str, Any]]]:
        """Shuffled batches of features, targets and weights, as the loaders give them for pictures."""
        order = np.random.default_rng([seed, epoch]).permutation(len(self.training))
        for begin in range(0, len(order), batch_size):
            chosen = order[begin : begin + batch_size]
            fake, kind, fake_weight, kind_weight = self.answers[chosen].T
            yield self.training[chosen], {"fake": fake, "kind": kind}, {"fake": fake_weight, "kind": kind_weight}


def cached_features(
    network: keras.Model, data: FitData, views: int, folder: Path, callback: Callback, team: Team = ALONE
) -> HeadData:
    """The features of ``views`` epochs of training pictures and of the validation pictures.

    What an interrupted run has computed is read from ``folder``. Each member of a team computes its part, and gets all.
    """
    extractor = _Extractor(network, callback, team)
    sources: Sequence[tuple[str, EpochLoader, int]] = [
        *((f"view-{view:02d}", data.train, view) for view in range(views)),
        ("validation", data.validation, 0),
    ]
    tables = []
    for name, loader, epoch in sources:
        file = _file(folder, name)
        if file.is_file():
            tables.append(np.load(file, allow_pickle=False))
            continue
        tables.append(extractor.table(loader, epoch, name))
        team.lead(partial(write_whole, file, partial(_save, tables[-1])))
    training = np.concatenate(tables[:-1])
    width = training.shape[1] - len(COLUMNS)
    return HeadData(training[:, :width], training[:, width:], tables[-1][:, :width])


def _save(table: NDArray[np.float32], path: Path) -> None:
    np.save(path, table, allow_pickle=False)


def forget_features(folder: Path) -> None:
    """Delete what ``cached_features`` has kept in ``folder``."""
    for file in folder.glob("features-*.npy"):
        file.unlink()


class _Extractor:
    def __init__(self, network: keras.Model, callback: Callback, team: Team) -> None:
        import tensorflow as tf

        model = features_model(network)
        self._features = tf.function(
            lambda images: model(images, training=False), input_signature=(input_spec(network),)
        )
        self._callback, self._team = callback, team

    def table(self, loader: EpochLoader, epoch: int, name: str) -> NDArray[np.float32]:
        """One row for each picture: its features, then ``COLUMNS``."""
        part = self._team.part
        self._callback.on_phase(f"{PHASE} ({name})", len(part.places(len(loader.indices(epoch)))), 0)
        rows = []
        for images, targets, weights in loader.epoch_dataset(epoch, part):
            if not images.shape[0]:
                continue
            answers = [targets["fake"], targets["kind"], weights["fake"], weights["kind"]]
            columns = np.stack([answer.numpy() for answer in answers], axis=1)
            rows.append(np.concatenate([self._features(images).numpy(), columns], axis=1))
            self._callback.on_batch(len(columns), None)
        return self._team.merge(np.concatenate(rows).astype(np.float32))


def _file(folder: Path, name: str) -> Path:
    return folder / f"features-{name}.npy"
