"""The card that travels with the weights: input, outputs, calibration, thresholds, data, licence, metrics, hash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepfake_detector.core.types import CropMode, CropRule, Doubt, Kind

CARD_SCHEMA_VERSION = 2

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CardInput(_Strict):
    """What goes in: uint8 RGB of shape (N, size, size, 3), cut as the crop rule says; normalisation is in the graph."""

    size: int = Field(ge=16, le=1024)
    crop: CropMode
    ratio: float = Field(gt=0.0, le=4.0)
    upright_above: float = Field(default=20.0, ge=0.0, le=180.0)

    def rule(self) -> CropRule:
        """The crop rule that ``faces.align`` takes."""
        return CropRule(mode=self.crop, size=self.size, ratio=self.ratio, upright_above=self.upright_above)


class CardOutputs(_Strict):
    """Names of the graph's outputs; see ``core.types.Scores`` for their shapes and meanings."""

    fake_logit: str = "fake_logit"
    kind_logit: str | None = None
    cam: str | None = None
    features: str | None = None
    distance: str | None = None
    voices: str | None = None

    @model_validator(mode="after")
    def _check_names(self) -> CardOutputs:
        roles = (self.fake_logit, self.kind_logit, self.cam, self.features, self.distance, self.voices)
        names = [name for name in roles if name is not None]
        if len(set(names)) < len(names):
            raise ValueError("an output of the graph is named twice")
        return self


class FprPoint(_Strict):
    """At this calibrated logit (prior 0.5) and above, this share of real faces is called fake."""

    fpr: float = Field(gt=0.0, le=1.0)
    logit: float


class Calibration(_Strict):
    """How a raw fake logit becomes a probability and a verdict; fitted on validation data, never on training pictures.

    ``p = sigmoid(raw / temperature + bias)`` at prior 0.5 (temperature scaling, Guo et al. 2017, with a bias).
    ``fpr_curve`` is ordered from the loosest to the strictest rate, its logits never fall; it holds 10, 5 and 1 %.
    A face is uncertain while its calibrated logit lies less than ``band_below`` under the threshold.
    ``out_of_source`` says that enough of the reals used here are of sources of which the network had seen no picture;
    the source that raises most false alarms decides, known or not.
    """

    temperature: float = Field(gt=0.0)
    bias: float = 0.0
    kind_temperature: float = Field(default=1.0, gt=0.0)
    fpr_curve: tuple[FprPoint, ...]
    band_below: float = Field(ge=0.0)
    out_of_source: bool
    fitted_on: str

    @model_validator(mode="after")
    def _check_curve(self) -> Calibration:
        rates = [point.fpr for point in self.fpr_curve]
        logits = [point.logit for point in self.fpr_curve]
        if rates != sorted(set(rates), reverse=True) or logits != sorted(logits):
            raise ValueError("fpr_curve must go from the loosest to the strictest rate, with logits that never fall")
        if not {0.1, 0.05, 0.01} <= set(rates):
            raise ValueError("fpr_curve must hold the rates 0.1, 0.05 and 0.01")
        return self


class FarFaces(_Strict):
    """Beyond which distance (``core.types.Scores.distance``) a face is unlike those that the model knows.

    A share ``beyond`` of validation faces of known sets lies there, each set weighing the same.
    """

    limit: float = Field(gt=0.0)
    beyond: float = Field(gt=0.0, lt=1.0)
    fitted_on: str


class Doubts(_Strict):
    """What makes a face uncertain beside the band: ``in_use`` has what earned it on risk–coverage curves.

    ``far`` needs the distance that the graph gives. ``unstable`` is looked for at faces that lie above the threshold by
    no more than the band reaches below it.
    """

    in_use: tuple[Doubt, ...] = ()
    far: FarFaces | None = None

    @model_validator(mode="after")
    def _check_use(self) -> Doubts:
        if Doubt.BAND in self.in_use or len(set(self.in_use)) < len(self.in_use):
            raise ValueError("in_use may hold far and unstable, once each; the band is always in use")
        if Doubt.FAR in self.in_use and self.far is None:
            raise ValueError("far faces are in use, and their limit is missing")
        return self

    def looked_for(self, more: Iterable[Doubt] = ()) -> tuple[Doubt, ...]:
        """What is looked for beside the band if ``more`` is wanted, in the order of ``Doubt``."""
        wanted = {*self.in_use, *more} - {Doubt.BAND}
        return tuple(doubt for doubt in Doubt if doubt in wanted)


class DataSet(_Strict):
    """A set of pictures that the weights were trained on, with its terms."""

    name: str
    real: int = Field(ge=0)
    fake: int = Field(ge=0)
    terms: str


class Metric(_Strict):
    """A measured figure with its bootstrap interval (95 %), on one set and split."""

    name: str
    on: str
    value: float
    low: float | None = None
    high: float | None = None
    used_for_selection: bool = False


class Card(_Strict):
    """All that is known of a bundle; stored as ``card.json`` beside ``model.onnx``."""

    schema_version: int = Field(default=CARD_SCHEMA_VERSION, ge=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    version: str
    created: str
    description: str
    architecture: str
    classes: tuple[Literal["real"], Literal["fake"]] = ("real", "fake")
    kinds: tuple[Literal["manipulated"], Literal["generated"]] = ("manipulated", "generated")
    onnx_sha256: Sha256
    input: CardInput
    outputs: CardOutputs
    voice_kinds: tuple[Kind, ...] = Field((), description="what each of the voices speaks for, in their order")
    calibration: Calibration
    doubts: Doubts = Doubts()
    data: tuple[DataSet, ...]
    data_fingerprint: str
    license: str
    limits: tuple[str, ...]
    metrics: tuple[Metric, ...] = ()

    @model_validator(mode="after")
    def _check_outputs(self) -> Card:
        if (self.doubts.far is None) != (self.outputs.distance is None):
            raise ValueError("the limit of far faces and the output distance belong together; give both, or neither")
        if self.voice_kinds and self.outputs.voices is None:
            raise ValueError("the card says what the voices speak for, and names no output voices")
        return self
