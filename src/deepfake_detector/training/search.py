"""Looks for better settings: trains with what Optuna proposes, gives up early on what looks bad, keeps the best."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict, Field, model_validator

from deepfake_detector.core.errors import ConfigError, MissingExtraError
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.checkpoint import Check, write_whole
from deepfake_detector.training.config import TrainConfig, dump_config, load_config
from deepfake_detector.training.phases import FINE
from deepfake_detector.training.run import create_run
from deepfake_detector.training.selection import Figures
from deepfake_detector.training.train import train

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

STUDY_FILE, BEST_FILE, TRIALS_FILE = "study.db", "best.yaml", "trials.csv"
_STUDY = "deepfake-detector"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Range(_Strict):
    """Numbers from ``low`` to ``high``, whole ones if both are; ``log``: as many between .001 and .01 as to .1."""

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _check(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"low {self.low} and high {self.high} are no range")
        return self


class Space(_Strict):
    """What is looked for, and among what: setting (``train.lr``) → a range, or a list of values."""

    figure: Literal["set_auc", "auc", "loss"] = Field("set_auc", description="of the validation; a loss is made small")
    space: dict[str, Range | Annotated[list[Any], Field(min_length=2)]] = Field(min_length=1)
    startup_trials: int = Field(5, ge=0, description="trials that are drawn at random, and never given up")
    startup_checks: int = Field(1, ge=0, description="checks of fine-tuning that a trial may do before it is given up")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found: the folder of the study, the best figure, its settings and its run."""

    folder: Path
    value: float
    settings: dict[str, Any]
    run: Path
    finished: int
    given_up: int


def load_space(path: Path) -> Space:
    """Read a search space. Raises ConfigError."""
    import yaml

    try:
        return Space.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the search space {path}: {error}") from error
    except pydantic.ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors(include_url=False)
        )
        raise ConfigError(f"{path}: {problems}") from error


def search(
    config: Path,
    space: Space,
    trials: int,
    overrides: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
) -> SearchResult:
    """Train until there are ``trials`` trials, each a run folder in ``outputs/<name>-search``, and keep the best.

    Goes on with a study that is there: what an interruption cut off is done again. ``best.yaml`` is the config of the
    best trial, under the name of the given one; ``trials.csv`` lists all. The sampler is Optuna's TPE, the pruner its
    median rule. Raises ConfigError, MissingExtraError, or what training raises on its first trial.
    """
    plan = _Plan(config, tuple(overrides), space)
    study = _study(plan)
    _again(study)
    left = trials - len(_done(study))
    if left > 0:
        study.optimize(lambda trial: _try(plan, trial, callbacks), n_trials=left)
    return _result(plan, study)


@dataclass(frozen=True, slots=True)
class _Plan:
    file: Path
    overrides: tuple[str, ...]
    space: Space

    def config(self, settings: dict[str, Any] | None = None, **fixed: str) -> TrainConfig:
        chosen = [f"{name}={json.dumps(value)}" for name, value in (settings or {}).items()]
        return load_config(self.file, [*self.overrides, *chosen, *(f"{name}={value}" for name, value in fixed.items())])

    @property
    def folder(self) -> Path:
        base = self.config()
        return base.outputs / f"{base.name}-search"

    def mark(self) -> str:
        """Says whether a study is about this."""
        text = dump_config(self.config()) + self.space.model_dump_json()
        return hashlib.sha256(text.encode()).hexdigest()


def _study(plan: _Plan) -> Study:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError("deepfake search", "search") from error
    _check_names(plan)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    plan.folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{plan.folder.resolve() / STUDY_FILE}",
        study_name=_STUDY,
        load_if_exists=True,
        direction="minimize" if plan.space.figure == "loss" else "maximize",
        sampler=optuna.samplers.TPESampler(seed=plan.config().seed, n_startup_trials=plan.space.startup_trials),
        pruner=optuna.pruners.MedianPruner(plan.space.startup_trials, plan.space.startup_checks),
    )
    if study.user_attrs.setdefault("mark", plan.mark()) != plan.mark():
        raise ConfigError(f"{plan.folder} is of another config or space; give another name: --set name=…")
    study.set_user_attr("mark", plan.mark())
    return study


