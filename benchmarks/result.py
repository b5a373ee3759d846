"""What every benchmark does with its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


def say(found: Mapping[str, object], output: Path | None) -> None:
    """Print the figures as JSON, and write them to a file if one is named; its folder is made."""
    text = json.dumps(found, indent=2, ensure_ascii=False)
    print(text)
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text + "\n", encoding="utf-8")
