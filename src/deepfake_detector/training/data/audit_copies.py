"""Copies in a data set: the same picture in two splits, or in both classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepfake_detector.training.data.audit_facts import Facts
from deepfake_detector.training.data.grouping import join
from deepfake_detector.training.data.samples import Label, Sample, Split

Group = tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class Copies:
    """Groups of pictures that are copies of each other: ``same`` byte for byte, ``alike`` by perceptual hash.

    ``…_splits`` lists the groups that lie in more than one split, ``…_classes`` those that are both real and fake;
    ``repeated`` is how many pictures have a copy at all, and ``tested`` how many of val and test have one in train.
    """

    same_splits: tuple[Group, ...]
    alike_splits: tuple[Group, ...]
    same_classes: tuple[Group, ...]
    alike_classes: tuple[Group, ...]
    repeated: int
    tested: int
    held_out: int

    def troubles(self) -> list[str]:
        """What is wrong, in sentences. Reals and fakes that look alike are not: fakes are made from reals."""
        found = []
        if self.alike_splits:
            found.append(
                f"{self.tested} of {self.held_out} pictures of val and test have a copy or near-copy in train "
                f"({len(self.same_splits)} groups byte for byte): what is measured on them was learnt by heart. "
                "Split anew with `deepfake split`, which keeps copies on one side."
            )
        if self.same_classes:
            found.append(f"{len(self.same_classes)} files are there both as real and as fake, byte for byte.")
        return found


def find_copies(samples: Sequence[Sample], facts: Sequence[Facts]) -> Copies:
    """Compare all pictures with each other, by SHA-256 of the file and by perceptual hash (``grouping.join``)."""
    same = _groups(samples, [fact.sha256 for fact in facts])
    alike = _groups(samples, join([fact.hash for fact in facts], [""] * len(facts)))
    learnt = {sample.path for group in alike if any(s.split is Split.TRAIN for s in group) for sample in group}
    held_out = [sample for sample in samples if sample.split in (Split.VAL, Split.TEST)]
    return Copies(
        same_splits=_differing(same, {sample.path: sample.split for sample in samples}),
        alike_splits=_differing(alike, {sample.path: sample.split for sample in samples}),
        same_classes=_differing(same, {sample.path: sample.label for sample in samples}),
        alike_classes=_differing(alike, {sample.path: sample.label for sample in samples}),
        repeated=sum(len(group) for group in alike),
        tested=sum(sample.path in learnt for sample in held_out),
        held_out=len(held_out),
    )


def _groups(samples: Sequence[Sample], keys: Sequence[Hashable]) -> list[Group]:
    members: defaultdict[Hashable, list[Sample]] = defaultdict(list)
    for sample, key in zip(samples, keys, strict=True):
        members[key].append(sample)
    return [tuple(group) for group in members.values() if len(group) > 1]


def _differing(groups: Sequence[Group], what: Mapping[Path, Split | Label | None]) -> tuple[Group, ...]:
    return tuple(group for group in groups if len({what[sample.path] for sample in group}) > 1)
