"""The conductor of a training on clips: config, frames of the frame model, network, calibration, bundle."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepfake_detector.core.errors import DataError
from deepfake_detector.scoring.bundle import HASH_TO_BE_SET, Bundle
from deepfake_detector.scoring.card import Calibration, DataSet
from deepfake_detector.scoring.sequence import SequenceCard, write_sequence_bundle
from deepfake_detector.training.calibrate import fit_calibration
from deepfake_detector.training.cards import UNKNOWN_TERMS
from deepfake_detector.training.data.samples import Label, Sample, Split, fingerprint
from deepfake_detector.training.run import Count, RunFolder, new_record
from deepfake_detector.training.video.clips import Clips, Watch, read_clips, watch_clips
from deepfake_detector.training.video.config import VideoConfig
from deepfake_detector.training.video.fit import Fitted, fit_sequences
from deepfake_detector.training.video.network import build_network

if TYPE_CHECKING:
    import keras

logger = logging.getLogger(__name__)

DEFAULT_VIDEO_CONFIG = Path("configs/video.yaml")
PARITY_CLIPS = 16


@dataclass(frozen=True, slots=True)
class TrainedSequence:
    """Where the run and its bundle are, and how good it is on its validation clips."""

    run: RunFolder
    bundle: Path
    fitted: Fitted


def train_video(run: RunFolder, config: VideoConfig, frames: Bundle, watch: Watch) -> TrainedSequence:
    """Train in a new run folder (see ``training.run.create_run``), on what ``watch`` says of each clip.

    ``frames`` is the frame model that ``watch`` asks. What it says is kept in ``data.cache``, so a second run begins at
    once. Raises ConfigError, DataError or ExportError.
    """
    import keras  # which takes seconds

    started = time.monotonic()
    keras.utils.set_random_seed(config.seed)
    samples = read_clips(config.data)
    folder = config.data.cache / "clips" / f"{frames.card.onnx_sha256[:16]}-{config.data.frames}"
    clips = watch_clips(samples, watch, folder)
    _need_both_classes(clips)
    record = new_record(run, config.seed, fingerprint(samples), _counts(clips), _reasons(clips))
    run.write_record(record)
    ready = time.monotonic()
    network = build_network(config.model, clips.all[0].rows.shape[1])
    fitted = fit_sequences(network, clips.of(Split.TRAIN), clips.of(Split.VAL), config.train, config.seed)
    network.save(run.checkpoints / "final.keras")
    bundle = _export(run, config, frames, network, clips, fitted)
    seconds = {"data": round(ready - started, 1), "training": round(time.monotonic() - ready, 1)}
    run.write_record(record.model_copy(update={"seconds": seconds, "finished": True}))
    return TrainedSequence(run, bundle, fitted)


def _export(
    run: RunFolder, config: VideoConfig, frames: Bundle, network: keras.Model, clips: Clips, fitted: Fitted
) -> Path:
    from deepfake_detector.training.video.export import check_sequence_parity, sequence_to_onnx

    model = sequence_to_onnx(network)
    check_sequence_parity(network, model, clips.of(Split.VAL)[:PARITY_CLIPS])
    record = run.record()
    card = SequenceCard(
        name=config.card.name or run.path.name.lower(),
        version=config.card.version,
        created=record.created,
        description=config.card.description,
        architecture=f"{config.model.net.value}, {config.model.units} units, beside the mean frame logit",
        onnx_sha256=HASH_TO_BE_SET,
        frame_model_sha256=frames.card.onnx_sha256,
        channels=network.input_shape[-1],
        calibration=_calibration(run, clips, fitted),
        data=tuple(
            DataSet(
                name=count.set or "clips",
                real=count.real,
                fake=count.fake,
                terms=config.card.terms.get(count.set, UNKNOWN_TERMS),
            )
            for count in record.counts
            if count.part == Split.TRAIN
        ),
        data_fingerprint=record.data_fingerprint,
        license=config.card.license,
        limits=config.card.limits,
    )
    return write_sequence_bundle(run.bundle, model, card)


def _calibration(run: RunFolder, clips: Clips, fitted: Fitted) -> Calibration:
    val, known = clips.of(Split.VAL), {clip.sample.set for clip in clips.of(Split.TRAIN)}
    return fit_calibration(
        fitted.logits,
        fitted.labels,
        sets=[clip.sample.set for clip in val],
        unseen=[clip.sample.set not in known for clip in val],
        fitted_on=f"{len(val)} clips: the validation clips of {run.path.name}",
    )


def _need_both_classes(clips: Clips) -> None:
    for split in (Split.TRAIN, Split.VAL):
        for label in Label:
            if not any(clip.sample.label is label for clip in clips.of(split)):
                why = ", ".join(f"{number} × {reason}" for reason, number in _reasons(clips).items()) or "none skipped"
                raise DataError(f"no {label.name.lower()} clips are left in {split} ({why})")


def _reasons(clips: Clips) -> dict[str, int]:
    """How many clips were skipped for what."""
    return dict(Counter(reason.partition(":")[0] for reason in clips.skipped.values()))


def _counts(clips: Clips) -> list[Count]:
    samples: list[Sample] = [clip.sample for clip in clips.all]
    keys = sorted({(sample.set, sample.split or "") for sample in samples})
    return [
        Count(
            set=name,
            part=split,
            real=sum((one.set, one.split, one.label) == (name, split, Label.REAL) for one in samples),
            fake=sum((one.set, one.split, one.label) == (name, split, Label.FAKE) for one in samples),
        )
        for name, split in keys
    ]


def summary(trained: TrainedSequence) -> str:
    """What was reached, and what to do next."""
    fitted = trained.fitted
    card_note = "the network adds nothing to plain pooling" if fitted.epoch == 0 else f"best after epoch {fitted.epoch}"
    return (
        f"validation: loss {fitted.loss:.4f}, plain pooling {fitted.loss_before:.4f}; {card_note}\n"
        f"model: {trained.bundle}\n"
        f"next:  deepfake detect --temporal-model {trained.bundle} CLIP"
    )
