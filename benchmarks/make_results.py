"""Makes ``docs/results.md`` from the JSON files in ``benchmarks/results``; nothing in it is typed by hand.

    python benchmarks/make_results.py [--check]

``evaluation*.json`` are ``metrics.json`` files of ``deepfake evaluate``; every other file is a table of its entries.
``--check`` writes nothing, and fails if the page is not what the files say.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"

HEAD = """# Results

Made by `python benchmarks/make_results.py` from `benchmarks/results/*.json`. [What each figure means](evaluation.md).
Figures in brackets are 95 % intervals.
"""


def share(found: dict[str, Any] | None, percent: bool = False) -> str:
    """An estimate or a rate with its interval."""
    if not found or found["value"] is None:
        return "–"
    scale, form = (100, "{:.1f} %") if percent else (1, "{:.3f}")
    value = form.format(scale * found["value"])
    if found["low"] is None or found["high"] is None:
        return value
    low, high = (form.format(scale * found[key]).removesuffix(" %") for key in ("low", "high"))
    return f"{value} ({low}–{high})"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def part_row(part: dict[str, Any], point: str) -> list[str]:
    """One set, method, or all pictures."""
    metrics = part["metrics"]
    name = " / ".join(word for word in (part["set"], part["method"]) if word) or "**all pictures**"
    name += " (used for selection)" if part["used_for_selection"] else ""
    missing = str(part["real"]["no_face"] + part["fake"]["no_face"])
    if metrics is None:
        return [name, "0", "0", "–", "–", "–", "–", missing]
    at = next(at for at in part["points"] if at["point"] == point)
    figures = metrics["figures"]
    found = [share(figures["roc_auc"]), share(figures["average_precision"])]
    found += [share(at["fpr"], percent=True), share(at["tpr"], percent=True)]
    return [name, str(metrics["real"]), str(metrics["fake"]), *found, missing]


def evaluation(content: dict[str, Any]) -> str:
    """An evaluation: each set and method, then the sum, then all figures of the sum."""
    model, data, figures = content["model"], content["data"], content["figures"]
    point = content["settings"]["point"]
    parts = [*figures["sets"], *figures["methods"], figures["total"]]
    header = [
        "set",
        "real",
        "fake",
        "ROC-AUC",
        "average precision",
        "reals called fake",
        "fakes called fake",
        "no face",
    ]
    lines = [
        f"Model {model['name']} {model['version']} (SHA-256 `{model['onnx_sha256'][:12]}…`), {data['split']} split, "
        f"data fingerprint `{data['fingerprint'][:12]}…`, threshold {point}.\n",
        table(header, [part_row(part, point) for part in parts]),
    ]
    if figures["mean_set_auc"] is not None:
        lines.append(
            f"Mean ROC-AUC over the {figures['sets_in_mean']} sets with both classes: {figures['mean_set_auc']:.3f}.\n"
        )
    metrics = figures["total"]["metrics"]
    if metrics is not None:
        rows = [[name.replace("_", " "), share(found)] for name, found in metrics["figures"].items()]
        lines.append(table(["all pictures", "value"], rows))
    return "\n".join(lines)


def entries(content: dict[str, Any]) -> str:
    """Facts as a list, nested tables as tables."""
    facts = [f"* {key}: {value}" for key, value in content.items() if not isinstance(value, dict)]
    lines = ["\n".join(facts) + "\n"] if facts else []
    for key, value in content.items():
        if isinstance(value, dict):
            flat = [[inner, said(entry)] for inner, entry in value.items()]
            lines.append(table([key, ""], flat))
    return "\n".join(lines)


def said(value: Any) -> str:
    """A value in a table cell."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {said(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(said(inner) for inner in value)
    return str(value)


def page() -> str:
    """The whole page; evaluations come first."""
    files = sorted(RESULTS.glob("*.json"), key=lambda file: (not file.stem.startswith("evaluation"), file.stem))
    sections = [HEAD]
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"))
        render = evaluation if file.stem.startswith("evaluation") else entries
        sections.append(f"## {file.stem.replace('_', ' ').replace('-', ' ').capitalize()}\n\n{render(content)}")
    return "\n".join(sections)


def main() -> None:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    made = page()
    if options.check:
        if not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != made:
            raise SystemExit(f"{PAGE} is not what the results say; run: python benchmarks/make_results.py")
        return
    PAGE.write_text(made, encoding="utf-8")
    print(f"wrote {PAGE}")


if __name__ == "__main__":
    main()
