"""Runs the slow half of the backbones' contract, that of the large members of each family, and keeps what passed.

    python benchmarks/backbone_contract.py [BACKBONE…]

Writes benchmarks/results/contract-of-backbones.json, and ends with 1 if a test failed. Each backbone has a process of
its own, which gives its memory back; its row is written when it is done. With names, the other rows stay as they are.
A quarter of an hour on 2 cores.
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
COMMAND = ["pytest", "-m", "slow", "-n0", "tests/training/test_backbones.py"]


def main() -> int:
    names = sys.argv[1:]
    known = names and RESULT.is_file()
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["backbones"] if known else {}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    for name in names or sorted(collected()):
        rows[name] = tested(name)
        found = {"command": " ".join([*COMMAND, "-k", "BACKBONE"]), "machine": machine}
        say({**found, "backbones": dict(sorted(rows.items()))}, RESULT)
    return int(any(row["failed"] for row in rows.values()))


def collected() -> set[str]:
    """The backbones that have slow tests."""
    listed = subprocess.run(
        [sys.executable, "-m", *COMMAND, "--collect-only", "-q"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return set(re.findall(r"\[(.+)\]$", listed, re.MULTILINE))


def tested(name: str) -> dict[str, int]:
    """How many tests of a backbone ended how, and the seconds they took; if its process died, one has failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        subprocess.run([sys.executable, "-m", *COMMAND, "-k", name, f"--junitxml={report}"], cwd=ROOT, check=False)
        row: Counter[str] = Counter(passed=0, failed=0, skipped=0)
        if not report.is_file():
            row["failed"] += 1
            return {**row, "seconds": 0}
        cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        tags = {child.tag for child in case}
        row["failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"] += 1
    return {**row, "seconds": round(sum(float(case.attrib["time"]) for case in cases))}


if __name__ == "__main__":
    raise SystemExit(main())
