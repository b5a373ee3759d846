"""How a network does on whole families that it was not trained on: from the folds of configs/default.yaml.

    python benchmarks/left_out.py outputs/fold-gan outputs/fold-diffusion outputs/fold-composite

Reads what each run wrote of its ``validate_only`` sets, and writes benchmarks/results/left-out.json. Every fake set is
compared with the left-out reals of its run; ``used_for_selection`` is true, because a run keeps its best epoch by its
validation pictures, these among them, and the shipped thresholds come from them.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deepfake_detector.training.cards import Prediction, read_predictions
from deepfake_detector.training.metrics import ScoredSet, measure
from deepfake_detector.training.run import RunFolder

TARGET = Path(__file__).resolve().parent / "results" / "left-out.json"


def compared(run: RunFolder) -> list[dict[str, Any]]:
    """One entry for each left-out set of fakes: against the reals of the same set, or else of all left-out sets."""
    rows = [row for row in read_predictions(run.predictions_file) if row.foreign]
    entries = []
    for name in sorted({row.set for row in rows if row.label}):
        fakes = [row for row in rows if row.label and row.set == name]
        own = [row for row in rows if not row.label and row.set == name]
        entries.append(entry(run, name, fakes, own or [row for row in rows if not row.label]))
    return entries


def entry(run: RunFolder, name: str, fakes: list[Prediction], reals: list[Prediction]) -> dict[str, Any]:
    """The AUC of one set of fakes, with its interval."""
    rows = [*fakes, *reals]
    scored = ScoredSet.of([row.label for row in rows], [row.fake_logit for row in rows])
    auc = measure(scored).figures.roc_auc
    return {
        "fakes": name,
        "number": len(fakes),
        "reals": sorted({row.set for row in reals}),
        "real_number": len(reals),
        "run": run.path.name,
        "roc_auc": asdict(auc),
        "used_for_selection": True,
    }


def main() -> None:
    """Write the entries of all runs, the weakest first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    entries = [found for run in options.runs for found in compared(RunFolder(run))]
    entries.sort(key=lambda found: found["roc_auc"]["value"])
    TARGET.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    for found in entries:
        print(found["fakes"], found["roc_auc"])


if __name__ == "__main__":
    main()
