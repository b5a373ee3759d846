"""Put a bundle into the package: measured, with its figures in the card, its licence, its model card and its pins.

    python scripts/ship_model.py outputs/default/bundle ../shared/data/manifest.csv

Evaluates it on the test split of the data, keeps the figures in benchmarks/results and, of the default model, the plots
in docs/images, and prints the entry for scoring/shipped.py. With the distance to the faces that it knows:

    deepfake familiarise outputs/default/bundle ../shared/data/manifest.csv --output outputs/familiar
    python scripts/ship_model.py outputs/familiar ../shared/data/manifest.csv
"""

import argparse
import shutil
from pathlib import Path

from deepfake_detector.scoring.bundle import load_bundle, pin_of, write_bundle
from deepfake_detector.scoring.card import Card
from deepfake_detector.scoring.shipped import DEFAULT_MODEL, shipped_folder
from deepfake_detector.training.evaluate import evaluate
from deepfake_detector.training.evaluation_files import card_metrics

ROOT = Path(__file__).resolve().parents[1]
PLOTS = ("confusion_matrix", "roc", "precision_recall")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows])


def model_card(card: Card) -> str:
    """The card for people to read; after Mitchell et al. 2019, "Model Cards for Model Reporting"."""
    calibration = card.calibration
    data = [[part.name, str(part.real), str(part.fake), part.terms] for part in card.data]
    metrics = [
        [
            metric.on + (" (used for selection)" if metric.used_for_selection else ""),
            metric.name,
            f"{metric.value:.3f}",
            "–" if metric.low is None or metric.high is None else f"{metric.low:.3f}–{metric.high:.3f}",
        ]
        for metric in card.metrics
    ]
    curve = [[f"{point.fpr:.1%}", f"{point.logit:.3f}"] for point in calibration.fpr_curve]
    source = "from sets that the networks had not seen" if calibration.out_of_source else "from validation pictures"
    return f"""# Model card: {card.name} {card.version}

Made by `scripts/ship_model.py` from `card.json`.

{card.description}

* Architecture: {card.architecture}; input {card.input.size} × {card.input.size} px, uint8 RGB, crop
  "{card.input.crop}" of {card.input.ratio:g} times the face box.
* File: `model.onnx`, SHA-256 `{card.onnx_sha256}`. Created {card.created}.
* Licence of the weights: {card.license}

## What it is for

To help a person decide whether a face in a picture deserves a closer look, and to be compared with in research. It is
no proof, neither way. It is not for decisions about people that no person checks, and not for commercial use: most of
the sets that it was trained on forbid that.

## What it is bad at

{chr(10).join(f"* {limit}" for limit in card.limits)}

## What it was trained on

{table(["set", "real", "fake", "terms"], data)}

Besides these, fakes that are synthesised from the reals while training. Data fingerprint `{card.data_fingerprint}`.
Whoever uses the weights is bound by the terms of these sets.

## Figures

95 % intervals by bootstrap (rates: Clopper-Pearson).

{table(["set and split", "figure", "value", "interval"], metrics)}

## Calibration

p(fake) = sigmoid(logit / {calibration.temperature:.4f} + {calibration.bias:.4f}), at equal shares of real and fake.
Fitted {source}: {calibration.fitted_on}. A face is uncertain up to {calibration.band_below:.3f} below the threshold.

{table(["reals called fake, worst source", "threshold (calibrated logit)"], curve)}
"""


def main() -> None:
    """Measure, write the shipped folder of the bundle's name anew, and print its pins."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    evaluation, measured = evaluate(options.bundle, options.data)
    card = bundle.card.model_copy(update={"metrics": card_metrics(evaluation)})
    shutil.copy(measured / "metrics.json", ROOT / "benchmarks" / "results" / f"evaluation-{card.name}.json")
    for name in PLOTS if card.name == DEFAULT_MODEL else ():
        shutil.copy(measured / "plots" / f"{name}.png", ROOT / "docs" / "images" / f"{name}.png")
    folder = shipped_folder(card.name)
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(folder, bundle.model, card)
    shutil.copy(Path(__file__).with_name("LICENSE-WEIGHTS"), folder)
    (folder / "MODEL_CARD.md").write_text(model_card(card), encoding="utf-8")
    print(repr(card.name), pin_of(folder))


if __name__ == "__main__":
    main()
