"""Sentences that say what an explanation's numbers carry, and no more than that."""

from __future__ import annotations

import numpy as np

from deepfake_detector.core.explanation import Caution, CautionName, FacePart, MapMethod, Reencoding
from deepfake_detector.core.provenance import Manifest, ManifestState, Provenance, TraceKind
from deepfake_detector.core.types import Decision, Face, Report, Verdict
from deepfake_detector.report.text import VERDICT_WORDS, percent, printable

MORE_THAN_ITS_SHARE = 1.5
"""A part is named if it carries this many times the evidence that its area would by chance."""

WORTH_NAMING = 0.1
"""… and at least this share of all evidence; a map is spoken of if this share of it speaks for a fake."""

MAP_WORDS = {
    MapMethod.LAYER_CAM: "LayerCAM: what speaks for a fake, where it lies; what speaks against it is spread evenly. "
    "The mean over all places, and a constant, is the raw score",
    MapMethod.CAM: "Class-activation map: what each place adds to the raw score; the mean over all places, and a "
    "constant, is the score",
    MapMethod.OCCLUSION: "Occlusion: how much the raw score falls when a place is blurred",
    MapMethod.GRAD_CAM: "Grad-CAM; the scale has no unit",
    MapMethod.GRAD_CAM_PLUS_PLUS: "Grad-CAM++; the scale has no unit",
    MapMethod.GRADIENT: "Input gradient; the scale has no unit",
    MapMethod.ROLLOUT: "Attention rollout: where the network looks, whatever it decides; shares of its attention",
}

PART_WORDS = {
    FacePart.EYES: "the eyes and brows",
    FacePart.NOSE: "the nose",
    FacePart.MOUTH: "the mouth",
    FacePart.SKIN: "the skin between the features",
    FacePart.OUTLINE: "the outline of the face",
    FacePart.BACKGROUND: "what surrounds the face",
}

CAUTION_WORDS = {
    CautionName.BEAUTY_FILTER: "Beauty filter: it smooths skin as some fakes do, and may raise or lower the score",
    CautionName.DRAWING: "Painting or cartoon: the model learned from photos, and its score means little here",
    CautionName.COVERED_FACE: "Covered face: what a mask or sunglasses hide cannot be judged",
    CautionName.SCREENSHOT: "Screenshot: its scaling and saving again wipe out traces",
    CautionName.STRONG_COMPRESSION: "Strong compression: it wipes out traces, and leaves some of its own",
}

SOURCE_WORDS = {
    "trainedAlgorithmicMedia": "made by a generative model",
    "compositeWithTrainedAlgorithmicMedia": "partly made or edited by a generative model",
    "compositeSynthetic": "put together with synthetic parts",
    "algorithmicMedia": "made by a program without training",
    "algorithmicallyEnhanced": "enhanced by a program",
    "digitalCapture": "taken by a digital camera",
    "computationalCapture": "computed from several exposures of a camera",
    "digitalArt": "drawn by a person with a program",
    "digitalCreation": "made by a person with a program",
    "humanEdits": "edited by a person",
    "minorHumanEdits": "lightly edited by a person",
    "compositeCapture": "put together from several photos",
    "screenCapture": "taken from a screen",
    "virtualRecording": "recorded in a virtual world",
}

_MANIFEST_WORDS = {
    ManifestState.NONE: "The file has no C2PA manifest. Most files have none; that speaks neither for nor against it.",
    ManifestState.NOT_CHECKED: "The file may have a C2PA manifest, which was not checked: pip install "
    '"deepfake-detector[provenance]".',
    ManifestState.REMOTE: "The file names a C2PA manifest on the network. It was not fetched.",
    ManifestState.UNREADABLE: "The file has a C2PA manifest that cannot be read.",
    ManifestState.INVALID: "C2PA manifest: invalid. It does not fit the file, or is broken. Saving a picture again is "
    "enough for that: invalid does not mean fake.",
    ManifestState.VALID: "C2PA manifest: valid. The file is as it was when it was signed; whether the signer can be "
    "trusted was not established. Valid does not mean that the picture shows the truth.",
    ManifestState.TRUSTED: "C2PA manifest: trusted. The file is as it was when it was signed, by a signer on the list "
    "that was given. That vouches for the signer, not for what the picture shows.",
}


def face_words(face: Face, decision: Decision, frame: float | None = None) -> tuple[str, ...]:
    """What can be said of one face beside its score; empty where no explanation was asked for.

    ``frame`` is the probability of the single frame of a video that is explained, where the face's own is pooled.
    """
    if face.heatmap is None:
        return ()
    stability = stability_sentence(face, decision) if frame is None else frame_sentence(face, frame)
    return tuple(said for said in (where_sentence(face), stability, nearness_sentence(face)) if said)


