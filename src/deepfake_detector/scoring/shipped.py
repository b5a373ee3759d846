"""The models that come with the package, each pinned by the hashes of its two files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class ShippedPin:
    """SHA-256 (hexadecimal) of a shipped bundle's ``model.onnx`` and ``card.json``."""

    onnx_sha256: str
    card_sha256: str


DEFAULT_MODEL: str = "mobilenetv2"
"""The name that ``load_bundle(None)`` opens."""

SHIPPED: Mapping[str, ShippedPin] = MappingProxyType(
    {
        "mobilenetv2": ShippedPin(
            onnx_sha256="215db28e50ff8b555814aca49862dfa488b56576a2ab6d9dba318d90adb40356",
            card_sha256="ef5aeaddb26ff3a6b76b8459cae4732c3564e3a266f63a45dd2977eff2f96d80",
        ),
    }
)
"""Name → pin; ``bundle.pin_of(folder)`` gives the values for a new one."""

MODELS_FOLDER = Path(__file__).resolve().parent / "models"


def shipped_folder(name: str) -> Path:
    """Where the shipped bundle of this name lies."""
    return MODELS_FOLDER / name
