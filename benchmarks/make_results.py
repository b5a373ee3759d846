"""Makes ``docs/results.md``, and the README's figures, from ``benchmarks/results/*.json``; nothing is typed by hand.

    python benchmarks/make_results.py [--check]

``evaluation*.json`` are ``metrics.json`` files of ``deepfake evaluate``; ``probe*.json`` are what ``deepfake probe
--output`` writes; ``robustness*.json``, ``comparison*.json`` and ``sources*.json`` are those of ``deepfake bench``; every
other file is a table of its entries.
``--check`` writes nothing, and fails if the pages are not what the files say.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from deepfake_detector import load_model

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
SHIPPED = RESULTS / "evaluation-mobilenetv2.json"

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
    lines += [*doubt(parts), *people(figures)]
    metrics = figures["total"]["metrics"]
    if metrics is not None:
        rows = [[name.replace("_", " "), share(found)] for name, found in metrics["figures"].items()]
        lines.append(table(["all pictures", "value"], rows))
    return "\n".join(lines)


def doubt(parts: list[dict[str, Any]]) -> list[str]:
    """What leaving pictures uncertain is worth, and the probabilities before and after the calibration."""
    rows = []
    for part in parts:
        found, before = part.get("selective"), part.get("uncalibrated")
        if found and before and part["scope"] != "method":
            after = part["metrics"]["figures"]
            answers = [share(found[key], percent=True) for key in ("answered", "right")]
            errors = [share(of[key]) for key in ("brier", "ece") for of in (before, after)]
            rows.append([part["set"] or "**all pictures**", *answers, share(found["aurc"]), *errors])
    header = ["set", "answered", "right among them", "AURC", "Brier before", "after", "ECE before", "after"]
    return [table(header, rows)] if rows else []


def people(figures: dict[str, Any]) -> list[str]:
    """False alarms by group of people."""
    rows = [
        [one["set"], one["trait"], one["group"], str(one["fpr"]["n"]), share(one["fpr"], percent=True)]
        for one in figures.get("people", [])
    ]
    return [table(["set", "trait", "group", "real", "called fake"], rows)] if rows else []


def robustness(content: dict[str, Any]) -> str:
    """What each change does to all pictures, and the worst case in words."""
    model, data, total = content["model"], content["data"], content["parts"][0]
    rows = [
        [
            one["name"],
            share(one["roc_auc"]),
            share(one["loss"]) if one["family"] else "–",
            share(one["fpr"], percent=True),
            share(one["tpr"], percent=True),
            share(one["flips"], percent=True) if one["family"] else "–",
        ]
        for one in [total["clean"], *total["changed"]]
    ]
    header = ["change", "ROC-AUC", "AUC lost", "reals called fake", "fakes called fake", "other verdict"]
    return (
        f"Model {model['name']} {model['version']}, {data['split']} split, {data['pictures']} pictures, threshold "
        f"{content['settings']['point']}. [What each change is](bench.md).\n\n{bullets(content)}\n{table(header, rows)}"
    )


def comparison(content: dict[str, Any]) -> str:
    """One table for each pair of detectors."""
    lines = [
        f"{content['data']['split'].capitalize()} split, {content['data']['pictures']} pictures.\n",
        bullets(content),
    ]
    for match in content["matches"]:
        first, second = content["first"]["name"], match["second"]["name"]
        rows = [comparison_row(part) for part in match["parts"]]
        header = ["pictures", "real", "fake", "missing", f"1: {first}", f"2: {second}", "2 less 1", "p", "better"]
        lines.append(table(header, rows))
    return "\n".join(lines)


def comparison_row(part: dict[str, Any]) -> list[str]:
    """One part; the larger of the corrected p values, since both tests must agree."""
    found = part["comparison"]
    p_values = [p for p in (part["p_delong_holm"], part["p_bootstrap_holm"]) if p is not None]
    name = part["name"] + (" (used for selection)" if part["used_for_selection"] else "")
    aucs = [share(found[key]) for key in ("first", "second", "gain")]
    p = f"{max(p_values):.3f}" if p_values else "–"
    missing = ", ".join(str(number) for number in part["missing"])
    return [name, str(part["real"]), str(part["fake"]), missing, *aucs, p, str(part["better"] or "–")]


def sources(content: dict[str, Any]) -> str:
    """Sets over folds; what a fold had left out is bold."""
    folds = list(content["families"])
    cells = {(cell["fold"], cell["set"]): cell for cell in content["cells"]}
    sets = list(dict.fromkeys(cell["set"] for cell in content["cells"] if cell["roc_auc"]["value"] is not None))
    rows = [[name, *(sources_cell(cells.get((fold, name))) for fold in folds)] for name in sets]
    return (
        f"{content['name']}, {content['data']['split']} split; bold: not in the training of that fold.\n\n"
        f"{bullets(content)}\n{table(['ROC-AUC on', *(f'without {fold}' for fold in folds)], rows)}"
    )


def sources_cell(cell: dict[str, Any] | None) -> str:
    """One fold on one set."""
    if cell is None:
        return "–"
    marked = " (used for selection)" if cell["used_for_selection"] else ""
    found = share(cell["roc_auc"]) + marked
    return f"**{found}**" if cell["left_out"] else found


def bullets(content: dict[str, Any]) -> str:
    """What was found in sentences."""
    return "\n".join(f"* {sentence}" for sentence in content["summary"]) + "\n"


RENDERERS = {"evaluation": evaluation, "robustness": robustness, "comparison": comparison, "sources": sources}
"""By how the name of a file begins; every other file is a table of its entries."""


def entries(content: dict[str, Any]) -> str:
    """Facts as a list, nested tables as tables."""
    facts = [f"* {key}: {value}" for key, value in content.items() if not isinstance(value, dict)]
    lines = ["\n".join(facts) + "\n"] if facts else []
    for key, value in content.items():
        if isinstance(value, dict):
            flat = [[inner, said(entry)] for inner, entry in value.items()]
            lines.append(table([key, ""], flat))
    return "\n".join(lines)


def probe(content: dict[str, Any]) -> str:
    """A probe for shortcuts: what was looked at, what was found, and a table of the features."""
    changed = f", changed: {', '.join(content['changed'])}" if content["changed"] else ""
    header = ["feature", "AUC alone", "of all without it", "median in reals", "in fakes"]
    rows = [
        [name.replace("_", " "), share(one["alone"]), f"{one['without']:.3f}", str(one["real"]), str(one["fake"])]
        for name, one in content["features"].items()
    ]
    return (
        f"`deepfake probe {content['config']}`{changed}: {content['real']} real and {content['fake']} fake crops of "
        f"{content['groups']} source pictures, seed {content['seed']}. All features together: AUC "
        f"{share(content['auc'])}. {content['verdict']}\n\n{table(header, rows)}"
    )


def said(value: Any) -> str:
    """A value in a table cell."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {said(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(said(inner) for inner in value)
    return str(value)


