"""Opens and runs a sequence model: a small network that looks at all frames of one person, beside the one for frames.

It is a folder with ``temporal.onnx`` and ``temporal.json``. Its input is what ``frame_rows`` makes of the frames, so it
belongs to one frame model, whose hash is on its card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from deepfake_detector.core.errors import ModelError, ModelNotFoundError, ModelSchemaError
from deepfake_detector.core.onnx import open_session, read_model, refuse_unsafe, runtime_errors
from deepfake_detector.core.types import FloatArray
from deepfake_detector.core.video import Observation
from deepfake_detector.scoring.bundle import Bundle, read_card_file, write_folder
from deepfake_detector.scoring.calibration import calibrated_logit
from deepfake_detector.scoring.card import Calibration, DataSet, Sha256

SEQUENCE_MODEL_FILE = "temporal.onnx"
SEQUENCE_CARD_FILE = "temporal.json"
SEQUENCE_SCHEMA_VERSION = 1
INPUT, OUTPUT = "frames", "fake_logit"

FAKE_CHANNEL, OWN_CHANNELS = 0, 3
"""Raw fake logit, raw kind logit, and seconds since the frame before; the network's features follow."""

LONGEST_STEP = 5.0
"""Seconds; a longer gap between two frames counts as this one."""


class SequenceCard(BaseModel):
    """All that is known of a sequence model; ``frame_model_sha256`` names the only frame model that it goes with."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: int = Field(default=SEQUENCE_SCHEMA_VERSION, ge=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    created: str
    description: str
    architecture: str
    onnx_sha256: Sha256
    frame_model_sha256: Sha256
    channels: int = Field(ge=OWN_CHANNELS)
    calibration: Calibration
    data: tuple[DataSet, ...]
    data_fingerprint: str
    license: str
    limits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SequenceBundle:
    """A sequence model whose bytes are what its card says; ``path`` is its folder."""

    card: SequenceCard
    model: bytes = field(repr=False)
    path: Path


def load_sequence_bundle(folder: Path, frames: Bundle) -> SequenceBundle:
    """Open a sequence model that goes with a frame model.

    Raises ModelNotFoundError, ModelTamperedError, UnsafeModelError, or ModelSchemaError if it belongs to another frame
    model.
    """
    if not folder.is_dir():
        raise ModelNotFoundError(f"{folder} is no folder; give the one that holds {SEQUENCE_MODEL_FILE}")
    card = read_card_file(folder / SEQUENCE_CARD_FILE, SequenceCard, SEQUENCE_SCHEMA_VERSION)
    own = frames.card.onnx_sha256
    if card.frame_model_sha256 != own:
        raise ModelSchemaError(
            f"{folder} was trained on the frame model with SHA-256 {card.frame_model_sha256[:12]}…, and this one has "
            f"{own[:12]}…; use that one (--model), or train it anew: deepfake train-video"
        )
    model = read_model(folder / SEQUENCE_MODEL_FILE, card.onnx_sha256)
    refuse_unsafe(model, str(folder / SEQUENCE_MODEL_FILE))
    return SequenceBundle(card, model, folder)


def write_sequence_bundle(folder: Path, model: bytes, card: SequenceCard) -> Path:
    """Write a sequence model that ``load_sequence_bundle`` will open; the hash of ``model`` is put on its card.

    Raises ExportError or UnsafeModelError.
    """
    refuse_unsafe(model, f"the model for {folder}")
    card = card.model_copy(update={"onnx_sha256": hashlib.sha256(model).hexdigest()})
    text = card.model_dump_json(indent=2).encode() + b"\n"
    return write_folder(folder, {SEQUENCE_MODEL_FILE: model, SEQUENCE_CARD_FILE: text})


def frame_rows(observations: Sequence[Observation]) -> FloatArray:
    """What a sequence model sees of one person: shape (T, ``OWN_CHANNELS`` + d), float32, the earliest frame first.

    Of very many frames only the first ones have features; then only these are seen.
    """
    observations = [one for one in observations if one.features is not None] or list(observations)
    times = np.array([one.time for one in observations])
    steps = np.clip(np.diff(times, prepend=times[:1]), 0.0, LONGEST_STEP)
    own = [(one.logit, one.kind_logit or 0.0, step) for one, step in zip(observations, steps, strict=True)]
    features = [() if one.features is None else one.features for one in observations]
    rows = [np.concatenate([first, rest]) for first, rest in zip(own, features, strict=True)]
    return np.asarray(rows, dtype=np.float32)


class SequenceScorer:
    """A sequence model that is ready to run on the CPU. Raises UnsafeModelError if ONNX Runtime cannot open it."""

    def __init__(self, bundle: SequenceBundle, threads: int = 0) -> None:
        self.bundle = bundle
        self._session = open_session(bundle.model, bundle.card.name, threads)

    def score(self, rows: FloatArray) -> float:
        """The raw fake logit of one person, from ``frame_rows`` (T, channels), T ≥ 1. Raises ModelError."""
        card = self.bundle.card
        if rows.ndim != 2 or rows.shape[1] != card.channels or not len(rows):
            raise ModelError(f"the model {card.name} takes frames of shape (T, {card.channels}), got {rows.shape}")
        try:
            (found,) = self._session.run([OUTPUT], {INPUT: rows[None]})
        except runtime_errors() as error:
            raise ModelError(f"the model {card.name} failed while running: {error}") from error
        logit = float(np.asarray(found).reshape(-1)[0])
        if not np.isfinite(logit):
            raise ModelError(f"the model {card.name} answered with a {OUTPUT} that is not a finite number")
        return logit

    def calibrated(self, observations: Sequence[Observation]) -> float:
        """The calibrated log-odds of fake (prior 0.5) of one person. Raises ModelError."""
        return calibrated_logit(self.score(frame_rows(observations)), self.bundle.card.calibration)
