"""Tables of results in Markdown: of the bench, and some of an evaluation; ``make_results.py`` makes a page of them."""

from __future__ import annotations

from typing import Any


def share(found: dict[str, Any] | None, percent: bool = False, digits: int = 3) -> str:
    """An estimate or a rate with its interval."""
    if not found or found["value"] is None:
        return "–"
    scale, form = (100, "{:.1f} %") if percent else (1, f"{{:.{digits}f}}")
    value = form.format(scale * found["value"])
    if found["low"] is None or found["high"] is None:
        return value
    low, high = (form.format(scale * found[key]).removesuffix(" %") for key in ("low", "high"))
    return f"{value} ({low}{' to ' if found['low'] < 0 else '–'}{high})"


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


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
    never = content["untrained"]
    rows = [[name, *(sources_cell(cells.get((fold, name)), name in never) for fold in folds)] for name in sets]
    return (
        f"`{content['command']}`: the header of the config says how small these trainings are. "
        f"{content['data']['split'].capitalize()} split; bold: not in the training of that fold.\n\n"
        f"{bullets(content)}\n{table(['ROC-AUC on', *(f'without {fold}' for fold in folds)], rows)}"
    )


def ablation(content: dict[str, Any]) -> str:
    """What each ingredient of a recipe is worth, beside the settings that take it away."""
    budget = content["budget"]
    folds = "; ".join(f"without {name} ({', '.join(sets)})" for name, sets in content["folds"].items())
    tested = ", ".join(f"{name} {real} real and {fake} fake" for name, (real, fake) in content["tested_on"].items())
    full, *rows = content["rows"]
    words = (
        f"`{content['command']}` on {content['machine']}. "
        f"[What the columns mean](bench.md#deepfake-bench-ablation-config). Trainings of {budget['size']} px, "
        f"{budget['head epochs']} epochs of the head and {budget['fine-tuning epochs']} of fine-tuning with "
        f"{budget['pictures an epoch']} pictures, once on each fold: {folds}. Measured on pictures of the train and "
        f"val splits: {tested}, over all folds."
    )
    titles = ("known sources", "foreign sources", "changed foreign sources")
    figures = [[share(row["figures"][name]) for name in content["tested_on"]] for row in content["rows"]]
    aucs = table(
        ["recipe", "changed settings", *(f"ROC-AUC, {title}" for title in titles), "minutes"],
        [
            [
                "full" if row is full else f"without {row['name']}",
                ", ".join(f"`{change}`" for change in row["changes"]) or "–",
                *found,
                f"{row['minutes']:.1f}",
            ]
            for row, found in zip(content["rows"], figures, strict=True)
        ],
    )
    worth = table(
        ["worth of", *titles],
        [[row["name"], *(share(row["worth"][name]) for name in content["tested_on"])] for row in rows],
    )
    return f"{words}\n\n{bullets(content)}\n{worth}\n{aucs}"


def backbones(content: dict[str, Any]) -> str:
    """Networks side by side: what each costs and reaches."""
    header = [
        "name", "backbone", "weights", "px", "million weights", "MB", "ms per face", "training images/s",
        "per CPU second", "AUC, known sets", "foreign", "changed",
    ]  # fmt: skip
    rows = []
    for row in content["rows"]:
        speed = row["training"] or {}
        cells = [row["name"], row["backbone"], "**random**" if row["weights"] == "random" else row["weights"]]
        cells += [str(row["size"]), f"{row['parameters'] / 1e6:.2f}", f"{row['megabytes']:.1f}"]
        cells += [f"{row['milliseconds']:.1f}"]
        cells += [f"{speed[key]:.1f}" if speed else "–" for key in ("per_second", "per_cpu_second")]
        rows.append([*cells, *(share(row[figure]) for figure in ("own", "foreign", "robust"))])
    foreign = ", ".join(f"{name} ({real} real, {fake} fake)" for name, (real, fake) in content["foreign"].items())
    return (
        f"`{content['command']}` on {content['machine']}. "
        "[What the columns mean](bench.md#deepfake-bench-backbones-config). "
        f"Foreign sets: {foreign}.\n\n{bullets(content)}\n{table(header, rows)}\n"
        "![ROC-AUC on foreign sets over the milliseconds for one face, each network with its interval, and the line of "
        "those that none beats in both](images/backbones.png)\n"
    )


def sources_cell(cell: dict[str, Any] | None, never: bool) -> str:
    """One fold on one set; ``never``: no fold trains on it."""
    if cell is None:
        return "–"
    marked = " (used for selection)" if cell["used_for_selection"] else ""
    found = share(cell["roc_auc"]) + marked
    return f"**{found}**" if cell["left_out"] or never else found


def bullets(content: dict[str, Any]) -> str:
    """What was found in sentences."""
    return "\n".join(f"* {sentence}" for sentence in content["summary"]) + "\n"


def uncertainty(content: dict[str, Any]) -> str:
    """What each reason to leave a face uncertain is worth, on all pictures and on each set."""
    model, data = content["model"], content["data"]
    header = [
        "pictures",
        "uncertain by",
        "AURC",
        "less the band's",
        "answered",
        "right among them",
        "doubted",
        "errors",
    ]
    rows = []
    for part in content["parts"]:
        for way in part["ways"]:
            found = way["selective"]
            answers = [share(found[key], percent=True) for key in ("answered", "right")]
            doubted = [share(way[key], percent=True) if way["doubts"] else "–" for key in ("doubted", "errors")]
            name = f"{part['name']} ({part['pictures']})"
            reasons = " + ".join(["band", *way["doubts"]])
            rows.append([name, reasons, share(found["aurc"]), share(way["lower"]), *answers, *doubted])
    in_use = ", ".join(content["in_use"]) or "none"
    words = (
        f"Model {model['name']} {model['version']}, {data['split']} split of `{data['source']}`. ",
        f"In use beside the band: {in_use}. [What the figures mean](bench.md#deepfake-bench-uncertainty-model-data).",
        f"\n\n{table(header, rows)}",
    )
    return "".join(words)
