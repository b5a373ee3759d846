"""Writes the second half of ``docs/cli.md`` from the help of each command; ``make docs`` calls it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from deepfake_detector.cli.main import COMMANDS

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
MARK = "<!-- Below: made by `make docs` from the commands' own help; do not edit. -->"
PLAIN = {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}


def help_of(*arguments: str) -> str:
    """What ``deepfake … --help`` prints, without colours."""
    program = Path(sys.executable).with_name("deepfake")
    shown = subprocess.run(
        [program, *arguments, "--help"], env=os.environ | PLAIN, capture_output=True, text=True, check=True
    )
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.stdout)
    return "\n".join(line.rstrip() for line in plain.strip().splitlines())


def main() -> None:
    """Put the commands' help below the mark, leave what stands above it, and say where."""
    written_by_hand = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    parts = [written_by_hand + MARK, ""]
    for name in COMMANDS:
        parts += [f"### `deepfake {name}`", "", "```text", help_of(*name.split()), "```", ""]
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
