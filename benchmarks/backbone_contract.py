"""Runs the slow half of the backbones' contract, that of the large members of each family, and keeps what passed.

    python benchmarks/backbone_contract.py [BACKBONE…]

Writes benchmarks/results/contract-of-backbones.json, and exits with pytest's code; with names it runs the tests of
these only, and the other rows stay as they are. Some half an hour on 2 cores.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

from result import say

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks" / "results" / "contract-of-backbones.json"
TESTS = "tests/training/test_backbones.py"


def main() -> int:
    command, names = ["pytest", "-m", "slow", "-n0", TESTS], sys.argv[1:]
    chosen = ["-k", " or ".join(names)] if names else []
    known = json.loads(RESULT.read_text(encoding="utf-8"))["backbones"] if names else {}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = subprocess.run(
            [sys.executable, "-m", *command, *chosen, f"--junitxml={report}"], cwd=ROOT, check=False
        ).returncode
        rows = by_backbone(ElementTree.parse(report)) if report.is_file() else {}
    rows = dict(sorted((known | rows).items()))
    if rows:
        machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
        say({"command": " ".join(command), "machine": machine, "backbones": rows}, RESULT)
    return code


def by_backbone(report: ElementTree.ElementTree) -> dict[str, dict[str, float]]:
    """How many tests of each backbone ended how, and the seconds that they took."""
    found: dict[str, Counter[str]] = {}
    for case in report.iter("testcase"):
        named = re.search(r"\[(.+)\]$", case.attrib["name"])
        row = found.setdefault(named[1] if named else "all", Counter(passed=0, failed=0, skipped=0))
        tags = {child.tag for child in case}
        row["failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"] += 1
        row["seconds"] += float(case.attrib["time"])
    return {name: {key: round(value) for key, value in row.items()} for name, row in found.items()}


if __name__ == "__main__":
    raise SystemExit(main())
