"""Tables of how models come about: the contract of the backbones, what workers gain, what 8-bit integers cost."""

from __future__ import annotations

from typing import Any

from bench_tables import share, table

from deepfake_detector.training.quantise import MIN_OF_CLASS


def contract(content: dict[str, Any]) -> str:
    """How many of the slow tests of each backbone passed."""
    header = ["backbone", "passed", "failed", "skipped", "seconds"]
    rows = [[name, *(str(row[key]) for key in header[1:])] for name, row in content["backbones"].items()]
    return (
        f"`{content['command']}` on {content['machine']}; seconds by the clock. "
        "The smallest of each family are tested with every change; these are others, so far as they were run. "
        f"[What is tested](training.md#backbones).\n\n{table(header, rows)}"
    )


def cluster(content: dict[str, Any]) -> str:
    """Pictures per second for each number of workers, beside what one worker would do so many times over."""
    one = next(run["images_per_second"] for run in content["runs"] if run["workers"] == run["threads"] == 1)
    rows = []
    for run in content["runs"]:
        gain = run["images_per_second"] / one
        cells = [str(run[key]) for key in ("workers", "threads", "images_per_second")]
        ideal = run["workers"] * run["threads"]
        rows.append([*cells, f"{gain:.2f}", f"{100 * gain / ideal:.0f} %", f"{run['val_loss'][-1]:.4f}"])
    header = ["workers", "threads of each", "images/s", "times one", "of the ideal", "validation loss at the end"]
    return (
        f"`{content['command']}`: {content['pictures']} drawn pictures of {content['size']} px, {content['epochs']} "
        f"epochs, batches of {content['batch_size']}, on {content['machine']} with {content['cores']} cores and a load "
        f"of {content['load_before']} before it began. [What it can show](cluster.md#how-it-scales).\n\n"
        f"{table(header, rows)}"
    )


def quantisation(content: dict[str, Any]) -> str:
    """An 8-bit model beside the one that it was made of."""
    model, worst, allowed = content["model"], content["decided_by"], content["allowed"]
    verdict = "`deepfake quantise` writes it" if worst["lost"] <= allowed else "`deepfake quantise` refuses to write it"
    ms, mb = content["milliseconds"], content["megabytes"]
    words = (
        f"`{content['command']}` on {content['machine']}, with a load of {content['load_before']} before it began. Of "
        f"{model['name']} {model['version']} (SHA-256 `{model['onnx_sha256'][:12]}…`); in integers: "
        f"{content['made']['recipe']}. [What it is](training.md#a-second-bundle-in-8-bits).\n\n"
        f"* **{verdict}**: on validation pictures the most that is lost is {worst['lost']:.4f} ({worst['name']}), "
        f"{allowed:g} are allowed.\n"
        f"* {_on_test(content['splits']['test'], allowed)}\n"
        f"* One face on one core: {ms['after']:.1f} ms in place of {ms['before']:.1f}, "
        f"{ms['before'] / ms['after']:.2f} times as fast.\n"
        f"* The file: {mb['after']:.1f} MB in place of {mb['before']:.1f}.\n"
    )
    return "\n".join([words, *(_split(name, found) for name, found in content["splits"].items())])


def _on_test(found: dict[str, Any], allowed: float) -> str:
    """The part of the test split that loses most, among those with as many pictures as decide on the val split."""
    parts = [part for part in found["parts"] if min(part["real"], part["fake"]) >= MIN_OF_CLASS]
    worst = min(parts, key=lambda part: part["aucs"]["gain"]["value"])
    gain = worst["aucs"]["gain"]
    held = "no more is lost than allowed" if -gain["value"] <= allowed else "**more is lost than allowed**"
    return f"On the test split {held}: the ROC-AUC of {worst['name']} changes by {share(gain, digits=4)}."


def _split(name: str, found: dict[str, Any]) -> str:
    chosen = ", by which the recipe was chosen and thresholds were carried over" if name == "val" else ""
    header = [f"{name} split", "real", "fake", "ROC-AUC before", "in 8 bits", "gained"]
    aucs = [
        [part["name"], str(part["real"]), str(part["fake"])]
        + [share(part["aucs"][key]) for key in ("first", "second")]
        + [share(part["aucs"]["gain"], digits=4)]
        for part in found["parts"]
    ]
    rows = [
        [
            f"{row['set']}, {row['class']}",
            str(row["before"]["n"]),
            *(share(row[key], True) for key in ("before", "after")),
        ]
        for row in found["called_fake"]
    ]
    return (
        f"{found['pictures']} pictures of the {name} split{chosen}: the median calibrated logit moves by "
        f"{found['moved']:.3f}, {100 * found['same_side']:.1f} % stay on their side of the threshold.\n\n"
        f"{table(header, aucs)}\n"
        f"{table([f'{name} split', 'pictures', 'called fake before (fpr5)', 'in 8 bits'], rows)}"
    )
