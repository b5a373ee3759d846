"""The figures of whole clips in Markdown; ``make_results.py`` puts them on its page."""

from __future__ import annotations

from typing import Any

from bench_tables import share, table

CALLED = {"reals called fake": "reals_called_fake", "fakes called fake": "fakes_called_fake"}


def clips(content: dict[str, Any]) -> str:
    """What whole clips' answers are worth, by condition."""
    model, data, packed = content["model"], content["data"], content["second_compression"]
    marked = " (used for selection)" if data["used_for_selection"] else ""
    lines = [
        f"Model {model['name']} {model['version']} (SHA-256 `{model['onnx_sha256'][:12]}…`), `{data['set']}`{marked}: "
        f"{data['real']} real and {data['fake']} fake clips of {data['pairs']} pairs of people, not trained on, "
        f"{data['frames']} frames each, threshold {content['threshold']['point']}. Intervals come from drawing clips "
        "anew; those of a pair share people, so they are rather too narrow, and the AUC within each pair says more of "
        "how far it may vary. What is learned or combined (a logistic regression) was fitted without the pair that it "
        "is measured on; three fits are in its AUC over all, one in that within a pair. A gain is over the default "
        "pooling, on the same clips.\n"
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
    default = condition["pooling"][condition["default"]]
    header = ["AUC", *methods, "by pair", "gain", *CALLED]
    rows = []
    for way, found in condition["pooling"].items():
        name = f"**{way.replace('_', ' ')}** (default)" if found is default else way.replace("_", " ")
        gain = "–" if found is default else share(found["gain"])
        rows.append([name, *_aucs(found, methods), gain, *_called(found)])
    learned = condition["learned_pooling"]
    looks_at = ", ".join(f"{100 * quantile:g}" for quantile in learned["quantiles"])
    name = f"learned, of the quantiles {looks_at} % of each voice (fitted without the pair)"
    rows.append([name, *_aucs(learned, methods), share(learned["gain"]), "–", "–"])
    lines += [table(["pooling", *header], rows), _winner(condition)]
    if condition["voices"]:
        rows = [["**all** (default)", share(frames["auc"]), *_aucs(default, methods), "–", *_called(default)]]
        for kind, found in condition["voices"].items():
            figures = [share(found["frames"]["auc"]), *_aucs(found, methods), share(found["gain"])]
            rows.append([f"{kind} alone", *figures, *_called(found)])
        lines += [table(["voice", "single frames", *header], rows), _loudest(condition["voices"])]
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


def _winner(condition: dict[str, Any]) -> str:
    """Which pooling is kept, and why."""
    default, learned = condition["default"], condition["learned_pooling"]
    ways = {**condition["pooling"], "learned": learned}
    best = max(ways, key=lambda way: ways[way]["auc"]["all"]["value"] or 0.0)
    better = [way for way, found in ways.items() if _sign(found["gain"]) > 0]
    kept = f"The {default} stays: no gain over it is above chance, and it has nothing to fit."
    end = f"Better than the {default}, and told apart from it: {', '.join(better)}." if better else kept
    sentences = f"The highest AUC is that of {best}. {end} A fit of the learned one saw {learned['fitted_on']} clips."
    return f"{sentences.replace('_', ' ')}\n"


def _loudest(voices: dict[str, Any]) -> str:
    """In which voice the AUC is made, and lost."""
    best = max(voices, key=lambda kind: voices[kind]["auc"]["all"]["value"] or 0.0)
    gain = voices[best]["gain"]
    against = {1: "better than", 0: "not told apart from", -1: "worse than"}[_sign(gain)]
    sentences = f"The best voice is {best}: alone it is {against} all together; gain {share(gain)}."
    aucs = {kind: found["auc"]["all"] for kind, found in voices.items()}
    mute = [kind for kind, auc in aucs.items() if auc["low"] is not None and auc["low"] <= 0.5]
    return f"{sentences} No better than chance, by its interval: {', '.join(mute) or 'none'}.\n"


def _sign(gain: dict[str, Any]) -> int:
    """1 if it is more than nothing, -1 if it is less, 0 if it is not told apart from nothing."""
    return ((gain["low"] or 0.0) > 0.0) - ((gain["high"] or 0.0) < 0.0)


def _called(found: dict[str, Any]) -> list[str]:
    return [f"{found[key]['count']} of {found[key]['n']}" for key in CALLED.values()]


def _aucs(found: dict[str, Any], methods: list[str]) -> list[str]:
    by_pair = ", ".join(f"{value:.2f}" for value in found["auc_by_pair"])
    return [share(found["auc"]["all"]), *(share(found["auc"][method]) for method in methods), by_pair]
