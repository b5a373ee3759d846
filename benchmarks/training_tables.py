"""Tables of how trainings are built: the contract of the backbones, and what several workers gain."""

from __future__ import annotations

from typing import Any

from bench_tables import table


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
