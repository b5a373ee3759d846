"""How often the cautions that look at pixels are right and wrong: on real photos, and on the same with drawn covers.

    python benchmarks/cautions.py DATA [--per-set 60] [--split val]

Counts how many real photos get each caution (a false alarm, unless the photo really shows sunglasses or a mask), and
how many do after sunglasses or a mask were drawn on them, or after they were turned into a drawing
(``cv2.stylization``). Writes benchmarks/results/cautions.json.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from result import say

from deepfake_detector.core.types import CropRule
from deepfake_detector.explain.cautions import face_cautions
from deepfake_detector.explain.parts import part_labels
from deepfake_detector.faces.align import face_matrix, warp
from deepfake_detector.faces.mesh import REGIONS
from deepfake_detector.training.data.crops import CachedCrop, build_crops, read_cached
from deepfake_detector.training.data.manifest import read_data
from deepfake_detector.training.data.meshes import build_meshes
from deepfake_detector.training.data.samples import Label, Sample, Split, select
from deepfake_detector.training.intervals import rate

TARGET = Path(__file__).resolve().parent / "results" / "cautions.json"
RULE = CropRule(size=224, ratio=1.1)
MASKS = ((235, 240, 240), (150, 190, 225), (30, 30, 35), (120, 160, 200))

Picture = NDArray[np.uint8]
Regions = Mapping[str, NDArray[np.float32]]


def as_it_is(crop: Picture, regions: Regions, rng: np.random.Generator) -> Picture:
    return crop


def sunglasses(crop: Picture, regions: Regions, rng: np.random.Generator) -> Picture:
    drawn = crop.copy()
    colour = tuple(int(value) for value in rng.integers(5, 50, 3))
    for name in ("left_eye", "right_eye"):
        points = regions[name]
        x, y = points.mean(axis=0)
        axes = tuple(int(float(np.ptp(points[:, 0])) * share) for share in (1.0, 0.8))
        cv2.ellipse(drawn, (int(x), int(y)), axes, 0, 0, 360, colour, -1, cv2.LINE_AA)
    return drawn


def mask(crop: Picture, regions: Regions, rng: np.random.Generator) -> Picture:
    points = np.concatenate([regions["jaw"][3:-3], regions["nose"].mean(axis=0)[None]])
    drawn = crop.copy()
    cv2.fillConvexPoly(drawn, cv2.convexHull(points.astype(np.int32)), MASKS[int(rng.integers(len(MASKS)))])
    return drawn


def drawing(crop: Picture, regions: Regions, rng: np.random.Generator) -> Picture:
    return np.asarray(cv2.stylization(crop, sigma_s=40, sigma_r=0.3), dtype=np.uint8)


CHANGES: Mapping[str, Callable[[Picture, Regions, np.random.Generator], Picture]] = {
    "real photo": as_it_is,
    "with sunglasses": sunglasses,
    "with a mask": mask,
    "as a drawing": drawing,
}


def chosen(samples: Sequence[Sample], per_set: int, seed: int) -> list[Sample]:
    """Reals, at most so many of each set."""
    rng = np.random.default_rng(seed)
    found: list[Sample] = []
    for name in sorted({sample.set for sample in samples}):
        own = [sample for sample in samples if sample.set == name and sample.label is Label.REAL]
        found += [own[int(index)] for index in rng.permutation(len(own))[:per_set]]
    return found


def face(cached: CachedCrop, mesh: NDArray[np.float32]) -> tuple[Picture, Regions]:
    """The crop, and the points of each region in its pixels."""
    matrix = face_matrix(cached.box, cached.landmarks, RULE)
    points = (mesh @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    regions = {name: points[list(indices)] for name, indices in REGIONS.items()}
    return warp(read_cached(cached), matrix, RULE.size), regions


def said(count: int, n: int) -> str:
    """A share with its interval (95 %), in words."""
    found = rate(count, n)
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{100 * found.value:.1f} % ({100 * found.low:.1f}–{100 * found.high:.1f})"


def main() -> None:
    """Count, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--per-set", type=int, default=60)
    parser.add_argument("--split", choices=[split.value for split in Split], default=Split.VAL.value)
    parser.add_argument("--cache", type=Path, default=Path("outputs/cache"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()

    samples = select(read_data(options.data), splits=(Split(options.split),))
    cached = build_crops(chosen(samples, options.per_set, options.seed), RULE, options.cache).crops
    meshes = build_meshes(cached)
    rng = np.random.default_rng(options.seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in CHANGES}
    known = [one for one in cached if one.file in meshes]
    for one in known:
        crop, regions = face(one, meshes[one.file])
        labels = part_labels(regions, RULE.size)
        for name, change in CHANGES.items():
            counts[name].update(
                {caution.name.value for caution in face_cautions(change(crop, regions, rng), labels, 0)}
            )
    content = {
        "photos": len(known),
        "split": options.split,
        **{
            name: {caution: said(found[caution], len(known)) for caution in ("covered_face", "drawing")}
            for name, found in counts.items()
        },
    }
    say(content, options.output)


if __name__ == "__main__":
    main()
