"""What counting in 8-bit integers costs and brings: ROC-AUC, false alarms and fakes found, size and speed.

    python benchmarks/quantisation.py DATA [--model NAME|DIR] [--keep DIR]

Makes an 8-bit bundle of a model as ``deepfake quantise`` does, even where that would refuse to, and compares both: on
the validation pictures, by which the recipe was chosen and the thresholds carried over, and once on the test pictures,
which had no part in it. ``--keep`` leaves the bundle in a folder. Speed is processor time of one core, both models in
turn. A few minutes on 2 cores. Writes benchmarks/results/quantisation.json.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from result import say

from deepfake_detector.scoring.bundle import Bundle, load_bundle, write_bundle
from deepfake_detector.scoring.calibration import calibrated_logit, threshold_logit
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.samples import Sample, Split, select
from deepfake_detector.training.intervals import Floats, rate
from deepfake_detector.training.predict import score_crops
from deepfake_detector.training.quantise import MAX_AUC_LOSS, Trial, parts_of, quantise

TARGET = Path(__file__).resolve().parent / "results" / "quantisation.json"
FPR = 0.05


def compared(bundles: tuple[Bundle, Bundle], samples: Sequence[Sample], cache: Path) -> dict[str, Any]:
    """Both models on the same pictures, each with its own calibration."""
    scored = [score_crops(bundle, samples, cache) for bundle in bundles]
    seen = scored[0].samples
    before, after = (
        calibrated_logit(one.scores.fake_logit, bundle.card.calibration)
        for one, bundle in zip(scored, bundles, strict=True)
    )
    called = [
        logits >= threshold_logit(bundle.card.calibration, FPR)
        for logits, bundle in zip((before, after), bundles, strict=True)
    ]
    return {
        "pictures": len(seen),
        "moved": float(np.median(np.abs(after - before))),
        "same_side": float((called[0] == called[1]).mean()),
        "parts": [
            {"name": part.name, "real": part.real, "fake": part.fake, "aucs": asdict(part.aucs)}
            for part in parts_of(seen, (before, after))
        ],
        "called_fake": called_fake(seen, called),
    }


def called_fake(samples: Sequence[Sample], called: Sequence[Floats]) -> list[dict[str, Any]]:
    """Of each set and class how many are called fake, before and after."""
    rows = []
    for name, label in sorted({(one.set, one.label) for one in samples}):
        here = np.array([(one.set, one.label) == (name, label) for one in samples])
        before, after = (asdict(rate(int(one[here].sum()), int(here.sum()))) for one in called)
        rows.append({"set": name, "class": label.name.lower(), "before": before, "after": after})
    return rows


def main() -> None:
    """Make it, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default=None, help="a bundle's folder or name; the shipped one by default")
    parser.add_argument("--ranges", type=int, default=Trial().ranges)
    parser.add_argument("--compared", type=int, default=Trial().compared)
    parser.add_argument("--crops", type=Path, default=Path("outputs/cache"))
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()

    load_before = round(os.getloadavg()[0], 1)
    bundle, samples = load_bundle(options.model), read_data(options.data)
    trial = Trial(options.ranges, options.compared, force=True)
    model, card, found = quantise(bundle, samples, options.crops, trial)
    if options.keep:
        write_bundle(options.keep, model, card)
    bundles = (bundle, Bundle(card, model))
    content = {
        "command": shlex.join(["python", "benchmarks/quantisation.py", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}",
        "load_before": load_before,
        "model": {"name": bundle.card.name, "version": bundle.card.version, "onnx_sha256": bundle.card.onnx_sha256},
        "made": {"name": card.name, "recipe": found.recipe},
        "allowed": MAX_AUC_LOSS,
        "decided_by": {"name": found.worst.name, "lost": found.worst.lost},
        "milliseconds": dict(zip(("before", "after"), found.milliseconds, strict=True)),
        "megabytes": dict(zip(("before", "after"), found.megabytes, strict=True)),
        "splits": {
            str(split): compared(bundles, select(samples, splits=(split,)), options.crops)
            for split in (Split.VAL, Split.TEST)
        },
    }
    say(content, options.output)


if __name__ == "__main__":
    main()
