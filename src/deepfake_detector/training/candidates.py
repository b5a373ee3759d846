"""The backbones that ``deepfake bench backbones`` compares: what each changes in an experiment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Candidate(BaseModel):
    """One backbone and its first weights; data, epochs and all else are those of the experiment."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    backbone: str = Field(description="as in model.backbone")
    weights: str = Field("imagenet", description="as in model.weights")
    alpha: Annotated[float, Field(gt=0.0)] = Field(1.0, description="as in model.alpha")
    size: Annotated[int, Field(ge=32, le=1024, multiple_of=32)] | None = Field(
        None, description="side of the input in pixels; null: data.size"
    )
    from_block: str | None = Field(None, description="as in train.from_block; null: the backbone's default")
    batchnorm: Literal["frozen", "learned"] | None = Field(
        None, description="as in train.batchnorm; null: 'learned' with random weights, else train.batchnorm"
    )
    lr: Annotated[float, Field(gt=0.0)] | None = Field(None, description="as in train.lr; null: train.lr")
