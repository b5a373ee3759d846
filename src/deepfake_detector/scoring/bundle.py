"""Opens and writes a bundle: the folder with ``model.onnx`` and ``card.json`` that a trained network ships as."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pydantic
from pydantic_core import from_json

from deepfake_detector.core.errors import ExportError, ModelNotFoundError, ModelSchemaError, ModelTamperedError
from deepfake_detector.core.onnx import read_model, refuse_unsafe
from deepfake_detector.core.types import ModelInfo
from deepfake_detector.scoring import shipped
from deepfake_detector.scoring.card import CARD_SCHEMA_VERSION, Card
from deepfake_detector.scoring.graph import check_graph

MODEL_FILE = "model.onnx"
CARD_FILE = "card.json"
MAX_CARD_BYTES = 1024 * 1024
CardKind = TypeVar("CardKind", bound=pydantic.BaseModel)
HASH_TO_BE_SET = "0" * 64
"""Stands in ``Card.onnx_sha256`` until ``write_bundle`` knows the model's bytes."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model whose bytes are what its card says; ``path`` is its folder."""

    card: Card
    model: bytes = field(repr=False)
    path: Path | None = None

    @property
    def info(self) -> ModelInfo:
        """What a report says about the model."""
        card = self.card
        return ModelInfo(name=card.name, version=card.version, sha256=card.onnx_sha256, license=card.license)


def load_bundle(source: str | Path | None = None) -> Bundle:
    """Open a bundle: the default one (None), a shipped one (its name), or a folder.

    A text that is the name of a shipped model means that model; write ``./name`` for a folder of the same name.
    Shipped bundles must have the hashes pinned in this version; any other one must have the hash on its card, must
    be safe to open, and its graph must be what the card says.
    Raises ModelNotFoundError, ModelTamperedError, UnsafeModelError or ModelSchemaError.
    """
    if source is None:
        source = shipped.DEFAULT_MODEL
        if source not in shipped.SHIPPED:
            raise ModelNotFoundError("this version comes without a default model; give the folder of a bundle")
    if isinstance(source, str) and source in shipped.SHIPPED:
        return _load_shipped(source)
    return _load_folder(Path(source))


def _load_shipped(name: str) -> Bundle:
    folder, pin = shipped.shipped_folder(name), shipped.SHIPPED[name]
    card = read_card(folder, pin.card_sha256)
    return Bundle(card=card, model=read_model(folder / MODEL_FILE, pin.onnx_sha256), path=folder)


def _load_folder(folder: Path) -> Bundle:
    try:
        is_folder, is_file = folder.is_dir(), folder.is_file()
    except OSError as error:
        raise ModelNotFoundError(f"cannot look for a model at {folder}: {error.strerror or error}") from error
    if not is_folder:
        names = ", ".join(sorted(shipped.SHIPPED)) or "none in this version"
        what = "a file" if is_file else "no folder"
        raise ModelNotFoundError(
            f"{folder} is {what}; give the folder that holds {MODEL_FILE} and {CARD_FILE}, "
            f"or the name of a shipped model ({names})"
        )
    card = read_card(folder)
    model = read_model(folder / MODEL_FILE, card.onnx_sha256)
    refuse_unsafe(model, str(folder / MODEL_FILE))
    check_graph(model, card)
    return Bundle(card=card, model=model, path=folder)


def read_card(folder: Path, sha256: str | None = None) -> Card:
    """Read ``card.json`` of a bundle's folder; with a SHA-256 (hexadecimal), only if its bytes have it.

    Raises ModelNotFoundError, ModelTamperedError or ModelSchemaError.
    """
    return read_card_file(folder / CARD_FILE, Card, CARD_SCHEMA_VERSION, sha256)


def read_card_file(path: Path, schema: type[CardKind], newest: int, sha256: str | None = None) -> CardKind:
    """As ``read_card``, for the cards of any kind of model; ``newest`` is the latest schema version that is known."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise ModelNotFoundError(f"cannot read the model card {path}: {error.strerror or error}") from error
    if len(data) > MAX_CARD_BYTES:
        raise ModelSchemaError(f"{path} is larger than {MAX_CARD_BYTES} bytes; this is not a model card")
    if sha256 is not None:
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise ModelTamperedError(
                f"{path} has SHA-256 {found}, expected {sha256}; install the package again to get it back"
            )
    return _parse_card(data, path, schema, newest)


def _parse_card(data: bytes, path: Path, schema: type[CardKind], newest: int) -> CardKind:
    try:
        content = from_json(data)
    except ValueError as error:
        raise ModelSchemaError(f"{path} is not JSON: {error}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > newest:
        raise ModelSchemaError(
            f"{path} has schema version {version}, this package reads up to {newest}; "
            "install a newer version of deepfake-detector, from where this one came"
        )
    try:
        return schema.model_validate_json(data)
    except pydantic.ValidationError as error:
        raise ModelSchemaError(f"{path} is not a valid model card: {_shortened(error)}") from error


def _shortened(error: pydantic.ValidationError, most: int = 3) -> str:
    """The first few complaints, each as ``field: reason``."""
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    said = [f"{'.'.join(str(part) for part in problem['loc']) or 'card'}: {problem['msg']}" for problem in problems]
    more = f"; and {len(said) - most} more" if len(said) > most else ""
    return "; ".join(said[:most]) + more


def write_bundle(folder: Path, model: bytes, card: Card) -> Path:
    """Write a bundle that ``load_bundle`` will open, whole or not at all, and return its folder.

    ``card.onnx_sha256`` must be the hash of ``model``, or HASH_TO_BE_SET, which is replaced by it.
    Raises ExportError if the folder exists or cannot be written, ModelTamperedError if the card belongs to another
    model, UnsafeModelError or ModelSchemaError if nobody could load the result.
    """
    card = card.model_copy(update={"schema_version": CARD_SCHEMA_VERSION})
    digest = hashlib.sha256(model).hexdigest()
    if card.onnx_sha256 == HASH_TO_BE_SET:
        card = card.model_copy(update={"onnx_sha256": digest})
    elif card.onnx_sha256 != digest:
        raise ModelTamperedError(f"the card is for a model with SHA-256 {card.onnx_sha256}, this one has {digest}")
    refuse_unsafe(model, f"the model for {folder}")
    check_graph(model, card)
    return write_folder(folder, {MODEL_FILE: model, CARD_FILE: card.model_dump_json(indent=2).encode() + b"\n"})


def write_folder(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a folder with these files, whole or not at all, and return it. Raises ExportError."""
    try:
        if folder.exists():
            raise ExportError(f"{folder} exists already; give a new folder, or remove it first")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bundle-") as temporary:
            staged = Path(temporary) / "bundle"
            staged.mkdir()
            for name, content in files.items():
                (staged / name).write_bytes(content)
            staged.rename(folder)
    except OSError as error:
        raise ExportError(f"cannot write the bundle {folder}: {error.strerror or error}") from error
    return folder


def pin_of(folder: Path) -> shipped.ShippedPin:
    """The hashes of a bundle's two files, as they stand in ``shipped.SHIPPED`` once it ships."""
    hashes = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (MODEL_FILE, CARD_FILE))
    return shipped.ShippedPin(*hashes)
