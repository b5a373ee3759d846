"""False alarms by the age, gender and ethnicity of the people in real pictures, where file names carry them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.intervals import Rate, rate

UTKFACE = re.compile(r"(?<!\d)(\d{1,3})_([01])_([0-4])_\d{12,}")
"""UTKFace: ``[age]_[gender]_[race]_[date and time].jpg``, as its authors describe it."""

ALL_AGE_FACES = re.compile(r"(?<!\d)\d{5}A(\d{2})(?!\d)")
"""All-Age-Faces: ``[number]A[age].jpg``."""

GENDERS = ("male", "female")
ETHNICITIES = ("White", "Black", "Asian", "Indian", "others")
"""The words of UTKFace for its codes; they are what annotators saw, not what people say of themselves."""

AGES = ((18, "under 18"), (35, "18 to 34"), (55, "35 to 54"), (200, "55 and over"))


@dataclass(frozen=True, slots=True)
class PeopleRate:
    """How many real pictures of a group of people in a set were called fake."""

    set: str
    trait: str
    group: str
    fpr: Rate

    @property
    def name(self) -> str:
        """For tables and plots."""
        return f"{self.set or '(no name)'}: {self.trait} {self.group}"


def traits(name: str) -> Mapping[str, str]:
    """What a file name says: age, and with UTKFace's names gender and ethnicity; empty where it says nothing."""
    utk = UTKFACE.search(name)
    if utk:
        age, gender, ethnicity = (int(part) for part in utk.groups())
        return {"age": _age(age), "gender": GENDERS[gender], "ethnicity": ETHNICITIES[ethnicity]}
    aged = ALL_AGE_FACES.search(name)
    return {"age": _age(int(aged.group(1)))} if aged else {}


def _age(years: int) -> str:
    return next(words for below, words in AGES if years < below or below == AGES[-1][0])


_ORDER = {word: place for place, word in enumerate((*(words for _, words in AGES), *GENDERS, *ETHNICITIES))}


def people_rates(called_fake: Iterable[tuple[Sample, bool]], confidence: float) -> tuple[PeopleRate, ...]:
    """The false alarms of each group in each set, from pairs of a picture and whether it was called fake."""
    rows = sorted(
        ((sample.set, trait, _ORDER[group], group, called)
        for sample, called in called_fake
        if sample.label is Label.REAL
        for trait, group in traits(sample.path.name).items()),
    )  # fmt: skip
    found = []
    for (set_, trait, _, group), members in groupby(rows, key=lambda row: row[:4]):
        called = [row[4] for row in members]
        found.append(PeopleRate(set_, trait, group, rate(sum(called), len(called), confidence)))
    return tuple(found)


def widest_gap(rates: Iterable[PeopleRate]) -> tuple[PeopleRate, PeopleRate] | None:
    """The two groups of one trait of one set that differ most: the higher, the lower; None where all are alike."""
    pairs = []
    for _, members in groupby(rates, key=lambda one: (one.set, one.trait)):
        ordered = sorted(members, key=lambda one: one.fpr.value or 0.0)
        pairs.append((ordered[-1], ordered[0]))
    gaps = [((high.fpr.value or 0.0) - (low.fpr.value or 0.0), high, low) for high, low in pairs]
    widest = max(gaps, key=lambda gap: gap[0], default=None)
    return None if widest is None or not widest[0] else (widest[1], widest[2])
