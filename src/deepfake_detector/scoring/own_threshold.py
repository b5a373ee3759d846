"""A user's own threshold: set on real photos of their cameras, kept in a file beside the model, never inside it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pydantic
from pydantic import BaseModel, ConfigDict, Field

from deepfake_detector._version import __version__
from deepfake_detector.core.errors import ConfigError, DataError, ThresholdModelError
from deepfake_detector.core.settings import OwnThreshold
from deepfake_detector.scoring.bundle import Bundle
from deepfake_detector.scoring.calibration import conformal_rank, just_above, threshold_logit
from deepfake_detector.scoring.card import Sha256

MAX_FILE_BYTES = 64 * 1024
BAND_RATE = 0.05
"""The rate below whose threshold a card's band was fitted."""


class ThresholdFile(BaseModel):
    """What ``deepfake calibrate`` writes; ``OwnThreshold`` says what ``fpr`` and ``logit`` mean.

    ``skipped`` counts the photos that could not be used, by a word for the reason; ``created`` is in UTC.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    schema_version: Literal[1] = 1
    model_name: str
    model_version: str
    model_sha256: Sha256
    fpr: float = Field(gt=0.0, lt=1.0)
    logit: float
    photos: int = Field(ge=1)
    skipped: dict[str, Annotated[int, Field(ge=1)]]
    created: datetime
    package_version: str

    @property
    def own(self) -> OwnThreshold:
        """What ``AnalysisSettings`` takes."""
        return OwnThreshold(self.fpr, self.logit, self.photos, self.model_sha256, self.model_version)


def photos_needed(fpr: float) -> int:
    """With how many photos at least a threshold for this rate can be set: ⌈1 / fpr⌉ − 1, 99 for 1 %."""
    return math.ceil(1.0 / fpr - 1e-9) - 1


def shipped_threshold(bundle: Bundle, fpr: float) -> OwnThreshold:
    """What the model's card says for this rate, as if it were a threshold of one's own, set on no photo."""
    return OwnThreshold(
        fpr=fpr,
        logit=threshold_logit(bundle.card.calibration, fpr),
        photos=0,
        model_sha256=bundle.card.onnx_sha256,
        model_version=bundle.card.version,
    )


def set_threshold(bundle: Bundle, fpr: float, margins: Sequence[float], skipped: Sequence[str] = ()) -> ThresholdFile:
    """The threshold that the next photo of the same kind reaches with a probability of at most ``fpr``.

    ``margins`` (n,) says how far each photo lies above the threshold of ``shipped_threshold``, corrected for the number
    of its faces, in calibrated logits; ``skipped`` has a word for each photo that could not be used.
    Raises DataError if there are fewer than ``photos_needed``.
    """
    number, needed = len(margins), photos_needed(fpr)
    if number < needed:
        left_out = ", ".join(f"{count} {reason}" for reason, count in sorted(Counter(skipped).items()))
        loosest = math.ceil(1000.0 / (number + 1)) / 1000.0
        looser = f", or give --fpr {loosest:g} or more" if number else ""
        raise DataError(
            f"{number} photos can be used{f' (not used: {left_out})' if left_out else ''}, and a threshold for a rate "
            f"of {fpr:g} needs at least {needed}; add photos{looser}"
        )
    start = shipped_threshold(bundle, fpr)
    ordered = np.sort(np.asarray(margins, dtype=np.float64))
    return ThresholdFile(
        model_name=bundle.card.name,
        model_version=start.model_version,
        model_sha256=start.model_sha256,
        fpr=fpr,
        logit=start.logit + just_above(ordered, conformal_rank(number, fpr)),
        photos=number,
        skipped=dict(sorted(Counter(skipped).items())),
        created=datetime.now(UTC).replace(microsecond=0),
        package_version=__version__,
    )


def threshold_curve(bundle: Bundle, own: OwnThreshold | None = None) -> Callable[[float], float]:
    """False-positive rate → calibrated logit: the card's curve, moved as a whole to a threshold of one's own.

    So the correction for several faces asks for as many logits more as it does on the card.
    Raises ThresholdModelError if the threshold was set for another model.
    """
    calibration = bundle.card.calibration
    if own is None:
        return lambda fpr: threshold_logit(calibration, fpr)
    if (own.model_sha256, own.model_version) != (bundle.card.onnx_sha256, bundle.card.version):
        raise ThresholdModelError(
            f"the threshold was set for version {own.model_version} of the model with SHA-256 "
            f"{own.model_sha256[:12]}…, and this is version {bundle.card.version} of {bundle.card.onnx_sha256[:12]}…; "
            "set one for this model: deepfake calibrate"
        )
    moved = own.logit - threshold_logit(calibration, own.fpr)
    return lambda fpr: threshold_logit(calibration, fpr) + moved


def uncertain_band(bundle: Bundle, own: OwnThreshold | None = None) -> float:
    """How far below the threshold a face is still uncertain, in calibrated logits, 0 or more.

    With a threshold of one's own the lower end stays where the card has it: the photos that it was set on say nothing
    of how low fakes score.
    """
    calibration = bundle.card.calibration
    if own is None:
        return calibration.band_below
    lower_end = threshold_logit(calibration, BAND_RATE) - calibration.band_below
    return max(0.0, own.logit - lower_end)


def own_threshold_warning(own: OwnThreshold | None) -> tuple[str, ...]:
    """What a reader of a verdict should know of a threshold of one's own; nothing where there is none."""
    if own is None:
        return ()
    return (f"the threshold is the user's own, set on {own.photos} real photos for {own.fpr * 100:.3g} % false alarms",)


def write_thresholds(content: ThresholdFile, path: Path, bundle: Bundle) -> None:
    """Write the file, in place of an earlier one. Raises ConfigError if it cannot be, or would lie in the bundle."""
    if bundle.path is not None and path.resolve().is_relative_to(bundle.path.resolve()):
        raise ConfigError(f"{path} lies inside of the model's folder, which stays as it is; give another place")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise ConfigError(f"cannot write to {path}: {error.strerror or error}; give another place") from error


def read_thresholds(path: Path) -> ThresholdFile:
    """Read what ``write_thresholds`` wrote. Raises ConfigError if there is no such file, or if it is anything else."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the threshold file {path}: {error.strerror or error}") from error
    try:
        return ThresholdFile.model_validate_json(data)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        raise ConfigError(
            f"{path} is no threshold file that this version can read ({place}: {first['msg']}); "
            "make one with deepfake calibrate"
        ) from error
