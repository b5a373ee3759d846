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
            onnx_sha256="c9d12ff46a0ed98b750a036fda64a413707f507ec52d8d5d9d8c38ac32379a85",
            card_sha256="78eeda9731c74d2ef2ed25c4eb155ca7f101371209677c6f7150d5b14de57d3b",
        ),
    }
)
"""Name → pin; ``bundle.pin_of(folder)`` gives the values for a new one."""

MODELS_FOLDER = Path(__file__).resolve().parent / "models"


def shipped_folder(name: str) -> Path:
    """Where the shipped bundle of this name lies."""
    return MODELS_FOLDER / name
