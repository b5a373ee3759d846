"""The typed view of an experiment file: which settings there are, what they may be, and their defaults."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepfake_detector.core.types import CropMode, CropRule, Kind
from deepfake_detector.training.candidates import Candidate
from deepfake_detector.training.data.augment_config import AugmentConfig
from deepfake_detector.training.data.sampling import BalanceConfig
from deepfake_detector.training.data.synthetic import SyntheticConfig
from deepfake_detector.training.settings_file import check_settings, dump_settings, load_settings

Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
FamilyName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class Schedule(StrEnum):
    """How the learning rate goes on after the warm-up."""

    COSINE = "cosine"
    CONSTANT = "constant"


class ClassWeight(StrEnum):
    """Whether the rarer class weighs more, so that both have the same mass; not needed where ``balance`` sees to it."""

    AUTO = "auto"
    NONE = "none"


class Selection(StrEnum):
    """Which checkpoint is kept: the best on validation pictures by mean AUC or by loss, or the last one."""

    SET_AUC = "set_auc"
    LOSS = "loss"
    LAST = "last"


class DataConfig(_Strict):
    """Which pictures, and how they are cut."""

    source: Path = Field(description="a folder with Real and Fake, a split tree, or a CSV manifest")
    sets: tuple[str, ...] | None = Field(None, description="only these sets of the manifest; null takes all")
    exclude: tuple[str, ...] = Field(
        (), description="sets, or one class of one (photoshop/fake), that are neither trained on nor validated with"
    )
    validate_only: tuple[str, ...] = Field((), description="foreign sets: all but their test split is validation")
    foreign: tuple[Path, ...] = Field(
        (), description="more folders or manifests, whose sets are foreign, too: all but their test split is validation"
    )
    crop: CropMode = Field(
        CropMode.FACE, description="'face' cuts faces; 'native' their middle, not resized; 'whole' the centred square"
    )
    ratio: Positive = Field(1.1, le=4.0, description="side of the crop over the longer side of the face box")
    size: int = Field(224, ge=32, le=1024, multiple_of=32, description="side of the network input in pixels")
    upright_above: float = Field(20.0, ge=0.0, le=180.0, description="faces leaning more (degrees) are turned upright")
    cache: Path = Field(Path("outputs/cache"), description="folder for the lossless face crops")
    ratios: tuple[Share, Share, Share] = Field((0.8, 0.1, 0.1), description="train, val, test of data without a split")
    split_seed: Count = Field(0, description="seed of that split")
    memory_mb: Count = Field(2048, description="megabytes of decoded pictures that may stay in memory")
    workers: AtLeastOne = Field(2, description="threads that cut and augment")

    def rule(self) -> CropRule:
        """The crop rule that training and serving share."""
        return CropRule(mode=self.crop, size=self.size, ratio=self.ratio, upright_above=self.upright_above)


class DenseHead(_Strict):
    """Hidden layers between the pooled features and the logits."""

    dense: tuple[AtLeastOne, ...] = Field(min_length=1, description="units of each hidden layer")


class ModelConfig(_Strict):
    """The network and the weights that it starts from."""

    backbone: str = Field(
        "mobilenetv2", description="a name (see Backbones), or a function of your own as package.module:function"
    )
    alpha: Positive = Field(1.0, le=8.0, description="width multiplier, of backbones that have one")
    shrink: AtLeastOne = Field(
        1, description="the network begins by averaging blocks of so many pixels squared; 2 looks at half of data.size"
    )
    weights: str = Field(
        "imagenet",
        description="'imagenet' (keras.applications), 'imagenet-torchvision' (ported), a .npz, .h5 or .keras file, "
        "a run folder, a bundle or shipped model (of a joined one 'mobilenetv2#1' is the first branch), 'random', or "
        "'own' (those that a backbone of your own comes with)",
    )
    head: Literal["linear"] | DenseHead = Field("linear", description="'linear', or {dense: [256]}")
    dropout: float = Field(0.2, ge=0.0, lt=1.0, description="dropout before each layer of the head")
    l2: NotNegative = Field(0.0, description="L2 penalty on the head's kernels")


class HeadPhase(_Strict):
    """Phase one: only the head learns, on features of the frozen backbone that are computed once."""

    epochs: Count = Field(30, description="passes over the cached features; 0 leaves the phase out")
    views: AtLeastOne = Field(1, description="augmented versions of each picture whose features are cached")
    lr: Positive = Field(1e-3, description="learning rate (Adam), falling along a cosine")
    batch_size: AtLeastOne = Field(256, description="features in a step")


class BatchNorm(StrEnum):
    """Whether BatchNorm keeps its weights and statistics, or learns them with the blocks that learn."""

    FROZEN = "frozen"
    LEARNED = "learned"


class Tune(StrEnum):
    """Which layers of the network learn in phase two; the head always does."""

    ALL = "all"
    NORMS = "norms"
    HEAD = "head"


class TrainPhase(_Strict):
    """Phase two: the network learns from one block on; BatchNorm stays as it is, unless it is to be learned."""

    epochs: Count = Field(10, description="passes over the training pictures; 0 leaves the phase out")
    from_block: str | None = Field(
        None, description="the first block that learns, or 'all'; null: the backbone's default"
    )
    tune: Tune = Field(
        Tune.ALL,
        description="what learns from there on: 'all' layers, only the 'norms' (LayerNorm), or only the 'head' (a "
        "linear probe on pictures that change each time)",
    )
    batchnorm: BatchNorm = Field(
        BatchNorm.FROZEN, description="'frozen', or 'learned', for networks without pretrained weights"
    )
    batch_size: AtLeastOne = Field(32, description="pictures in a step")
    lr: Positive = Field(1e-4, description="highest learning rate (AdamW)")
    schedule: Schedule = Field(Schedule.COSINE, description="'cosine' or 'constant'")
    warmup: Share = Field(0.05, description="share of all steps during which the learning rate rises from 0")
    weight_decay: NotNegative = Field(1e-4, description="AdamW's decay of kernels")
    clip_norm: Positive | None = Field(1.0, description="gradients longer than this are shortened; null does not")
    ema: float = Field(0.0, ge=0.0, lt=1.0, description="decay per step of the averaged weights; 0 averages nothing")
    checks_per_epoch: AtLeastOne = Field(1, description="validations and checkpoints in an epoch")
    patience: AtLeastOne = Field(5, description="checks without improvement before it stops")
    metric: Selection = Field(
        Selection.SET_AUC,
        description="keeps the best by 'set_auc' (mean AUC over foreign sets, or over all) or 'loss', or the 'last'",
    )
    keep_start: Share = Field(0.0, description="share of the weights before this phase in the final ones (WiSE-FT)")


class LossConfig(_Strict):
    """What is minimised: cross-entropy of fake or real, and of the kind where it is known."""

    label_smoothing: float = Field(0.0, ge=0.0, lt=0.5, description="targets are moved this far from 0 and 1")
    kind_weight: NotNegative = Field(0.3, description="weight of the kind head's loss")
    class_weight: ClassWeight = Field(
        ClassWeight.AUTO, description="'auto' gives both classes the same mass, or 'none'"
    )


class SoftConfig(_Strict):
    """Where a picture has no fine detail, one kind of fake is taken to be rarer; see ``models.softness``."""

    kind: Kind = Field(Kind.GENERATED, description="the kind whose voice then counts for less")
    times: float = Field(20.0, gt=1.0, description="how many times rarer, where a picture is soft altogether")
    begins: float = Field(description="the sharpness below which it begins; that of nearly all sharp pictures is above")
    over: Positive = Field(0.3, description="how far below that a picture is soft altogether")


class JoinConfig(_Strict):
    """Trained networks that become one, each a branch of it; see ``training.join``."""

    branches: tuple[Path, ...] = Field(min_length=2, description="run folders, each of a network with a linear head")
    kinds: tuple[Kind, ...] = Field(
        (),
        description="the kind of fake that each branch was trained on: those of a kind speak for it, with one voice; "
        "none: each speaks for any",
    )
    shares: tuple[Positive, ...] = Field(
        (),
        description="how common each of the kinds is among the fakes to expect; none: as the judged sets have it",
    )
    soft: SoftConfig | None = Field(
        None,
        description="kind, times, begins, over: in soft pictures one kind's voice counts for less; null: it does not",
    )
    within: tuple[Positive, ...] = Field(
        (),
        description="how much the logit of each branch counts, compared with the others of its voice; none: fitted to "
        "the judged pictures, and so to the sources that these are from",
    )
    folds: tuple[tuple[Path, ...], ...] = Field(
        (),
        description="for each fold, one run per branch, trained like it without the sets of its data.validate_only; "
        "none: the mixture is learnt on the validation pictures",
    )
    most: AtLeastOne | None = Field(None, description="judged pictures of each class of a set; null: all of them")

    @model_validator(mode="after")
    def _check(self) -> JoinConfig:
        for fold in self.folds:
            if len(fold) != len(self.branches):
                raise ValueError(f"a fold names {len(fold)} runs for {len(self.branches)} branches")
        if self.kinds and len(self.kinds) != len(self.branches):
            raise ValueError(f"kinds has {len(self.kinds)} entries for {len(self.branches)} branches")
        if self.soft and self.soft.kind not in self.kinds:
            raise ValueError(f"soft names the kind {self.soft.kind}, for which no branch speaks; add it to kinds")
        if self.within and len(self.within) != len(self.branches):
            raise ValueError(f"within has {len(self.within)} entries for {len(self.branches)} branches")
        if self.shares and len(self.shares) != len(set(self.kinds)):
            raise ValueError(f"shares has {len(self.shares)} entries for {len(set(self.kinds))} kinds")
        return self


class CalibrationConfig(_Strict):
    """Which predictions the temperature and the thresholds are fitted on."""

    from_runs: tuple[Path, ...] = Field(
        (), description="runs whose predictions on their validate_only sets count; none: this run's validation"
    )


class TrackingConfig(_Strict):
    """Where a run is kept besides its folder, which always has CSV and TensorBoard."""

    mlflow: bool = Field(False, description="MLflow keeps the run, too; needs the extra [mlflow]")
    store: str | None = Field(
        None, description="MLflow's tracking URI; null: MLFLOW_TRACKING_URI, else SQLite in outputs/mlflow.db"
    )
    experiment: str = Field("deepfake-detector", min_length=1, description="MLflow's experiment")


class ClusterConfig(_Strict):
    """In how many processes both phases of the training run."""

    workers: AtLeastOne = Field(1, description="processes that share every batch; above 1 needs the extra [cluster]")
    cpus: Positive = Field(1.0, description="CPU cores that Ray reserves for each, and threads of TensorFlow in it")
    gpus: NotNegative = Field(0.0, description="GPUs that Ray reserves for each")
    retries: Count = Field(3, description="how often all are started again, from the last check, when one dies")


class CardConfig(_Strict):
    """What the model card says besides what is measured."""

    name: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9._-]*$", description="of the bundle; null: the run's")
    version: str = Field("0.1.0", description="version of the weights")
    description: str = Field("A detector of manipulated and generated faces.", description="one sentence")
    license: str = Field("the terms of the data that it was trained on", description="terms of the weights")
    terms: dict[str, str] = Field(default_factory=dict, description="set → its terms")
    limits: tuple[str, ...] = Field(
        ("It has not been tested on other data than its own.",), description="sentences that users must know"
    )


class Experiment(_Strict):
    """What the experiments of all kinds of training have."""

    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="name of the run folder")
    seed: Count = Field(0, description="of everything random")
    outputs: Path = Field(Path("outputs"), description="folder of the run folders")
    threads: Count = Field(0, description="threads of TensorFlow; 0 lets it choose")


class TrainConfig(Experiment):
    """One experiment."""

    data: DataConfig = Field(description="which pictures")
    augment: AugmentConfig = Field(default_factory=AugmentConfig, description="how training pictures are changed")
    balance: BalanceConfig = Field(default_factory=BalanceConfig, description="how often each picture is shown")
    synthetic: SyntheticConfig | None = Field(None, description="fakes made from the reals while training; null: none")
    model: ModelConfig = Field(default_factory=ModelConfig, description="network and first weights")
    head: HeadPhase = Field(default_factory=HeadPhase, description="phase one")
    train: TrainPhase = Field(default_factory=TrainPhase, description="phase two")
    loss: LossConfig = Field(default_factory=LossConfig, description="what is minimised")
    join: JoinConfig | None = Field(None, description="makes one network of trained ones instead of training one")
    calibration: CalibrationConfig = Field(default_factory=CalibrationConfig, description="temperature, thresholds")
    tracking: TrackingConfig = Field(default_factory=TrackingConfig, description="where the run is kept besides")
    cluster: ClusterConfig = Field(default_factory=ClusterConfig, description="in how many processes it runs")
    card: CardConfig = Field(default_factory=CardConfig, description="what the model card says")
    families: dict[FamilyName, tuple[str, ...]] = Field(
        default_factory=dict, description="sets that `deepfake bench sources` leaves out together, by name"
    )
    ingredients: dict[FamilyName, tuple[str, ...]] = Field(
        default_factory=dict,
        description="parts of the recipe, by name, each as the settings (train.ema=0) that take it away, for "
        "`deepfake bench ablation`",
    )
    backbones: dict[FamilyName, Candidate] = Field(
        default_factory=dict, description="what `deepfake bench backbones` compares, by name"
    )


def load_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read an experiment file and apply overrides such as ``train.epochs=3`` (values are YAML). Raises ConfigError.

    Relative paths inside are relative to the working directory.
    """
    return load_settings(path, TrainConfig, overrides)


def check_config(content: dict[str, Any], where: str) -> TrainConfig:
    """Validate parsed settings; an unknown key is an error that names the near miss. Raises ConfigError."""
    return check_settings(content, where, TrainConfig)


def dump_config(config: Experiment) -> str:
    """The config as YAML, every value written out; ``load_config`` reads it back to the same."""
    return dump_settings(config)