def _check_names(plan: _Plan) -> None:
    """Every setting of the space must be one. Raises ConfigError before anything is trained."""
    ends: list[dict[str, Any]] = [{}, {}]
    for name, choice in plan.space.space.items():
        first, last = (choice.low, choice.high) if isinstance(choice, Range) else (choice[0], choice[-1])
        ends[0][name], ends[1][name] = first, last
    for settings in ends:
        plan.config(settings)


def _done(study: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    done: list[FrozenTrial] = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return done


def _again(study: Study) -> None:
    """Put the trials that were cut off (by Ctrl-C, an error, a power cut) in front of the queue, each once."""
    from optuna.trial import TrialState

    known = list(study.user_attrs.get("again", []))
    for trial in study.get_trials(states=(TrialState.RUNNING, TrialState.FAIL)):
        if trial.state is TrialState.RUNNING:
            study.tell(trial.number, state=TrialState.FAIL)
        if trial.number not in known:
            study.enqueue_trial(trial.params)
            known.append(trial.number)
    study.set_user_attr("again", known)


def _try(plan: _Plan, trial: Trial, callbacks: Sequence[Callback]) -> float:
    """Train with what is proposed; a loss that is no number any more gives the trial up."""
    import keras
    import optuna

    settings = {name: _proposed(trial, name, choice) for name, choice in plan.space.space.items()}
    run = create_run(plan.config(settings, name=f"trial-{trial.number:04d}", outputs=str(plan.folder)))
    trial.set_user_attr("run", str(run.path))
    keras.backend.clear_session()  # what the trial before it has left in memory
    try:
        found = train(run, [*callbacks, _Reporter(trial, plan.space)]).result.figures
    except ConfigError as error:
        trial.set_user_attr("reason", str(error))
        raise optuna.TrialPruned(str(error)) from error
    return _value(found, plan.space)


def _proposed(trial: Trial, name: str, choice: Range | list[Any]) -> Any:
    if isinstance(choice, list):  # as text, because Optuna takes no lists for values
        return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in choice]))
    if isinstance(choice.low, int) and isinstance(choice.high, int):
        return trial.suggest_int(name, choice.low, choice.high, log=choice.log)
    return trial.suggest_float(name, choice.low, choice.high, log=choice.log)


def _value(figures: Figures, space: Space) -> float:
    value = float(getattr(figures, space.figure))
    if not math.isfinite(value):
        raise ConfigError(f"{space.figure} is {value}: the validation pictures are all of one class")
    return value


class _Reporter(Callback):
    """Tells the pruner of each check of fine-tuning, and ends the trial where it says so."""

    def __init__(self, trial: Trial, space: Space) -> None:
        self._trial, self._space = trial, space

    def on_check(self, checks: Sequence[Check]) -> None:
        import optuna

        name = {"loss": "val_loss"}.get(self._space.figure, self._space.figure)
        fine = [check for check in checks if check.phase == FINE]
        if fine:
            self._trial.report(float(getattr(fine[-1], name)), len(fine) - 1)
            if self._trial.should_prune():
                raise optuna.TrialPruned(f"worse than the others after {len(fine)} checks")


def _result(plan: _Plan, study: Study) -> SearchResult:
    from optuna.trial import TrialState

    done = _done(study)
    finished = [trial for trial in done if trial.state is TrialState.COMPLETE]
    write_whole(plan.folder / TRIALS_FILE, lambda path: _write_trials(path, study, plan.space))
    if not finished:
        reason = done[-1].user_attrs.get("reason", "all were given up") if done else "there are none"
        raise ConfigError(f"no trial of {plan.folder} came to its end: {reason}")
    best = study.best_trial
    settings = {
        name: json.loads(value) if isinstance(plan.space.space[name], list) else value
        for name, value in best.params.items()
    }
    text = f"# Trial {best.number}: {plan.space.figure} {best.value:.4f}\n" + dump_config(plan.config(settings))
    write_whole(plan.folder / BEST_FILE, lambda path: path.write_text(text, encoding="utf-8"))
    place = Path(best.user_attrs["run"])
    return SearchResult(plan.folder, float(best.value), settings, place, len(finished), len(done) - len(finished))


def _write_trials(path: Path, study: Study, space: Space) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["trial", "state", space.figure, *space.space, "run"])
        for trial in study.trials:
            values = [trial.params.get(name, "") for name in space.space]
            table.writerow(
                [trial.number, trial.state.name.lower(), trial.value, *values, trial.user_attrs.get("run", "")]
            )
