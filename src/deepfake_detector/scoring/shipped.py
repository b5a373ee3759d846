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
            onnx_sha256="b93227e1af727771409147d3af99692f3cfd2bb8484c8df17c004f721630e502",
            card_sha256="626ec703adc72aac8f465a7fc6c45342189c1a11d431b98c04425ee422275388",
        ),
    }
)
"""Name → pin; ``bundle.pin_of(folder)`` gives the values for a new one."""

MODELS_FOLDER = Path(__file__).resolve().parent / "models"


def shipped_folder(name: str) -> Path:
    """Where the shipped bundle of this name lies."""
    return MODELS_FOLDER / name
