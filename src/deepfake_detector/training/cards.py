"""Writes the card of a run: what it was trained on, how it is calibrated, what it is bad at."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.scoring.card import Calibration, Card, CardInput, CardOutputs, DataSet
from deepfake_detector.training.calibrate import fit_calibration
from deepfake_detector.training.checkpoint import write_whole
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.run import RunFolder, RunRecord

COLUMNS = ("path", "set", "foreign", "label", "kind", "fake_logit", "kind_logit")
UNKNOWN_TERMS = "not stated; ask whoever gave you the pictures"


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the final network says of one validation picture.

    ``foreign``: the network was trained on no picture of its set; ``label`` 0 real, 1 fake; ``kind`` 0 manipulated,
    1 generated, −1 unknown.
    """

    path: str
    set: str
    foreign: bool
    label: int
    kind: int
    fake_logit: float
    kind_logit: float


def write_predictions(file: Path, predictions: Iterable[Prediction]) -> None:
    """Write the table that ``read_predictions`` reads."""

    def write(path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(COLUMNS)
            for row in predictions:
                cells = (row.path, row.set, int(row.foreign), row.label, row.kind, row.fake_logit, row.kind_logit)
                table.writerow(cells)

    write_whole(file, write)


def read_predictions(file: Path) -> list[Prediction]:
    """Read ``logs/validation.csv`` of a run. Raises ConfigError if it is missing or broken."""
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            return [_prediction(row) for row in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ConfigError(f"cannot read the predictions {file}: {error}; is the run finished?") from error


def _prediction(row: dict[str, str]) -> Prediction:
    return Prediction(
        path=row["path"],
        set=row["set"],
        foreign=row["foreign"] == "1",
        label=int(row["label"]),
        kind=int(row["kind"]),
        fake_logit=float(row["fake_logit"]),
        kind_logit=float(row["kind_logit"]),
    )


def calibrate_run(run: RunFolder, config: TrainConfig) -> Calibration:
    """Fit temperature and thresholds to the runs that the config names, or to this run's validation pictures.

    Of other runs only the predictions on sets that they were not trained on count. Raises ConfigError or DataError.
    """
    sources = config.calibration.from_runs
    if not sources:
        rows = read_predictions(run.predictions_file)
        what = f"the validation pictures of {run.path.name}"
        unseen = sorted({row.set for row in rows if row.foreign and not row.label})
        if config.join and config.join.folds:
            what = "pictures of sets that the folds of the branches had not seen"
        elif unseen:
            what += f", and {', '.join(unseen)}, which it was not trained on"
    else:
        rows = [row for path in sources for row in read_predictions(RunFolder(path).predictions_file) if row.foreign]
        what = f"pictures of sets that {', '.join(path.name for path in sources)} had not seen"
    return fit_calibration(
        [row.fake_logit for row in rows],
        [row.label for row in rows],
        [row.kind_logit for row in rows],
        [row.kind for row in rows],
        sets=[row.set for row in rows],
        unseen=[row.foreign for row in rows],
        fitted_on=f"{len(rows)} faces: {what}",
    )


def make_card(run: RunFolder, outputs: CardOutputs, onnx_sha256: str) -> Card:
    """The card of a finished run. Raises ConfigError or DataError.

    The kind is offered only if both kinds are among the validation pictures: else the head has learnt nothing of it.
    """
    config, record = run.config(), run.record()
    if not {0, 1} <= {row.kind for row in read_predictions(run.predictions_file)}:
        outputs = outputs.model_copy(update={"kind_logit": None})
    return Card(
        name=config.card.name or _name(run.path.name),
        version=config.card.version,
        created=record.created,
        description=config.card.description,
        architecture=_architecture(config),
        onnx_sha256=onnx_sha256,
        input=CardInput(
            size=config.data.size,
            crop=config.data.crop,
            ratio=config.data.ratio,
            upright_above=config.data.upright_above,
        ),
        outputs=outputs,
        voice_kinds=tuple(dict.fromkeys(config.join.kinds)) if config.join else (),
        calibration=calibrate_run(run, config),
        data=tuple(_data_sets(record, config.card.terms)),
        data_fingerprint=record.data_fingerprint,
        license=config.card.license,
        limits=config.card.limits,
    )


def _architecture(config: TrainConfig) -> str:
    if config.join:
        branches = "; ".join(f"{path.name}: {RunFolder(path).config().model.backbone}" for path in config.join.branches)
        return f"{len(config.join.branches)} branches ({branches}), soft maximum of linear heads"
    model = config.model
    head = "a linear head" if model.head == "linear" else f"a head with hidden layers {list(model.head.dense)}"
    return f"{model.backbone}, alpha {model.alpha:g}, {head}"


def _data_sets(record: RunRecord, terms: dict[str, str]) -> Sequence[DataSet]:
    """The sets whose pictures the weights were fitted to."""
    return [
        DataSet(
            name=count.set or "pictures", real=count.real, fake=count.fake, terms=terms.get(count.set, UNKNOWN_TERMS)
        )
        for count in record.counts
        if count.part == "train"
    ]


def _name(run: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in run.lower())
