"""Finds what a careless network would learn from a data set instead of faces: shortcuts, copies, gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from deepfake_detector.core.errors import DataError
from deepfake_detector.training.data.audit_copies import Copies, find_copies
from deepfake_detector.training.data.audit_facts import Facts, read_facts
from deepfake_detector.training.data.audit_predictors import JOINT, PREDICTORS, Judged, Level, Predictor, predict_label
from deepfake_detector.training.data.grouping import join
from deepfake_detector.training.data.manifest import read_samples
from deepfake_detector.training.data.samples import (
    Label,
    Progress,
    Sample,
    SetCount,
    count,
    fingerprint,
    limited,
    select,
)
from deepfake_detector.training.intervals import Estimate, Resampling

LEAK, WARNING = 0.90, 0.70
"""Lower bounds of the AUC of a fact about the file from which on it is a leak, or worth a warning."""
IMBALANCE = 4.0
"""A class with so many times as many pictures as the other is worth a warning."""

_WORKERS = 2


class Finding(StrEnum):
    """How bad something is; only a leak makes the command fail."""

    OK = "ok"
    WARNING = "warning"
    LEAK = "leak"


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """Which sets; at most ``limit`` pictures of each class of each set and split (None: all), drawn by ``seed``."""

    sets: tuple[str, ...] = ()
    exclude_sets: tuple[str, ...] = ()
    limit: int | None = None
    resampling: Resampling = field(default_factory=lambda: Resampling(500))


@dataclass(frozen=True, slots=True)
class Guess:
    """How well one predictor tells the label."""

    predictor: Predictor[Facts]
    auc: Estimate
    finding: Finding


@dataclass(frozen=True, slots=True)
class Part:
    """All pictures together (``set`` None) or one set: what each predictor reaches, or why nothing can be said."""

    set: str | None
    real: int
    fake: int
    guesses: tuple[Guess, ...]
    reason: str | None = None

    @property
    def finding(self) -> Finding:
        """The worst of its predictors."""
        return worst(guess.finding for guess in self.guesses)


@dataclass(frozen=True, slots=True)
class Unread:
    """A picture that cannot be read, and why."""

    sample: Sample
    reason: str


@dataclass(frozen=True, slots=True)
class Audit:
    """Everything that was found; ``gaps`` are sentences about missing and rare classes."""

    data: str
    options: AuditOptions
    fingerprint: str
    counts: tuple[SetCount, ...]
    looked_at: int
    parts: tuple[Part, ...]
    copies: Copies
    unreadable: tuple[Unread, ...]
    gaps: tuple[str, ...]

    @property
    def finding(self) -> Finding:
        """A leak if a fact about the file is one, in all pictures together or in a set; a warning for anything else."""
        troubled = bool(self.unreadable or self.gaps or self.copies.troubles())
        return worst([*(part.finding for part in self.parts), Finding.WARNING if troubled else Finding.OK])


def worst(findings: Iterable[Finding]) -> Finding:
    """The worst of some findings; ok if there are none."""
    return max(findings, key=list(Finding).index, default=Finding.OK)


def audit(source: Path, options: AuditOptions | None = None, progress: Progress | None = None) -> Audit:
    """Look at a folder or manifest, as ``read_samples`` takes it. Raises DataError if there is nothing to look at.

    Each predictor is measured on all pictures together and on each set by itself. The two answer different
    questions: the first also finds what tells the *sets* apart, where their shares of fakes differ.
    """
    options = options or AuditOptions()
    everything = select(read_samples(source), options.sets, options.exclude_sets)
    samples = limited(everything, options.limit, options.resampling.seed)
    facts, unreadable = look(samples, progress)
    kept = [sample for sample in samples if sample.path in facts]
    if not kept:
        raise DataError(f"none of the {len(samples)} pictures of {source} can be read")
    known = [facts[sample.path] for sample in kept]
    return Audit(
        data=str(source),
        options=options,
        fingerprint=fingerprint(everything),
        counts=count(everything),
        looked_at=len(samples),
        parts=judge(kept, known, options.resampling),
        copies=find_copies(kept, known),
        unreadable=unreadable,
        gaps=gaps(count(everything)),
    )


def look(
    samples: Sequence[Sample], progress: Progress | None = None
) -> tuple[Mapping[Path, Facts], tuple[Unread, ...]]:
    """Open every picture once: the facts by path, and those that cannot be read."""
    facts: dict[Path, Facts] = {}
    unreadable = []
    with ThreadPoolExecutor(_WORKERS) as pool:
        answers = pool.map(read_facts, [sample.path for sample in samples])
        for done, (sample, answer) in enumerate(zip(samples, answers, strict=True), start=1):
            if isinstance(answer, str):
                unreadable.append(Unread(sample, answer))
            else:
                facts[sample.path] = answer
            if progress:
                progress(done, len(samples))
    return facts, tuple(unreadable)


def judge(samples: Sequence[Sample], facts: Sequence[Facts], resampling: Resampling) -> tuple[Part, ...]:
    """What each predictor reaches on all pictures, and on each set with both classes if there are several sets.

    Near-duplicates and named groups are fitted and resampled together: they are no independent witnesses.
    """
    groups = np.array(join([fact.hash for fact in facts], [sample.group for sample in samples]), dtype=np.int64)
    numbers = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    labels = np.array([int(sample.label) for sample in samples], dtype=np.int64)
    everything = Judged(facts, labels, numbers)
    parts = [_part(None, everything, resampling)]
    names = sorted({sample.set for sample in samples})
    if len(names) > 1:
        of = np.array([sample.set for sample in samples])
        parts += [_part(name, everything.where(of == name), resampling) for name in names]
    return tuple(parts)


def _part(name: str | None, pictures: Judged[Facts], resampling: Resampling) -> Part:
    fake = int(pictures.labels.sum())
    real = len(pictures.labels) - fake
    reason = pictures.too_few()
    if reason is not None:
        return Part(name, real, fake, (), reason)
    found = ((one, predict_label(one, pictures, resampling)) for one in (*PREDICTORS, *JOINT))
    return Part(name, real, fake, tuple(Guess(one, auc, finding_of(one, auc)) for one, auc in found))


def finding_of(predictor: Predictor[Facts], auc: Estimate) -> Finding:
    """What an AUC means. Facts about the picture never are a leak: a fake may well be blurred because it is one."""
    low = auc.low if auc.low is not None else 0.0
    if low >= LEAK and predictor.level is Level.FILE:
        return Finding.LEAK
    return Finding.WARNING if low >= WARNING else Finding.OK


def gaps(counts: Sequence[SetCount]) -> tuple[str, ...]:
    """Sentences about sets and splits without a class, and about one class that outnumbers the other by far."""
    found = []
    for name in sorted({row.set for row in counts}):
        found += _gap(f"the set {name or '(no name)'}", [row for row in counts if row.set == name])
    splits = [split for split in dict.fromkeys(row.split for row in counts) if split is not None]
    for split in splits:
        found += _gap(f"the split {split}", [row for row in counts if row.split == split])
    one_sided = [sentence for sentence in found if sentence]
    total_real, total_fake = sum(row.real for row in counts), sum(row.fake for row in counts)
    if max(total_real, total_fake) >= IMBALANCE * min(total_real, total_fake):
        one_sided.append(f"All together there are {total_real} real and {total_fake} fake pictures.")
    return tuple(one_sided)


def _gap(place: str, rows: Sequence[SetCount]) -> list[str]:
    real, fake = sum(row.real for row in rows), sum(row.fake for row in rows)
    for label, number in ((Label.REAL, real), (Label.FAKE, fake)):
        if number == 0:
            return [f"In {place} there are no {label.name.lower()} pictures: there, the source is the label."]
    if max(real, fake) >= IMBALANCE * min(real, fake):
        return [f"In {place} there are {real} real and {fake} fake pictures."]
    return []
