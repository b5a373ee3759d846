"""``deepfake bench uncertainty``: what each reason to leave a face uncertain is worth, on the risk–coverage curve."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deepfake_detector._version import __version__
from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Doubt
from deepfake_detector.faces.align import changed_crops, crop_matrix, cut_window
from deepfake_detector.media.reencode import LIGHT
from deepfake_detector.scoring.bundle import Bundle
from deepfake_detector.scoring.calibration import calibrated_logit
from deepfake_detector.scoring.card import Card
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.training.data.crops import CachedCrop, read_cached
from deepfake_detector.training.data.samples import Label, Sample, fingerprint, limited
from deepfake_detector.training.evaluate import EvaluateOptions, choose_samples, crop_cache, data_of, find_model
from deepfake_detector.training.intervals import Estimate, Floats, Rate, Resampling, bootstrap, percentile, rate
from deepfake_detector.training.metrics import no_interval
from deepfake_detector.training.predict import Progress, Scored, bounds, score_crops
from deepfake_detector.training.selective import Answered, Selective, area, measure_selective
from deepfake_detector.verdict.decide import Bounds, near_above

ALL = "all pictures"
MIN_PICTURES = 20
"""Sets with fewer pictures have no figures of their own."""

UNFIT = -1.0
"""The confidence of a face that cannot be judged, or of which another doubt is known."""


@dataclass(frozen=True, slots=True)
class Way:
    """Some doubts, beside the band, on some pictures.

    ``lower`` is the area under the risk–coverage curve less that of the band alone: below 0 the doubts are worth
    something. ``doubted`` are the faces that these doubts leave uncertain and the band does not, ``errors`` those of
    them whose answer would have been wrong.
    """

    doubts: tuple[Doubt, ...]
    selective: Selective
    lower: Estimate | None
    doubted: Rate
    errors: Rate


@dataclass(frozen=True, slots=True)
class DoubtedPart:
    """The ways on one set, or on all pictures; the first way is the band alone."""

    name: str
    pictures: int
    ways: tuple[Way, ...]


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """A finished bench with all that is needed to repeat it."""

    card: Card
    data: str
    split: str
    fingerprint: str
    command: str
    parts: tuple[DoubtedPart, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Doubted:
    """N scored pictures: calibrated logits, labels, whether they can be judged, which doubts beside the band hold."""

    logits: Floats
    fake: NDArray[np.bool_]
    judged: NDArray[np.bool_]
    found: dict[Doubt, NDArray[np.bool_]]
    sets: NDArray[np.str_]
    groups: tuple[str, ...]


def bench_uncertainty(
    model: str | Path | None,
    data: Path | None,
    options: EvaluateOptions,
    limit: int | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Uncertainty:
    """Score the pictures, look for each doubt, and measure. Raises ModelError, DataError or ConfigError."""
    source = find_model(model)
    data = data or data_of(source)
    samples = choose_samples(data, source.config, options)
    samples = samples if limit is None else limited(samples, limit, options.settings.resampling.seed)
    bundle, limits = source.bundle, bounds(source.bundle.card.calibration, options.settings.point)
    scored = score_crops(bundle, samples, crop_cache(source, options), options.threads, progress)
    doubted = look(bundle, scored, limits, options.threads, progress)
    words = ["deepfake", "bench", "uncertainty", source.name, str(data), "--split", options.split or "all"]
    words += ["--limit", str(limit)] if limit is not None else []
    return Uncertainty(
        card=bundle.card,
        data=str(data),
        split=str(options.split or "all"),
        fingerprint=fingerprint(samples),
        command=shlex.join(words),
        parts=measure(doubted, limits, options.settings.resampling),
    )


def look(bundle: Bundle, scored: Scored, limits: Bounds, threads: int, progress: Progress) -> Doubted:
    """Look for the doubts beside the band, by the rules of ``detect``."""
    card = bundle.card
    logits = calibrated_logit(scored.scores.fake_logit, card.calibration)
    found: dict[Doubt, NDArray[np.bool_]] = {}
    if card.doubts.far is not None and scored.scores.distance is not None:
        found[Doubt.FAR] = (scored.scores.distance > card.doubts.far.limit) & (logits < limits.fake_from)
    scorer = Scorer(bundle, threads)
    near = [place for place, logit in enumerate(logits) if near_above(float(logit), limits)]
    unstable = np.zeros(len(logits), bool)
    for done, place in enumerate(near, 1):
        again = scorer.score(saved_again(scored.crops[place], card)).fake_logit
        unstable[place] = (calibrated_logit(again, card.calibration) < limits.fake_from).any()
        progress("saving again", done, len(near))
    found[Doubt.UNSTABLE] = unstable
    return Doubted(
        logits=logits,
        fake=np.array([one.label is Label.FAKE for one in scored.samples]),
        judged=np.array([not issues for issues in scored.issues]),
        found=found,
        sets=np.array([one.set for one in scored.samples]),
        groups=tuple(_group(one) for one in scored.samples),
    )


def saved_again(cached: CachedCrop, card: Card) -> NDArray[np.uint8]:
    """The crops (ways, S, S, 3) of a face after each light way of saving its picture again, cut as by ``detect``."""
    rule, pixels = card.input.rule(), read_cached(cached)
    matrix = crop_matrix(pixels, cached.box, cached.landmarks, rule)
    return changed_crops(cut_window(pixels, matrix, rule.size, (cached.left, cached.top)), rule.size, LIGHT.values())


def measure(doubted: Doubted, limits: Bounds, resampling: Resampling) -> tuple[DoubtedPart, ...]:
    """All pictures together, then each set that has enough. Raises DataError if nothing was scored."""
    if not len(doubted.logits):
        raise DataError("no picture could be scored")
    names = [str(name) for name in np.unique(doubted.sets) if (doubted.sets == name).sum() >= MIN_PICTURES]
    chosen = [(ALL, np.ones(len(doubted.logits), bool))]
    chosen += [(name, doubted.sets == name) for name in names] if len(names) > 1 else []
    return tuple(_part(name, doubted, kept, limits, resampling) for name, kept in chosen)


def _part(name: str, doubted: Doubted, kept: NDArray[np.bool_], limits: Bounds, resampling: Resampling) -> DoubtedPart:
    alone = [(doubt,) for doubt in doubted.found]
    combinations = [(), *alone, *([tuple(doubted.found)] if len(alone) > 1 else [])]
    band = _answered(doubted, (), kept, limits)
    ways = []
    for doubts in combinations:
        answered = _answered(doubted, doubts, kept, limits)
        dropped = band.given & ~answered.given
        ways.append(
            Way(
                doubts=doubts,
                selective=measure_selective(answered, resampling),
                lower=_difference(band, answered, resampling) if doubts else None,
                doubted=rate(int(dropped.sum()), int(kept.sum()), resampling.confidence),
                errors=rate(int((dropped & band.wrong).sum()), int(dropped.sum()), resampling.confidence),
            )
        )
    return DoubtedPart(name, int(kept.sum()), tuple(ways))


def _answered(doubted: Doubted, doubts: Sequence[Doubt], kept: NDArray[np.bool_], limits: Bounds) -> Answered:
    """As ``evaluation.doubts``: doubt is greatest in the middle of the band, still greater where a reason is known."""
    logits = doubted.logits[kept]
    open_ = ~doubted.judged[kept]
    for doubt in doubts:
        open_ |= doubted.found[doubt][kept]
    in_band = (logits >= limits.real_below) & (logits < limits.fake_from)
    groups = [group for group, here in zip(doubted.groups, kept, strict=True) if here]
    return Answered(
        wrong=(logits >= limits.fake_from) != doubted.fake[kept],
        confidence=np.where(open_, UNFIT, np.abs(logits - (limits.fake_from + limits.real_below) / 2.0)),
        given=~open_ & ~in_band,
        groups=np.unique(groups, return_inverse=True)[1],
    )


def _difference(band: Answered, other: Answered, resampling: Resampling) -> Estimate:
    """The area of ``other`` less that of ``band``, on the same resampled pictures."""

    def statistic(weights: Floats) -> Floats:
        return np.array([area(other, weights) - area(band, weights)])

    value = float(statistic(np.ones(len(band.wrong)))[0])
    without = no_interval(int(band.groups.max()) + 1, resampling)
    if without:
        return Estimate(value, reason=without)
    return percentile(value, bootstrap(statistic, band.groups, resampling)[0], resampling)


def _group(sample: Sample) -> str:
    return f"{sample.set}\n{sample.group or sample.path}"


def write(found: Uncertainty, file: Path) -> None:
    """Write the figures as JSON, which ``benchmarks/make_results.py`` reads. Raises DataError."""
    card = found.card
    content = {
        "deepfake_detector": __version__,
        "command": found.command,
        "model": {"name": card.name, "version": card.version, "onnx_sha256": card.onnx_sha256},
        "data": {"source": found.data, "split": found.split, "fingerprint": found.fingerprint},
        "in_use": list(card.doubts.in_use),
        "parts": [asdict(part) for part in found.parts],
    }
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {file}: {error.strerror or error}; give another place") from error
