"""``deepfake schema``: the JSON Schema of the answers."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema (draft 2020-12) of one answer: a line of --jsonl, an element of --json."""
    import json

    from deepfake_detector.report.schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
