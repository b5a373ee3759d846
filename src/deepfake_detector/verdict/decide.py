"""From calibrated logits to verdicts: one for each face, and one for the picture. Pure functions, no probabilities.

The rules, in the order in which they are used:

1. *Who counts.* A face whose longer side is under a quarter of the largest one's stands in the background and is left
   out, unless all faces are asked for.
2. *Where the threshold lies.* It lets a share ``fpr`` of real **pictures** be called fake. With n faces each one gets
   the share 1 - (1 - fpr)^(1/n) (Šidák 1967), so that twenty real faces do not cry wolf.
3. *What is said of a face.* ``fake`` from the threshold on; ``real`` if it lies ``band_below`` or more under it;
   between them ``uncertain``. The threshold of a single face caps the upper end of ``real``: a face that would be
   called fake if it were alone is never called real because others stand beside it. A face that cannot be judged
   (too small, too blurred, too dark) is ``uncertain``, whatever its logit, and so is one of which doubts are known.
4. *What is said of the picture.* The verdict of the most suspicious face that counts: ``fake`` before ``uncertain``
   before ``real``. A face that cannot be judged never makes a picture fake. It makes it ``uncertain`` if its logit is
   suspicious, or if no other face can be judged; if its logit is in the range of ``real`` and other faces can be
   judged, they speak for the picture, and a warning names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deepfake_detector.core.types import Box, Doubt, Kind, QualityIssue, Verdict

BACKGROUND_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one face: its calibrated logit (prior 0.5), its kind logit, what speaks against judging it.

    ``doubts`` are those beside the band, which ``decide`` adds. Of a person in a video the logit is pooled over the
    frames; ``brief`` is one who was seen in a single frame while others were seen for longer, as false hits are.
    """

    box: Box
    logit: float
    kind_logit: float | None = None
    issues: tuple[QualityIssue, ...] = ()
    brief: bool = False
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """How strictly to decide.

    ``threshold_at`` gives the calibrated logit from which on a share ``fpr`` of single real faces is called fake; it
    must not fall as the rate gets stricter. ``band_below`` is the width of ``uncertain``, in logits. ``chances`` is in
    how many places each face is looked at for the worst, for which the threshold is corrected as for so many faces;
    ``noun`` is what a warning calls the evidence, for one and for several.
    """

    fpr: float
    threshold_at: Callable[[float], float]
    band_below: float
    all_faces: bool = False
    chances: int = 1
    noun: tuple[str, str] = ("face", "faces")


@dataclass(frozen=True, slots=True)
class Bounds:
    """In calibrated logits: ``fake`` from ``fake_from`` on, ``real`` under ``real_below``, for ``faces`` faces."""

    fake_from: float
    real_below: float
    faces: int


@dataclass(frozen=True, slots=True)
class FaceVerdict:
    """What is said of one face; ``considered`` is False if the picture's verdict leaves it out.

    ``doubts`` say why a face that can be judged is uncertain.
    """

    verdict: Verdict
    kind: Kind | None
    considered: bool
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class PictureVerdict:
    """What is said of a picture; ``faces`` in the order of the evidence, ``logit`` is None where there is no face.

    ``logit`` is the highest one of the faces that count, whether they can be judged or not: poor quality changes the
    verdict and not the number.
    """

    verdict: Verdict
    kind: Kind | None
    logit: float | None
    bounds: Bounds
    faces: tuple[FaceVerdict, ...] = ()
    warnings: tuple[str, ...] = ()


def decide(evidence: Sequence[Evidence], policy: Policy) -> PictureVerdict:
    """The verdicts for a picture with these faces; see the module for the rules."""
    large = considered_faces([face.box for face in evidence], policy.all_faces)
    considered = tuple(
        counts and (policy.all_faces or not face.brief) for face, counts in zip(evidence, large, strict=True)
    )
    bounds = bounds_for(sum(considered), policy)
    faces = tuple(_face_verdict(face, counts, bounds) for face, counts in zip(evidence, considered, strict=True))
    counted = [(face, said) for face, said in zip(evidence, faces, strict=True) if said.considered]
    if not counted:
        return PictureVerdict(Verdict.NO_FACE, None, None, bounds)
    verdict = _picture_verdict(counted, bounds)
    return PictureVerdict(
        verdict=verdict,
        kind=_picture_kind(counted) if verdict is Verdict.FAKE else None,
        logit=max(face.logit for face, _ in counted),
        bounds=bounds,
        faces=faces,
        warnings=tuple(_warnings(evidence, considered, verdict, policy.noun)),
    )


