"""Reads and checks C2PA manifests with the library of the Content Authenticity Initiative; nothing is fetched."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.provenance import Manifest, ManifestState

MARKERS = (b"jumb", b"c2pa", b"dcterms:provenance")
"""One of these stands in every file with a manifest, or with a link to one; the library is not asked about others."""

_UNTRUSTED = "signingCredential.untrusted"
_STATES = {"Invalid": ManifestState.INVALID, "Valid": ManifestState.VALID, "Trusted": ManifestState.TRUSTED}


def read_manifest(data: bytes, trust_anchors: str | None = None) -> Manifest:
    """What the library says of a file's manifest.

    ``trust_anchors`` are certificates (PEM); only a signer that leads up to one of them makes a manifest ``trusted``.
    Neither remote manifests nor revocation lists are fetched. Without the extra [provenance], and for a file that may
    have a manifest, the state is ``not_checked``. Raises ConfigError for anchors that the library cannot read.
    """
    if not any(marker in data for marker in MARKERS):
        return Manifest(ManifestState.NONE)
    try:
        import c2pa
    except ImportError:
        return Manifest(ManifestState.NOT_CHECKED)
    try:
        with c2pa.Context(c2pa.Settings.from_dict(_settings(trust_anchors))) as context:
            return _read(c2pa, data, context)
    except c2pa.C2paError as error:
        raise ConfigError(f"the C2PA library does not take the trust anchors: {error}") from error


def read_anchors(path: Path) -> str:
    """The PEM file with trust anchors. Raises ConfigError if it cannot be read or holds no certificate."""
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot read the trust anchors {path}: {error}") from error
    if "BEGIN CERTIFICATE" not in text:
        raise ConfigError(f"{path} holds no certificate in PEM form")
    return text


def _settings(trust_anchors: str | None) -> dict[str, Any]:
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}}
    if trust_anchors is not None:
        settings["trust"] = {"trust_anchors": trust_anchors}
    return settings


def _read(c2pa: Any, data: bytes, context: Any) -> Manifest:
    try:
        reader = c2pa.Reader.try_create(None, io.BytesIO(data), None, context)
        if reader is None:
            return Manifest(ManifestState.NONE)
        with reader:
            return _said(json.loads(reader.json()))
    except (c2pa.C2paError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        # The library has no class of its own for "this would have to be fetched".
        state = ManifestState.REMOTE if said.startswith("Remote") else ManifestState.UNREADABLE
        return Manifest(state, problems=(said,))


def _said(store: dict[str, Any]) -> Manifest:
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    signature = active.get("signature_info") or {}
    signer = ", ".join(str(signature[key]) for key in ("common_name", "issuer") if signature.get(key))
    codes = [str(entry.get("code")) for entry in store.get("validation_status") or ()]
    return Manifest(
        state=_STATES.get(store.get("validation_state", ""), ManifestState.UNREADABLE),
        signer=signer or None,
        signed_at=signature.get("time"),
        generator=_generator(active),
        actions=tuple(_actions(active)),
        problems=tuple(code for code in dict.fromkeys(codes) if code != _UNTRUSTED),
    )


def _generator(active: dict[str, Any]) -> str | None:
    """Claims of version 2 and most of version 1 have a list of programs, older ones a text."""
    programs = [
        " ".join(str(info[key]) for key in ("name", "version") if info.get(key))
        for info in active.get("claim_generator_info") or ()
    ]
    return ", ".join(programs) or active.get("claim_generator")


def _actions(active: dict[str, Any]) -> list[str]:
    """Each action, with its digital source type if it names one."""
    found = []
    for assertion in active.get("assertions") or ():
        if not str(assertion.get("label", "")).startswith("c2pa.actions"):
            continue
        for action in assertion.get("data", {}).get("actions") or ():
            source = str(action.get("digitalSourceType") or "").rsplit("/", 1)[-1]
            found.append(f"{action.get('action', 'unknown')}" + (f" ({source})" if source else ""))
    return found
