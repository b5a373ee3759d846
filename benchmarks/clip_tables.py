"""The figures of whole clips in Markdown; ``make_results.py`` puts them on its page."""

from __future__ import annotations

from typing import Any

from bench_tables import share, table


def clips(content: dict[str, Any]) -> str:
    """What whole clips' answers are worth, by condition."""
    model, data, packed = content["model"], content["data"], content["second_compression"]
    marked = " (used for selection)" if data["used_for_selection"] else ""
    lines = [
        f"Model {model['name']} {model['version']} (SHA-256 `{model['onnx_sha256'][:12]}…`), `{data['set']}`{marked}: "
        f"{data['real']} real and {data['fake']} fake clips of {data['pairs']} pairs of people, not trained on, "
        f"{data['frames']} frames each, threshold {content['threshold']['point']}. Intervals come from drawing clips "
        "anew; those of a pair share people, so they are rather too narrow, and the AUC within each pair says more of "
        "how far it may vary. What is combined was fitted without the pair that it is measured on; a gain is over the "
        "default pooling, on the same clips.\n"
    ]
    if packed:
        lines.append(
            f"Packed once more: {packed['codec']}, CRF {packed['crf']}, {packed['preset']}, {packed['pixels']}.\n"
        )
    for name, condition in content["conditions"].items():
        lines += [f"### Clips {name}\n", *_condition(condition)]
    return "\n".join(lines)


def _condition(condition: dict[str, Any]) -> list[str]:
    methods = [method for method in condition["pooling"][condition["default"]]["auc"] if method != "all"]
    frames = condition["frames"]
    verdicts = "; ".join(
        f"of the {word} clips " + ", ".join(f"{number} {verdict.replace('_', ' ')}" for verdict, number in own.items())
        for word, own in condition["verdicts"].items()
    )
    lines = [f"Single frames ({frames['number']}): AUC {share(frames['auc'])}. Verdicts: {verdicts}.\n"]
    header = ["pooling", "AUC", *methods, "by pair", "gain", "reals called fake", "fakes called fake"]
    rows = []
    for way, found in condition["pooling"].items():
        name = f"**{way.replace('_', ' ')}** (default)" if way == condition["default"] else way.replace("_", " ")
        called = [f"{found[key]['count']} of {found[key]['n']}" for key in ("reals_called_fake", "fakes_called_fake")]
        gain = "–" if way == condition["default"] else share(found["gain"])
        rows.append([name, *_aucs(found, methods), gain, *called])
    lines.append(table(header, rows))
    if condition["over_time"]:
        rows = [
            [name.replace("_", " "), str(found["clips"]), *_aucs(found, methods)]
            for name, found in condition["over_time"].items()
        ]
        lines.append(table(["over time, alone (higher is more fake)", "clips", "AUC", *methods, "by pair"], rows))
        rows = [
            [name.replace("_", " "), str(found["clips"]), *_aucs(found, methods), share(found["gain"])]
            for name, found in condition["combined"].items()
        ]
        lines.append(table(["combined", "clips", "AUC", *methods, "by pair", "gain"], rows))
    return lines


def _aucs(found: dict[str, Any], methods: list[str]) -> list[str]:
    by_pair = ", ".join(f"{value:.2f}" for value in found["auc_by_pair"])
    return [share(found["auc"]["all"]), *(share(found["auc"][method]) for method in methods), by_pair]