def considered_faces(boxes: Sequence[Box], all_faces: bool = False) -> tuple[bool, ...]:
    """For each box, whether the picture's verdict counts it: its longer side is a quarter of the largest or more."""
    largest = max((box.long_side for box in boxes), default=0.0)
    return tuple(all_faces or box.long_side >= BACKGROUND_SHARE * largest for box in boxes)


def fpr_per_face(fpr: float, faces: int) -> float:
    """The rate for each of n independent faces that gives the rate ``fpr`` for all of them together (Šidák)."""
    return -math.expm1(math.log1p(-fpr) / faces) if faces > 1 else fpr


def bounds_for(faces: int, policy: Policy) -> Bounds:
    """The bounds of the verdicts in a picture with this number of faces that count."""
    alone = policy.threshold_at(policy.fpr)
    fake_from = max(alone, policy.threshold_at(fpr_per_face(policy.fpr, faces * policy.chances)))
    return Bounds(fake_from=fake_from, real_below=min(fake_from - policy.band_below, alone), faces=faces)


def near_above(logit: float, bounds: Bounds) -> bool:
    """Whether a face called fake lies no farther above the threshold than the band reaches below it."""
    return bounds.fake_from <= logit < 2.0 * bounds.fake_from - bounds.real_below


def face_verdict(logit: float, usable: bool, bounds: Bounds) -> Verdict:
    """What is said of one face with this calibrated logit."""
    if usable and logit >= bounds.fake_from:
        return Verdict.FAKE
    if usable and logit < bounds.real_below:
        return Verdict.REAL
    return Verdict.UNCERTAIN


def _face_verdict(face: Evidence, considered: bool, bounds: Bounds) -> FaceVerdict:
    verdict = face_verdict(face.logit, not face.issues, bounds)
    if face.issues:
        return FaceVerdict(verdict, None, considered)
    doubts = ((Doubt.BAND,) if verdict is Verdict.UNCERTAIN else ()) + face.doubts
    if doubts:
        return FaceVerdict(Verdict.UNCERTAIN, None, considered, doubts)
    return FaceVerdict(verdict, _kind(face) if verdict is Verdict.FAKE else None, considered)


def _kind(face: Evidence) -> Kind | None:
    if face.kind_logit is None:
        return None
    return Kind.GENERATED if face.kind_logit > 0.0 else Kind.MANIPULATED


def _picture_verdict(counted: Sequence[tuple[Evidence, FaceVerdict]], bounds: Bounds) -> Verdict:
    judged = [said.verdict for face, said in counted if not face.issues]
    suspicious = any(said.doubts or face.logit >= bounds.real_below for face, said in counted)
    if Verdict.FAKE in judged:
        return Verdict.FAKE
    return Verdict.UNCERTAIN if suspicious or not judged else Verdict.REAL


def _picture_kind(counted: Sequence[tuple[Evidence, FaceVerdict]]) -> Kind | None:
    fakes = [(face, said) for face, said in counted if said.verdict is Verdict.FAKE]
    return max(fakes, key=lambda pair: pair[0].logit)[1].kind


def _warnings(
    evidence: Sequence[Evidence], considered: Sequence[bool], verdict: Verdict, noun: tuple[str, str]
) -> list[str]:
    """What a reader of the verdict should know; faces are numbered from 1 in the order of the evidence.

    Where the picture is uncertain, what speaks against judging a face is the reason, and not worth a warning.
    """
    one, several = noun
    unfit: dict[str, list[str]] = {}
    for number, (face, counts) in enumerate(zip(evidence, considered, strict=True), start=1):
        if counts and face.issues and verdict is not Verdict.UNCERTAIN:
            reason = " and ".join(issue.replace("_", " ") for issue in face.issues)
            unfit.setdefault(reason, []).append(str(number))
    said = [
        f"{several if len(numbers) > 1 else one} {', '.join(numbers)} cannot be judged: {reason}"
        for reason, numbers in unfit.items()
    ]
    count = sum(considered)
    if count > 1:
        said.append(f"{count} {several} count; the threshold is corrected for their number")
    left_out = [face.brief for face, counts in zip(evidence, considered, strict=True) if not counts]
    for brief, words in (
        (False, "background {} left out: under a quarter of the largest"),
        (True, "{} left out: seen in one frame only"),
    ):
        number = left_out.count(brief)
        if number:
            said.append(f"{number} " + words.format(f"{one} is" if number == 1 else f"{several} are"))
    return said
