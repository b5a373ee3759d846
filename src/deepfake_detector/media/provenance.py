"""What a file claims of its own origin; it stands beside the score and never goes into it."""

from __future__ import annotations

import re

from deepfake_detector.core.provenance import Manifest, ManifestState, Provenance
from deepfake_detector.media.manifest import read_manifest
from deepfake_detector.media.metadata import Metadata, read_metadata
from deepfake_detector.media.quantisation import jpeg_quality
from deepfake_detector.media.traces import find_traces

_IN_ACTION = re.compile(r"\((\w+)\)$")


def read_provenance(data: bytes, trust_anchors: str | None = None) -> Provenance:
    """Manifest, digital source types, marks of programs, camera and JPEG quality of a picture file.

    ``trust_anchors``: see ``media.manifest.read_manifest``. Raises ConfigError for anchors that cannot be read.
    """
    metadata = read_metadata(data)
    manifest = read_manifest(data, trust_anchors)
    traces = find_traces(metadata.fields)
    camera = _camera(metadata)
    claimed = [match.group(1) for action in manifest.actions if (match := _IN_ACTION.search(action))]
    types = tuple(dict.fromkeys((*metadata.source_types, *claimed)))
    return Provenance(
        manifest=manifest,
        source_types=types,
        traces=traces,
        camera=camera,
        jpeg_quality=jpeg_quality(metadata.tables),
        stripped=not (traces or camera or types or _has_manifest(manifest)),
    )


def _has_manifest(manifest: Manifest) -> bool:
    return manifest.state is not ManifestState.NONE


def _camera(metadata: Metadata) -> str | None:
    make, model = metadata.text("EXIF Make") or "", metadata.text("EXIF Model") or ""
    if not model and not make:
        return None
    # ComfyUI writes its workflow into these two fields of WebP files.
    if any(mark in make + model for mark in "{["):
        return None
    name = model if model.lower().startswith(make.lower()) else f"{make} {model}"
    return " ".join(name.split())[:80]