def where_sentence(face: Face) -> str:
    """Which parts carry more of the evidence for fake than their area; "" where the map cannot be laid on parts.

    No part is named where next to nothing in the map speaks for a fake.
    """
    weight = _weight_for_fake(face)
    if weight == 0.0:
        return "No place of the map speaks for a fake."
    if weight < WORTH_NAMING:
        return f"Next to nothing in the map speaks for a fake: {percent(weight)} of its weight."
    parts = face.explanation.parts if face.explanation else ()
    if not parts:
        return ""
    telling = [
        part for part in parts if part.evidence >= max(MORE_THAN_ITS_SHARE * part.area, WORTH_NAMING) and part.area > 0
    ]
    if not telling:
        return (
            "What speaks for a fake is spread over the picture of the face: no part carries "
            f"{MORE_THAN_ITS_SHARE:g} times what its area would by chance."
        )
    said = [
        f"{percent(part.evidence)} on {PART_WORDS[part.part]} ({percent(part.area)} of the area)"
        for part in sorted(telling, key=lambda part: -part.evidence)
    ]
    end = "" if face.verdict is Verdict.FAKE else " It is not enough to call the face fake."
    return f"Of what speaks for a fake, there lies {_listed(said)}.{end}"


def stability_sentence(face: Face, decision: Decision) -> str:
    """How the score moves under light re-encodings; "" where that was not tried."""
    ways = face.explanation.reencodings if face.explanation else ()
    if not ways:
        return ""
    text = f"Saved again in {_moved(ways)} (as it is: {percent(face.p_fake)})."
    if not face.quality.usable:
        return text
    other = [way for way in ways if _verdict(way, decision) is not face.verdict]
    if not other:
        return f"{text} The verdict stays."
    changes = [f"{VERDICT_WORDS[_verdict(way, decision)]} with {way.name}" for way in other]
    return f"{text} The verdict does not hold: {_listed(changes)}."


def frame_sentence(face: Face, frame: float) -> str:
    """The same of the one frame of a video that is explained, which has no verdict of its own."""
    ways = face.explanation.reencodings if face.explanation else ()
    if not ways:
        return ""
    return f"The frame that looks most like a fake: saved again in {_moved(ways)} (as it is: {percent(frame)})."


def nearness_sentence(face: Face) -> str:
    """How near the face is to those that the model knows; "" where it cannot tell."""
    near = face.explanation.nearness if face.explanation else None
    if near is None:
        return ""
    share = percent(near.beyond)
    if near.distance > near.limit:
        return (
            f"It is unlike the faces that the model knows: its distance to them is {near.distance:.2g}, and only "
            f"{share} of these lie beyond {near.limit:.2g}. The score says less about it."
        )
    return (
        f"It is not unlike the faces that the model knows: its distance to them is {near.distance:.2g}; {share} of "
        f"these lie beyond {near.limit:.2g}."
    )


def caution_sentences(report: Report) -> tuple[str, ...]:
    """The named reasons to trust the score less."""
    return tuple(_caution(caution, len(report.faces)) for caution in report.cautions)


def provenance_sentences(provenance: Provenance | None) -> tuple[str, ...]:
    """What the file claims of its own origin, with what that does and does not mean."""
    if provenance is None:
        return ()
    said = [*_manifest_sentences(provenance.manifest)]
    for source in provenance.source_types:
        words = SOURCE_WORDS.get(source)
        said.append(f"It declares its digital source type as {source}" + (f": {words}." if words else "."))
    for trace in provenance.traces:
        quoted = f"{trace.where} says “{printable(trace.text)}”"
        if trace.kind is TraceKind.OTHER:
            said.append(f"{quoted}.")
        else:
            said.append(f"Trace of {trace.program}: {quoted}. Anybody can write or remove such a text.")
    if provenance.camera is not None:
        said.append(f"It names a camera: {printable(provenance.camera)}. Anybody can write that, too.")
    if provenance.stripped:
        said.append(
            "Nothing in it says where it comes from. Networks and messengers strip that; it speaks neither for nor "
            "against the picture."
        )
    return tuple(said)


def _moved(ways: tuple[Reencoding, ...]) -> str:
    low, high = (bound(way.p_fake for way in ways) for bound in (min, max))
    said = percent(low) if percent(low) == percent(high) else f"between {percent(low)} and {percent(high)}"
    return f"{len(ways)} light ways, its probability is {said}"


def _weight_for_fake(face: Face) -> float:
    """The share of what the map weighs, in both directions, that speaks for a fake; 0–1."""
    if face.heatmap is None:
        return 0.0
    values = face.heatmap.as_array()
    return float(np.maximum(values, 0.0).sum() / max(float(np.abs(values).sum()), 1e-12))


def _manifest_sentences(manifest: Manifest) -> list[str]:
    said = [_MANIFEST_WORDS[manifest.state]]
    claims = [
        f"{name}: {printable(value)}"
        for name, value in (
            ("signer", manifest.signer),
            ("signed at", manifest.signed_at),
            ("program that made it", manifest.generator),
            ("what was done", ", ".join(manifest.actions)),
            ("checks that failed", ", ".join(manifest.problems)),
        )
        if value
    ]
    if claims:
        said.append(f"It says: {'; '.join(claims)}.")
    return said


def _caution(caution: Caution, faces: int) -> str:
    which = "" if caution.face is None or faces < 2 else f" (face {caution.face + 1})"
    return f"{CAUTION_WORDS[caution.name]}{which}. Found: {printable(caution.detail)}."


def _verdict(way: Reencoding, decision: Decision) -> Verdict:
    if way.p_fake >= decision.threshold:
        return Verdict.FAKE
    return Verdict.REAL if way.p_fake < decision.real_below else Verdict.UNCERTAIN


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
