"""From predictions to figures: of all pictures together, of each set, of each method, and of the kind of fake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import SHIPPED_POINTS, Kind, OperatingPoint, Verdict
from deepfake_detector.scoring.card import Calibration, Card
from deepfake_detector.training.data.samples import Label
from deepfake_detector.training.intervals import DEFAULT_RESAMPLING, Estimate, Rate, Resampling, rate
from deepfake_detector.training.metrics import Metrics, ScoredSet, measure
from deepfake_detector.training.people import PeopleRate, people_rates
from deepfake_detector.training.predict import Answer, Prediction, bounds
from deepfake_detector.training.selective import Answered, Selective, measure_selective
from deepfake_detector.training.uncalibrated import Uncalibrated, measure_uncalibrated
from deepfake_detector.verdict.decide import Bounds

ALL = "all"


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure: ``point`` sets the threshold; sets ``used_for_selection`` are marked and stay out of the sum."""

    point: OperatingPoint = OperatingPoint.FPR5
    resampling: Resampling = DEFAULT_RESAMPLING
    used_for_selection: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PointRates:
    """What an operating point gives here: the threshold on ``p_fake`` (prior 0.5), and the shares called fake."""

    point: OperatingPoint
    promised_fpr: float
    logit: float
    p_fake: float
    fpr: Rate
    tpr: Rate


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How often each verdict was given to the pictures of one class; ``unreadable`` ones got none."""

    fake: int
    uncertain: int
    real: int
    no_face: int
    unreadable: int

    @property
    def total(self) -> int:
        """All pictures of the class."""
        return self.fake + self.uncertain + self.real + self.no_face + self.unreadable


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of some of the pictures. ``metrics`` is None if none of them could be scored.

    ``set`` and ``method`` are "" where the part is not about one; a method is measured against the reals of its set.
    """

    scope: str
    set: str
    method: str
    used_for_selection: bool
    metrics: Metrics | None
    points: tuple[PointRates, ...]
    selective: Selective | None
    uncalibrated: Uncalibrated | None
    real: Verdicts
    fake: Verdicts

    @property
    def name(self) -> str:
        """For tables and plots."""
        return " / ".join(word for word in (self.set, self.method) if word) or "all pictures"


@dataclass(frozen=True, slots=True)
class KindFigures:
    """How well the kind of a fake is told (generated is the positive class), on fakes whose kind is known."""

    manipulated: int
    generated: int
    roc_auc: Estimate
    accuracy: Estimate
    balanced_accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was measured; ``mean_set_auc`` is over the ``sets_in_mean`` unmarked sets that have both classes."""

    total: Part
    sets: tuple[Part, ...]
    methods: tuple[Part, ...]
    kind: KindFigures | None
    mean_set_auc: float | None
    sets_in_mean: int
    people: tuple[PeopleRate, ...]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An evaluation with all that is needed to repeat it; ``fingerprint`` is that of the chosen pictures."""

    card: Card
    data: str
    split: str
    fingerprint: str
    command: str
    settings: Settings
    predictions: tuple[Prediction, ...]
    figures: Figures


def assess_predictions(predictions: Sequence[Prediction], calibration: Calibration, settings: Settings) -> Figures:
    """Measure everything. Raises DataError if nothing could be scored."""
    names = sorted({prediction.sample.set for prediction in predictions})
    if not any(prediction.answer for prediction in predictions):
        raise DataError("no picture could be scored; see the reasons why they were skipped")
    marked = frozenset(settings.used_for_selection)
    # Selected sets flatter the sum; only where there are no others it is better than nothing.
    clean = [one for one in predictions if one.sample.set not in marked]
    measure_part = _Measure(calibration, settings)
    by_set = {name: [one for one in predictions if one.sample.set == name] for name in names}
    sets = tuple(measure_part("set", by_set[name], name) for name in names)
    summed = clean if any(one.answer for one in clean) else predictions
    aucs = [
        part.metrics.figures.roc_auc.value for part in sets if part.metrics is not None and not part.used_for_selection
    ]
    known = [value for value in aucs if value is not None]
    return Figures(
        total=measure_part(ALL, summed),
        sets=sets,
        methods=tuple(part for name in names for part in _methods(by_set[name], name, measure_part)),
        kind=_kind(predictions, settings.resampling),
        mean_set_auc=float(np.mean(known)) if known else None,
        sets_in_mean=len(known),
        people=_people(predictions, calibration, settings),
    )


def _people(predictions: Sequence[Prediction], calibration: Calibration, settings: Settings) -> tuple[PeopleRate, ...]:
    threshold = bounds(calibration, settings.point).fake_from
    called = [(one.sample, answer.logit >= threshold) for one, answer in answered(predictions)]
    return people_rates(called, settings.resampling.confidence)


