"""Reads settings of any schema from YAML, changed by ``--set``; says which key was meant where one is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import pydantic
from pydantic import BaseModel

from deepfake_detector.core.errors import ConfigError

Settings = TypeVar("Settings", bound=BaseModel)


def load_settings(path: Path, schema: type[Settings], overrides: Sequence[str] = ()) -> Settings:
    """Read a file and apply overrides such as ``train.epochs=3`` (values are YAML). Raises ConfigError."""
    try:
        content = _parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the config {path}: {error}; give the path of a YAML file") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds no settings; it must be YAML like 'data: {{source: my_photos}}'")
    for override in overrides:
        _override(content, override)
    return check_settings(content, str(path), schema)


def changed_settings(settings: Settings, overrides: Sequence[str]) -> Settings:
    """The same settings with overrides such as ``train.epochs=3`` (values are YAML) applied. Raises ConfigError."""
    content = settings.model_dump(mode="json")
    for override in overrides:
        _override(content, override)
    return check_settings(content, "with " + ", ".join(overrides), type(settings))


def check_settings(content: dict[str, Any], where: str, schema: type[Settings]) -> Settings:
    """Validate parsed settings; an unknown key is an error that names the near miss. Raises ConfigError."""
    try:
        return schema.model_validate(content)
    except pydantic.ValidationError as error:
        problems = [_explained(problem, schema) for problem in error.errors(include_url=False)]
        raise ConfigError(f"{where}: " + "; ".join(dict.fromkeys(problems))) from error


def dump_settings(settings: BaseModel) -> str:
    """As YAML, every value written out; ``load_settings`` reads it back to the same."""
    import yaml

    text: str = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def _parse(text: str, where: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not YAML: {error}") from error


def _override(content: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise ConfigError(f"--set {override!r}: write it as section.key=value, such as train.epochs=3")
    place = content
    for key in keys[:-1]:
        inner = place.get(key)
        if inner is None or isinstance(inner, str):
            inner = {}
            place[key] = inner
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override!r}: {key} is no section")
        place = inner
    place[keys[-1]] = _parse(value, f"--set {override!r}")


def _explained(problem: Any, schema: type[BaseModel]) -> str:
    keys, known = _place(problem["loc"], schema)
    name = ".".join(keys)
    if problem["type"] == "missing":
        return f"{name} is missing, and has no default"
    if problem["type"] != "extra_forbidden":
        # YAML reads off, no and 1.0 as something else than text.
        hint = "; put it in quotes" if problem["type"] == "string_type" else ""
        return f"{name}: {problem['msg']} (got {problem['input']!r}{hint})"
    close = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
    return f"unknown key {name!r}; {hint}"


def _place(location: Sequence[str | int], section: type[BaseModel]) -> tuple[list[str], list[str]]:
    """The keys that lead to a setting, and those that the last section on the way may have; from the whole file on.

    Of a setting that may be a word or a section, pydantic names the choice, too; nobody has written that.
    """
    keys: list[str] = []
    choices: set[str] = set()
    for part in map(str, location):
        if part in choices:
            continue
        keys.append(part)
        field = section.model_fields.get(part)
        choices = set() if field is None else _choices(field.annotation)
        section = (None if field is None else _section(field.annotation)) or section
    return keys, list(section.model_fields)


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType, dict) else ()


def _choices(annotation: Any) -> set[str]:
    """As pydantic calls the alternatives of a setting."""
    named = {option.__name__ for option in _options(annotation) if isinstance(option, type)}
    words = [get_args(option) for option in _options(annotation) if get_origin(option) is Literal]
    return named | {f"literal[{','.join(map(repr, some))}]" for some in words}


def _section(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for option in _options(annotation) if (found := _section(option)) is not None), None)