RENDERERS = {"evaluation": evaluation, "probe": probe}
"""How a file is shown, by how its name begins."""


def page() -> str:
    """The whole page; evaluations come first."""
    files = sorted(RESULTS.glob("*.json"), key=lambda file: (not file.stem.startswith("evaluation"), file.stem))
    sections = [HEAD]
    for file in files:
        content = json.loads(file.read_text(encoding="utf-8"))
        render = next((RENDERERS[name] for name in RENDERERS if file.stem.startswith(name)), entries)
        sections.append(f"## {file.stem.replace('_', ' ').replace('-', ' ').capitalize()}\n\n{render(content)}")
    return "\n".join(sections)


def readme_figures(content: dict[str, Any]) -> str:
    """The shipped model on each set of the test split, the weakest first; and what its card says that it is bad at."""
    card = load_model(content["model"]["name"]).card
    trained_on = {data.name for data in card.data}
    point = content["settings"]["point"]
    parts = content["figures"]["sets"]
    rows = []
    for part in sorted(parts, key=auc_of):
        at = next(at for at in part["points"] if at["point"] == point)
        auc = share(part["metrics"]["figures"]["roc_auc"]) if part["metrics"] else "–"
        counts = f"{part['metrics']['real']} / {part['metrics']['fake']}" if part["metrics"] else "–"
        name = part["set"] if part["set"] in trained_on else f"{part['set']} (none of it trained on)"
        rows.append([name, counts, auc, share(at["fpr"], percent=True), share(at["tpr"], percent=True)])
    bullets = "\n".join(f"* {limit}" for limit in card.limits)
    header = ["test set", "real / fake", "ROC-AUC", "reals called fake", "fakes called fake"]
    return (
        f"The shipped model ({content['model']['name']} {content['model']['version']}) on pictures that it has not "
        f"seen, mostly of sets that it knows, at the operating point {point}; 95 % intervals; the weakest first. "
        f"A set with one class has no AUC. **On fakes of other kinds, expect less.**\n\n{table(header, rows)}\n"
        f"What its card says of its limits:\n\n{bullets}\n"
    )


def auc_of(part: dict[str, Any]) -> float:
    """For sorting: sets without an AUC come last."""
    value = part["metrics"]["figures"]["roc_auc"]["value"] if part["metrics"] else None
    return 2.0 if value is None else float(value)


def readme_plan(content: dict[str, Any]) -> str:
    """Our figures beside those that the plan reported."""
    figures = content["figures"]["total"]["metrics"]["figures"]
    ffhq = next(part for part in content["figures"]["sets"] if part["set"] == "ffhq_stylegan")["metrics"]["figures"]
    rows = [
        ["accuracy", "about 92 % training, 90 % validation", *(share(of["accuracy"], True) for of in (ffhq, figures))],
        ["ROC-AUC", ".95–.977", share(ffhq["roc_auc"]), share(figures["roc_auc"])],
    ]
    header = ["figure", "the plan, on its own data", "here, test split: `ffhq_stylegan`", "here, test split: all sets"]
    return (
        f"Different data, so not comparable:\n\n{table(header, rows)}\n"
        "![Confusion matrix](docs/images/confusion_matrix.png) ![ROC curve](docs/images/roc.png) "
        "![Precision and recall](docs/images/precision_recall.png)\n"
    )


def filled(text: str, name: str, content: str) -> str:
    """Put content between ``<!-- name: … -->`` and ``<!-- end of name -->``."""
    head, begin, rest = text.partition(f"<!-- {name}: made by benchmarks/make_results.py -->")
    _, end, tail = rest.partition(f"<!-- end of {name} -->")
    if not begin or not end:
        raise SystemExit(f"{README} has no place for {name}")
    return f"{head}{begin}\n{content}{end}{tail}"


def readme() -> str:
    """The README with its figures."""
    text = README.read_text(encoding="utf-8")
    if not SHIPPED.is_file():
        return text
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    return filled(filled(text, "figures", readme_figures(content)), "plan", readme_plan(content))


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for file, made in ((PAGE, page()), (README, readme())):
        if not options.check:
            file.write_text(made, encoding="utf-8")
            print(f"wrote {file}")
        elif not file.is_file() or file.read_text(encoding="utf-8") != made:
            raise SystemExit(f"{file} is not what the results say; run: python benchmarks/make_results.py")


if __name__ == "__main__":
    main()
