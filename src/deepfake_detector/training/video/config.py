"""The typed view of an experiment on clips, such as ``configs/video.yaml``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from deepfake_detector.training.config import CardConfig, Experiment

Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class ClipDataConfig(_Strict):
    """Which clips, and how many of their frames."""

    source: Path = Field(description="a folder with Real and Fake clips, a split tree, or a CSV manifest")
    sets: tuple[str, ...] | None = Field(None, description="only these sets of the manifest; null takes all")
    exclude: tuple[str, ...] = Field((), description="sets that are left out")
    frames: int = Field(32, ge=3, le=1024, description="frames of each clip, evenly spaced")
    cache: Path = Field(Path("outputs/cache"), description="folder for what the frame model says of each clip")
    ratios: tuple[Share, Share, Share] = Field((0.7, 0.3, 0.0), description="train, val, test of data without a split")
    split_seed: int = Field(0, ge=0, description="seed of that split")


class Net(StrEnum):
    """How the frames of a clip are looked at together."""

    CONV = "conv"
    GRU = "gru"


class SequenceModelConfig(_Strict):
    """The network over the frames."""

    detector: str | None = Field(None, description="the frame model: a bundle's folder or name; null: the shipped one")
    net: Net = Field(Net.CONV, description="'conv' (two convolutions over time) or 'gru' (a recurrent layer)")
    units: AtLeastOne = Field(16, le=512, description="width of the network")
    dropout: float = Field(0.3, ge=0.0, lt=1.0, description="dropout on the features of each frame, and before the end")


class SequencePhase(_Strict):
    """How it learns."""

    epochs: AtLeastOne = Field(60, description="passes over the training clips")
    window: int = Field(16, ge=3, description="frames in a row that are shown at once, drawn anew in each epoch")
    batch_size: AtLeastOne = Field(16, description="clips in a step")
    lr: Positive = Field(1e-3, description="learning rate (AdamW)")
    weight_decay: NotNegative = Field(1e-2, description="AdamW's decay")
    patience: AtLeastOne = Field(15, description="epochs without a better validation loss before it stops")


class VideoConfig(Experiment):
    """One experiment on clips."""

    data: ClipDataConfig = Field(description="which clips")
    model: SequenceModelConfig = Field(default_factory=SequenceModelConfig, description="the network")
    train: SequencePhase = Field(default_factory=SequencePhase, description="how it learns")
    card: CardConfig = Field(default_factory=CardConfig, description="what the model card says")
