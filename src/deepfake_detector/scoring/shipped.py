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
            onnx_sha256="45c3789fdf604630edbf2e884b16f5a1284f7eb9742b64646b0046c09a1244c6",
            card_sha256="740a765613277db91a7f91a992164c4b55a9fde74bb1b89e84439f2de6ee9c67",
        ),
    }
)
"""Name → pin; ``bundle.pin_of(folder)`` gives the values for a new one."""

MODELS_FOLDER = Path(__file__).resolve().parent / "models"


def shipped_folder(name: str) -> Path:
    """Where the shipped bundle of this name lies."""
    return MODELS_FOLDER / name
