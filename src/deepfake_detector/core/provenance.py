"""The value types of provenance: what a file claims of its own origin. Never part of a score."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ManifestState(StrEnum):
    """What can be said of a file's C2PA manifest.

    ``invalid``, ``valid`` and ``trusted`` are the words of the C2PA library. ``none``: the file has no manifest;
    ``remote``: it only names a place on the network, where nothing is fetched from; ``unreadable``: the library cannot
    read it; ``not_checked``: the extra [provenance] is not installed.
    """

    NONE = "none"
    INVALID = "invalid"
    VALID = "valid"
    TRUSTED = "trusted"
    REMOTE = "remote"
    UNREADABLE = "unreadable"
    NOT_CHECKED = "not_checked"


@dataclass(frozen=True, slots=True)
class Manifest:
    """A C2PA manifest, in the words of whoever signed it.

    ``generator`` is the program that it claims; ``actions`` are what it says was done (``c2pa.created`` …);
    ``problems`` are the codes of the checks that failed.
    """

    state: ManifestState
    signer: str | None = None
    signed_at: str | None = None
    generator: str | None = None
    actions: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class TraceKind(StrEnum):
    """What a program that left a trace does."""

    GENERATOR = "generator"
    BEAUTY = "beauty"
    SCREENSHOT = "screenshot"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Trace:
    """A mark that a program leaves: the program, where in the file it stands, and (the beginning of) what it says."""

    program: str
    kind: TraceKind
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a file says of its own origin.

    ``source_types`` are IPTC digital source types (the last word of their URI, such as ``trainedAlgorithmicMedia``);
    ``traces`` are marks of image generators and of other programs; ``camera`` is the make and model in EXIF;
    ``jpeg_quality`` is about the quality, 1–100, that its quantisation tables stand for, None for other formats;
    ``stripped`` is true if the file says nothing of its origin.
    """

    manifest: Manifest
    source_types: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()
    camera: str | None = None
    jpeg_quality: int | None = None
    stripped: bool = False
