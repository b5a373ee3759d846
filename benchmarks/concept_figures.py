"""The measured figures on the pages of ``docs/concepts``; ``make_results.py`` puts each between its marks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench_tables import share, table

from deepfake_detector import load_model

RESULTS = Path(__file__).resolve().parent / "results"
SHARES = (0.5, 0.1, 0.01)
"""Of fakes among the pictures that somebody asks about."""


def shipped() -> dict[str, Any]:
    """The evaluation of the model that ships."""
    content: dict[str, Any] = json.loads((RESULTS / "evaluation-mobilenetv2.json").read_text(encoding="utf-8"))
    return content


def percent(value: float) -> str:
    """A share as the pages write it."""
    return f"{100 * value:.3g} %"


def at(part: dict[str, Any], point: str) -> dict[str, Any]:
    """What a threshold does on a part."""
    found: dict[str, Any] = next(one for one in part["points"] if one["point"] == point)
    return found


def said(content: dict[str, Any]) -> str:
    """Which model it is about."""
    return f"{content['model']['name']} {content['model']['version']}, {content['data']['split']} split"


def accuracy() -> str:
    """Accuracy beside that of a program that always says "real", and what an alarm is worth where fakes are rare."""
    content = shipped()
    part = content["figures"]["total"]
    counts, figures, point = part["metrics"], part["metrics"]["figures"], at(part, content["settings"]["point"])
    real, fake, fpr, tpr = counts["real"], counts["fake"], point["fpr"]["value"], point["tpr"]["value"]
    rows = []
    for fakes in SHARES:
        precision = fakes * tpr / (fakes * tpr + (1 - fakes) * fpr)
        right = fakes * tpr + (1 - fakes) * (1 - fpr)
        rows.append([percent(fakes), percent(right), percent(1 - fakes), percent(precision)])
    header = ["share of fakes", "accuracy", "accuracy of always saying “real”", "alarms that are right"]
    return (
        f"Measured ({said(content)}, {real} real and {fake} fake pictures): accuracy "
        f"{share(figures['accuracy'], True)}; fakes found {share(point['tpr'], True)}, reals called fake "
        f"{share(point['fpr'], True)}. The same two rates, where fakes are rarer than in the test:\n\n"
        f"{table(header, rows)}"
    )


def shift() -> str:
    """Each set: whether the network knows it, and how well it does there."""
    content = shipped()
    trained = {data.name: data for data in load_model(content["model"]["name"]).card.data}
    rows = []
    for part in content["figures"]["sets"]:
        if part["metrics"] and part["metrics"]["fake"]:
            seen = trained[part["set"]].fake if part["set"] in trained else 0
            auc, found = part["metrics"]["figures"]["roc_auc"], at(part, content["settings"]["point"])["tpr"]
            rows.append((found["value"], [part["set"], str(seen), share(auc), share(found, percent=True)]))
    ordered = [row for _, row in sorted(rows, key=lambda one: one[0])]
    header = ["test set", "its fakes in training", "ROC-AUC", "fakes called fake"]
    return f"Measured ({said(content)}):\n\n{table(header, ordered)}"


def calibration() -> str:
    """Errors of the probabilities before and after the calibration, of each set with both classes and of all."""
    content = shipped()
    figures = content["figures"]
    card = load_model(content["model"]["name"]).card.calibration
    rows = []
    for part in [*figures["sets"], figures["total"]]:
        if part["uncalibrated"] and part["metrics"]["figures"]["ece"]["value"] is not None:
            before, after = part["uncalibrated"], part["metrics"]["figures"]
            errors = [share(of[key]) for key in ("brier", "ece") for of in (before, after)]
            rows.append([part["set"] or "**all pictures**", *errors])
    header = ["pictures", "Brier score before", "after", "ECE before", "after"]
    return (
        f"Measured ({said(content)}; temperature {card.temperature:.3f}, bias {card.bias:.3f}, fitted "
        f"{'on sources that it had not seen' if card.out_of_source else 'on pictures of the sets that it knows'}):\n\n"
        f"{table(header, rows)}"
    )


def points() -> str:
    """What each operating point promises, and what it does on the test pictures."""
    content = shipped()
    figures, rows = content["figures"], []
    for point in figures["total"]["points"]:
        name = point["point"]
        sets = [part for part in figures["sets"] if part["metrics"] and part["metrics"]["real"]]
        worst = max(sets, key=lambda part: at(part, name)["fpr"]["value"])
        rates = [share(point[key], percent=True) for key in ("fpr", "tpr")]
        rows.append([f"`{name}`", percent(point["promised_fpr"]), *rates, f"{worst['set']}: {said_rate(worst, name)}"])
    header = ["operating point", "promised", "reals called fake", "fakes called fake", "false alarms on the worst set"]
    return f"Measured ({said(content)}):\n\n{table(header, rows)}"


def said_rate(part: dict[str, Any], point: str) -> str:
    """The false alarms of a set."""
    return share(at(part, point)["fpr"], percent=True)


def shortcuts() -> str:
    """What trivial facts about the crops give away after balancing and augmentation."""
    rows = []
    for file in sorted(RESULTS.glob("probe-*.json")):
        content = json.loads(file.read_text(encoding="utf-8"))
        most = max(content["features"].items(), key=lambda one: one[1]["alone"]["value"])
        alone = f"{most[0].replace('_', ' ')}: {share(most[1]['alone'])}"
        rows.append([f"`{content['config']}`", share(content["auc"]), alone])
    header = ["config", "six facts together, ROC-AUC", "the most telling one alone"]
    told = "Measured by `deepfake probe` on what the trainings of the shipped model's branches see"
    return f"{told}:\n\n{table(header, rows)}"


FIGURES = {
    "accuracy": accuracy,
    "shift": shift,
    "calibration": calibration,
    "points": points,
    "shortcuts": shortcuts,
}
"""By the name in the marks."""
