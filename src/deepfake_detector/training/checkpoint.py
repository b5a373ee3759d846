"""What is needed to go on after an interruption: the state of training, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepfake_detector.core.errors import WeightsError
from deepfake_detector.training.config import Selection

if TYPE_CHECKING:
    import keras

STATE_FILE = "state.json"
BEST_FILE = "best.keras"
FINAL_FILE = "final.keras"


@dataclass(frozen=True, slots=True)
class Check:
    """One validation: where it happened, what was found, and whether it was the best so far.

    ``set_auc`` is the mean AUC over the sets that have both classes; ``auc`` is of all pictures together;
    ``val_loss`` the mean log loss in nats with both classes of equal mass.
    """

    phase: str
    epoch: int
    step: int
    lr: float
    loss: float
    val_loss: float
    auc: float
    set_auc: float
    best: bool
    seconds: float
    images_per_second: float


@dataclass(frozen=True, slots=True)
class State:
    """How far training has come: ``step`` batches of ``epoch`` are done.

    ``score`` is that of the best check, higher is better;
    ``weights`` names the file beside it that holds all variables; empty before there are any.
    """

    phase: str = "head"
    epoch: int = 0
    step: int = 0
    score: float = -np.inf
    checks_without_gain: int = 0
    checks: tuple[Check, ...] = field(default_factory=tuple)
    weights: str = ""

    def with_check(self, check: Check, selection: Selection) -> State:
        """The state after one more check."""
        score = -check.val_loss if selection is Selection.LOSS else check.set_auc
        return replace(
            self,
            score=score if check.best else self.score,
            checks_without_gain=0 if check.best else self.checks_without_gain + 1,
            checks=(*self.checks, check),
        )


def weights_name(state: State) -> str:
    """The file of all variables at this place of the training."""
    return f"{state.phase}-{state.epoch:04d}-{state.step:06d}.npz"


def save_state(folder: Path, state: State, variables: Sequence[Any]) -> State:
    """Write all variables under a new name, then point ``state.json`` to them; the previous ones are deleted last."""
    name = weights_name(state)
    arrays = {f"{index:05d}": variable.numpy() for index, variable in enumerate(variables)}
    write_whole(folder / name, lambda path: np.savez(path, **arrays))
    state = replace(state, weights=name)
    text = json.dumps(asdict(state), indent=1)
    write_whole(folder / STATE_FILE, lambda path: path.write_text(text, encoding="utf-8"))
    for old in folder.glob("*-*-*.npz"):
        if old.name != name:
            old.unlink()
    return state


def load_state(folder: Path) -> State:
    """The last state that was saved, or the first one if there is none. Raises WeightsError if it is damaged."""
    path = folder / STATE_FILE
    if not path.is_file():
        return State()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        checks = tuple(Check(**check) for check in content.pop("checks"))
        return State(**content, checks=checks)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"cannot go on from {path}: {error}; start the run anew") from error


def restore(folder: Path, state: State, variables: Sequence[Any]) -> None:
    """Give all variables the values that were saved with the state. Raises WeightsError."""
    path = folder / state.weights
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [file[name] for name in sorted(file.files)]
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot go on from {path}: {error}; start the run anew") from error
    if [array.shape for array in arrays] != [tuple(variable.shape) for variable in variables]:
        raise WeightsError(f"{path} is of another network or optimizer; start the run anew")
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def save_network(network: keras.Model, file: Path) -> None:
    """Write a network as .keras, whole or not at all."""
    write_whole(file, network.save)


def write_whole(file: Path, write: Any) -> None:
    """Let ``write`` fill a file beside it, bring that to the disk, and give it its name in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".part-{file.name}")
    write(part)
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    part.replace(file)
