"""Pages of the site that are made from the code: the Python interface, the HTTP interface, and the notebook."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import deepfake_detector

Node = dict[str, Any]

PYTHON_HEAD = """# The Python interface

All names that can be imported from `deepfake_detector`; whatever is not here may change without a word. Made from the
docstrings.

```python
from deepfake_detector import Detector

report = Detector().analyze("photo.jpg")  # a path, bytes, a PIL image, or a NumPy RGB array
print(report.verdict, report.p_fake)
```
"""

HTTP_HEAD = """# HTTP reference

Made from the OpenAPI document that a running service has at `/v1/openapi.json`. How to use it:
[the service](../http.md).
"""


PYTHON_PARTS = {
    "Asking": ("Detector", "AnalysisSettings", "Limits", "OperatingPoint", "Sampling", "VideoLimits"),
    "Answers": ("Report", "Face", "Box", "Verdict", "Kind", "QualityIssue", "Failure", "Outcome"),
    "Answers about videos": ("VideoReport", "Person", "Segment"),
    "Models": ("Bundle", "load_model"),
    "Asking a service": ("DeepfakeDetectorClient", "AsyncDeepfakeDetectorClient"),
}
"""What belongs together; errors have a part of their own, and so has whatever is on no list."""


def python_reference() -> str:
    """A directive for mkdocstrings for each public name, and no others."""
    names = [name for name in deepfake_detector.__all__ if not name.startswith("_")]
    told = {name for part in PYTHON_PARTS.values() for name in part}
    errors = [name for name in names if name.endswith("Error")]
    parts = PYTHON_PARTS | {"Errors": errors, "More": [name for name in names if name not in told | set(errors)]}
    lines = [PYTHON_HEAD]
    for title, part in parts.items():
        lines += [f"## {title}\n", *map(_directive, part)] if part else []
    return "\n".join(lines)


def _directive(name: str) -> str:
    """For mkdocstrings; the members of an enumeration need no docstring to be shown."""
    public = getattr(deepfake_detector, name)
    whole = isinstance(public, type) and issubclass(public, Enum)
    options = "    options:\n      show_if_no_docstring: true\n" if whole else ""
    return f"::: deepfake_detector.{name}\n{options}"


def openapi() -> Node:
    """The OpenAPI document of a service with the shipped model; nothing is started."""
    from deepfake_detector.service.app import create_app
    from deepfake_detector.service.services import assemble
    from deepfake_detector.service.settings import load_settings

    with tempfile.TemporaryDirectory() as folder:
        services = assemble(load_settings(folder=Path(folder)))
        document = create_app(services).openapi()
        services.database.close()
        return document


def http_reference() -> str:
    """Every route with its parameters, answers and examples, then every schema."""
    document = openapi()
    by_tag: dict[str, list[str]] = defaultdict(list)
    for place, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag[operation["tags"][0]] += _operation(f"{method.upper()} {place}", operation)
    lines = [HTTP_HEAD]
    for tag, part in by_tag.items():
        lines += [f"## {tag.capitalize()}\n", *part]
    lines.append("## Schemas\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += _schema(name, schema)
    return "\n".join(lines)


def _operation(title: str, operation: Node) -> Iterator[str]:
    yield f"### `{title}`\n"
    yield f"**{operation['summary']}.**\n\n{operation.get('description', '')}\n"
    rows = [
        [f"`{one['name']}`", one["in"], _kind(one["schema"]), one.get("description", "")]
        for one in operation.get("parameters", ())
    ]
    yield from _table(["parameter", "in", "type", "meaning"], rows)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content["schema"]
        if "$ref" in schema:
            yield f"Body: `{media}`, {_kind(schema)}.\n"
        else:
            yield f"Body: `{media}`.\n"
            yield from _table(["part", "type", "meaning"], _fields(schema))
    rows = [
        [status, response.get("description", ""), ", ".join(_kind(c.get("schema", {})) for c in _content(response))]
        for status, response in sorted(operation["responses"].items())
    ]
    yield from _table(["status", "when", "body"], rows)
    for status, response in sorted(operation["responses"].items()):
        for content in _content(response):
            if "example" in content and status.startswith("2"):
                shown = json.dumps(content["example"], indent=2, ensure_ascii=False)
                yield f"An answer with {status}:\n\n```json\n{shown}\n```\n"


def _content(response: Node) -> list[Node]:
    return list(response.get("content", {}).values())


def _schema(name: str, schema: Node) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{schema.get('description', '')}\n"
    if "enum" in schema:
        yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".\n"
    yield from _table(["field", "type", "meaning"], _fields(schema))


def _fields(schema: Node) -> list[list[str]]:
    needed = schema.get("required", ())
    return [
        [f"`{name}`" + ("" if name in needed else " (optional)"), _kind(one), one.get("description", "")]
        for name, one in schema.get("properties", {}).items()
    ]


def _kind(schema: Node) -> str:
    """The type of a value in words, with a link to its schema if it has one."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(_kind(one) for one in schema[key])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})]
        return "list of " + ", ".join(dict.fromkeys(_kind(one) for one in items))
    return str(schema.get("format") or schema.get("type", ""))


def _table(header: list[str], rows: list[list[str]]) -> Iterator[str]:
    if rows:
        lines = [header, ["---"] * len(header), *([_cell(text) for text in row] for row in rows)]
        yield "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|")


def notebook_page(notebook: Path, folder: Path) -> None:
    """Write the notebook with its outputs as ``notebook.md``, and its pictures beside it."""
    from nbconvert import MarkdownExporter

    body, resources = MarkdownExporter().from_filename(str(notebook), resources={"output_files_dir": "notebook"})
    (folder / "notebook").mkdir(parents=True)
    for name, content in resources["outputs"].items():
        (folder / name).write_bytes(content)
    (folder / "notebook.md").write_text(body, encoding="utf-8")
