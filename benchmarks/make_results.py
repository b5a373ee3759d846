"""Makes ``docs/results.md``, and the figures in the README and ``docs/concepts``, from ``benchmarks/results/*.json``.

Nothing is typed by hand.

    python benchmarks/make_results.py [--check]

``evaluation*.json`` are ``metrics.json`` files of ``deepfake evaluate``; ``probe*.json`` are what ``deepfake probe
--output`` writes; ``robustness*.json``, ``comparison*.json``, ``sources*.json``, ``backbones*.json`` and
``ablation*.json`` are those of ``deepfake bench``; ``faithfulness*.json`` come from ``benchmarks/faithfulness.py``,
``clips*.json`` from ``benchmarks/clips.py``, ``cluster*.json`` from ``benchmarks/cluster.py``, ``contract*.json`` from
``benchmarks/backbone_contract.py``, ``quantisation*.json`` from ``benchmarks/quantisation.py``; every other file is a
table of its entries.
``--check`` writes nothing, and fails if the pages are not what the files say.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench_tables import (
    ablation,
    backbones,
    comparison,
    doubt,
    people,
    robustness,
    share,
    sources,
    table,
    uncertainty,
)
from clip_tables import clips
from concept_figures import FIGURES
from training_tables import cluster, contract, quantisation

from deepfake_detector import load_model

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "results.md"
README = ROOT / "README.md"
CONCEPTS = ROOT / "docs" / "concepts"
SHIPPED = RESULTS / "evaluation-mobilenetv2.json"

HEAD = """# Results

Made by `python benchmarks/make_results.py` from `benchmarks/results/*.json`. [What each figure means](evaluation.md).
Figures in brackets are 95 % intervals.
"""


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


def faithfulness(content: dict[str, Any]) -> str:
    """Whether heat maps are true: on each kind of fake each map's figures, and how far they lie above baselines."""
    model = f"Model {content['model']} (SHA-256 `{content['onnx_sha256'][:12]}…`), {content['split']} split"
    curves = f"deletion and insertion of at most {content['curves']} fakes of a kind"
    curves = curves if content["curves"] else "deletion and insertion not measured"
    lines = [f"{model}; {curves}. [What the figures mean](explaining.md#is-the-map-true).\n"]
    others = {"gaussian": "a centred Gaussian", "random": "random", "another": "that of another fake"}
    header = ["fakes", "map", "figure", "value", *(f"more than {words}" for words in others.values())]
    rows = []
    for fakes, maps in content["figures"].items():
        number = content["fakes"][fakes]
        seen = f", {content['found'][fakes]} found" if fakes in content["found"] else ""
        for name, figures in maps.items():
            if name in others:
                continue
            for figure, found in figures.items():
                cells = [share(found[key]) for key in ("value", *(f"more than {other}" for other in others))]
                rows.append([f"{fakes.replace('_', ' ')} ({number}{seen})", name, figure, *cells])
    lines.append(table(header, rows))
    if "sanity" in content:
        header = ["sanity check", "rank correlation with the true map", "its size"]
        rows = [
            [name, share(row["rank correlation"]), share(row["its size"])] for name, row in content["sanity"].items()
        ]
        lines.append(table(header, rows))
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


RENDERERS = {
    "evaluation": evaluation,
    "probe": probe,
    "robustness": robustness,
    "comparison": comparison,
    "sources": sources,
    "uncertainty": uncertainty,
    "backbones": backbones,
    "ablation": ablation,
    "faithfulness": faithfulness,
    "clips": clips,
    "cluster": cluster,
    "contract": contract,
    "quantisation": quantisation,
}
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
        raise SystemExit(f"there is no place for {name}: no marks <!-- {name}: … --> and <!-- end of {name} -->")
    return f"{head}{begin}\n{content}{end}{tail}"


def readme() -> str:
    """The README with its figures."""
    text = README.read_text(encoding="utf-8")
    if not SHIPPED.is_file():
        return text
    content = json.loads(SHIPPED.read_text(encoding="utf-8"))
    return filled(filled(text, "figures", readme_figures(content)), "plan", readme_plan(content))


def concepts() -> list[tuple[Path, str]]:
    """The pages on concepts with their figures."""
    pages = []
    for file in sorted(CONCEPTS.glob("*.md")):
        text = file.read_text(encoding="utf-8")
        for name in FIGURES:
            if f"<!-- {name}: made" in text:
                text = filled(text, name, FIGURES[name]())
        pages.append((file, text))
    return pages


def main() -> None:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for file, made in ((PAGE, page()), (README, readme()), *concepts()):
        if not options.check:
            file.write_text(made, encoding="utf-8")
            print(f"wrote {file}")
        elif not file.is_file() or file.read_text(encoding="utf-8") != made:
            raise SystemExit(f"{file} is not what the results say; run: python benchmarks/make_results.py")


if __name__ == "__main__":
    main()
