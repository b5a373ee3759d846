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
            onnx_sha256="ecc2e005bf13f4524b42a11254a46ba20f094dbb6000a76e7e27aa35f6920e09",
            card_sha256="ca6898e67ff00985a1160719f53710ed25dbd70d2108ff755cdb2e52c9399cbd",
        ),
    }
)
"""Name → pin; ``bundle.pin_of(folder)`` gives the values for a new one."""

MODELS_FOLDER = Path(__file__).resolve().parent / "models"


def shipped_folder(name: str) -> Path:
    """Where the shipped bundle of this name lies."""
    return MODELS_FOLDER / name