class _Measure:
    """Measures parts of the predictions, all by the same thresholds."""

    def __init__(self, calibration: Calibration, settings: Settings) -> None:
        self._settings = settings
        self._limits = {point: bounds(calibration, point) for point in reversed(SHIPPED_POINTS)}

    def __call__(self, scope: str, predictions: Sequence[Prediction], set_: str = "", method: str = "") -> Part:
        scored, resampling = scored_set(predictions), self._settings.resampling
        limits = self._limits[self._settings.point]
        return Part(
            scope=scope,
            set=set_,
            method=method,
            used_for_selection=bool({one.sample.set for one in predictions} & set(self._settings.used_for_selection)),
            metrics=None if scored is None else measure(scored, limits.fake_from, resampling),
            points=() if scored is None else self._points(scored),
            selective=None if scored is None else measure_selective(doubts(predictions, limits), resampling),
            uncalibrated=None if scored is None else measure_uncalibrated(raw_set(predictions), resampling),
            real=_verdicts([one for one in predictions if one.sample.label is Label.REAL]),
            fake=_verdicts([one for one in predictions if one.sample.label is Label.FAKE]),
        )

    def _points(self, scored: ScoredSet) -> tuple[PointRates, ...]:
        confidence = self._settings.resampling.confidence
        found = []
        for point, limits in self._limits.items():
            called = scored.logits >= limits.fake_from
            fpr, tpr = (
                rate(int(called[scored.labels == label].sum()), int((scored.labels == label).sum()), confidence)
                for label in Label
            )
            odds = float(1.0 / (1.0 + np.exp(-limits.fake_from)))
            found.append(PointRates(point, point.fpr, limits.fake_from, odds, fpr, tpr))
        return tuple(found)


def answered(predictions: Sequence[Prediction]) -> list[tuple[Prediction, Answer]]:
    """The predictions that have an answer, each with it."""
    return [(one, one.answer) for one in predictions if one.answer is not None]


def scored_set(predictions: Sequence[Prediction]) -> ScoredSet | None:
    """What the metrics take: those with an answer; None if there are none."""
    known = answered(predictions)
    if not known:
        return None
    labels = [int(one.sample.label) for one, _ in known]
    return ScoredSet.of(labels, [answer.logit for _, answer in known], [group(one) for one, _ in known])


def raw_set(predictions: Sequence[Prediction]) -> ScoredSet:
    """As ``scored_set``, with the logits as they were before the calibration; there must be an answer."""
    known = answered(predictions)
    labels = [int(one.sample.label) for one, _ in known]
    return ScoredSet.of(labels, [answer.raw_logit for _, answer in known], [group(one) for one, _ in known])


def doubts(predictions: Sequence[Prediction], limits: Bounds) -> Answered:
    """What the risk–coverage curve takes; there must be an answer.

    Doubt is greatest in the middle of the band that is called uncertain, so that the band that ships lies on the curve.
    """
    middle = (limits.fake_from + limits.real_below) / 2.0
    known = answered(predictions)
    logits = np.array([answer.logit for _, answer in known])
    fake = np.array([one.sample.label is Label.FAKE for one, _ in known])
    judged = np.array([not answer.issues for _, answer in known])
    return Answered(
        wrong=(logits >= limits.fake_from) != fake,
        confidence=np.where(judged, np.abs(logits - middle), -1.0),
        given=np.array([answer.verdict in (Verdict.REAL, Verdict.FAKE) for _, answer in known]),
        groups=np.unique([group(one) for one, _ in known], return_inverse=True)[1],
    )


def group(prediction: Prediction) -> str:
    """What a picture is resampled together with; one without a group stands alone."""
    sample = prediction.sample
    return f"{sample.set}\n{sample.group or sample.path}"


def _verdicts(predictions: Sequence[Prediction]) -> Verdicts:
    said = Counter(answer.verdict for _, answer in answered(predictions))
    no_face = sum(one.no_face for one in predictions)
    unreadable = sum(one.answer is None for one in predictions) - no_face
    return Verdicts(said[Verdict.FAKE], said[Verdict.UNCERTAIN], said[Verdict.REAL], no_face, unreadable)


def _methods(predictions: Sequence[Prediction], set_: str, measure_part: _Measure) -> list[Part]:
    """Each method of a set that has several, against the reals of that set."""
    methods = sorted({one.sample.method for one in predictions if one.sample.label is Label.FAKE and one.sample.method})
    if len(methods) < 2:
        return []
    reals = [one for one in predictions if one.sample.label is Label.REAL]
    return [
        measure_part("method", [*reals, *(one for one in predictions if one.sample.method == name)], set_, name)
        for name in methods
    ]


def _kind(predictions: Sequence[Prediction], resampling: Resampling) -> KindFigures | None:
    known = [(one, answer.kind_logit) for one, answer in answered(predictions) if one.sample.kind]
    logits = [logit for _, logit in known if logit is not None]
    if not logits:
        return None
    generated = [int(one.sample.kind is Kind.GENERATED) for one, _ in known]
    found = measure(ScoredSet.of(generated, logits, [group(one) for one, _ in known]), 0.0, resampling)
    figures = found.figures
    return KindFigures(found.real, found.fake, figures.roc_auc, figures.accuracy, figures.balanced_accuracy)
