"""Runs a bundle's network over crops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deepfake_detector.core.errors import ModelError, ModelSchemaError
from deepfake_detector.core.onnx import open_session, runtime_errors
from deepfake_detector.core.types import FloatArray, Scores
from deepfake_detector.scoring.bundle import Bundle
from deepfake_detector.scoring.graph import CHANNELS, OUTPUT_RANKS

CROPS_PER_RUN = 1
"""Larger runs are no faster on a CPU, and their intermediate results take tens of megabytes for each crop."""


class Scorer:
    """A network that is ready to run on the CPU; any number of threads may call ``score`` at once.

    ``threads`` is for the ONNX session; 0 lets ONNX Runtime choose.
    Raises UnsafeModelError if ONNX Runtime cannot open the model.
    """

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        self.bundle = bundle
        self._session = open_session(bundle.model, bundle.card.name, threads)
        self._input = self._session.get_inputs()[0].name
        roles = {role: getattr(bundle.card.outputs, role) for role in OUTPUT_RANKS}
        self._outputs: dict[str, str] = {role: name for role, name in roles.items() if name is not None}
        self._shapes = {output.name: output.shape for output in self._session.get_outputs()}

    def score(self, crops: NDArray[np.uint8]) -> Scores:
        """Score uint8 RGB crops of shape (N, size, size, 3), values 0–255; N may be 0.

        Raises ModelError if the crops are not what the model takes, or the model does not answer with finite logits.
        """
        size = self.bundle.card.input.size
        if crops.dtype != np.uint8 or crops.ndim != 4 or crops.shape[1:] != (size, size, CHANNELS):
            raise ModelError(
                f"the model {self.bundle.card.name} takes uint8 crops of shape (N, {size}, {size}, {CHANNELS}), "
                f"got {crops.dtype} of shape {crops.shape}"
            )
        if len(crops) == 0:
            return Scores(**{role: self._nothing(name) for role, name in self._outputs.items()})
        runs = [self._run(crops[start : start + CROPS_PER_RUN]) for start in range(0, len(crops), CROPS_PER_RUN)]
        scores = {role: np.concatenate([run[role] for run in runs]) for role in self._outputs}
        for role in ("fake_logit", "kind_logit"):
            if role in scores and not np.isfinite(scores[role]).all():
                raise ModelError(
                    f"the model {self.bundle.card.name} answered with a {role} that is not a finite number"
                )
        return Scores(**scores)

    def _run(self, crops: NDArray[np.uint8]) -> dict[str, FloatArray]:
        try:
            values = self._session.run(list(self._outputs.values()), {self._input: np.ascontiguousarray(crops)})
        except runtime_errors() as error:
            raise ModelError(f"the model {self.bundle.card.name} failed while running: {error}") from error
        return {role: self._checked(role, value, len(crops)) for role, value in zip(self._outputs, values, strict=True)}

    def _checked(self, role: str, value: Any, count: int) -> FloatArray:
        array: FloatArray = np.asarray(value)
        if array.dtype != np.float32 or array.ndim != OUTPUT_RANKS[role] or len(array) != count:
            raise ModelSchemaError(
                f"the model {self.bundle.card.name} answered {count} crops with a {role} of type {array.dtype} "
                f"and shape {array.shape}; it must be float32 with {OUTPUT_RANKS[role]} dimension(s), {count} first"
            )
        return array

    def _nothing(self, name: str) -> FloatArray:
        sides = [side if isinstance(side, int) else 0 for side in self._shapes[name][1:]]
        return np.zeros((0, *sides), dtype=np.float32)
