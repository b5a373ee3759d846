"""How good the detector is on whole clips: by pooling, by method, over time, and after a second compression.

    python benchmarks/clips.py ../shared/data/manifest.csv [--set ffpp_c23] [--frames 32] [--model BUNDLE]

Each clip is analysed as ``deepfake detect`` does it; what it says of each frame is kept in ``--cache`` by model and
clip, so that another run only makes the figures anew. Then every clip is packed once more (H.264, ``--crf``,
``--preset``, 4:2:0, same size and rate, no sound) and analysed again. Writes benchmarks/results/clips.json.

The clips are for validation: the figures chose the pooling, and say so. What is fitted (the combinations) is fitted
without the pair of identities that it is measured on.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from clip_figures import Clip, Person, figures

from deepfake_detector import Detector
from deepfake_detector.core.video import VideoReport
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.scoring.calibration import calibrated_logit
from deepfake_detector.verdict.pool import frame_weight

TARGET = Path(__file__).resolve().parent / "results" / "clips.json"
CACHE_VERSION = 3
"""Goes up when what is kept of a clip changes."""


@dataclass(frozen=True, slots=True)
class Row:
    """A clip of the manifest."""

    path: Path
    fake: bool
    method: str
    group: str


def rows_of(manifest: Path, name: str) -> list[Row]:
    """The clips of a set."""
    with manifest.open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["set"] == name]
    return [Row(manifest.parent / row["path"], row["label"] == "fake", row["method"], row["group"]) for row in rows]


def repacked(source: Path, folder: Path, crf: int, preset: str) -> Path:
    """The clip, decoded and packed once more; made once."""
    with source.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    target = folder / f"{digest[:24]}-crf{crf}-{preset}.mp4"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part.mp4")
    with av.open(str(source)) as old, av.open(str(part), "w") as new:
        shown = old.streams.video[0]
        rate = shown.average_rate or Fraction(25)
        packed = new.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": preset})
        packed.width, packed.height, packed.pix_fmt = shown.width // 2 * 2, shown.height // 2 * 2, "yuv420p"
        for number, frame in enumerate(old.decode(shown)):
            plain = frame.reformat(packed.width, packed.height, "yuv420p")
            plain.pts, plain.time_base = number, 1 / rate
            plain.pict_type = av.video.frame.PictureType.NONE
            new.mux(packed.encode(plain))
        new.mux(packed.encode(None))
    return part.replace(target)


def looked_at(detector: Detector, path: Path, frames: int) -> dict[str, Any]:
    """What the detector says of each person of a clip, frame by frame."""
    report = None
    for finding in detector.analyze_video(path, Sampling(frames=frames)):
        report = finding if isinstance(finding, VideoReport) else report
    assert report is not None
    calibration = detector.bundle.card.calibration
    persons = [
        {
            "considered": person.face.considered,
            "times": [one.time for one in person.observations],
            "logits": [calibrated_logit(one.logit, calibration) for one in person.observations],
            "weights": [frame_weight(one.quality) for one in person.observations],
            "voices": [one.voices for one in person.observations],
            "signals": {curve.name: sum(curve.values) / len(curve.values) for curve in person.curves if curve.values},
        }
        for person in report.persons
    ]
    return {"verdict": report.verdict.value, "seconds": report.elapsed, "persons": persons}


def clips_of(
    detector: Detector, rows: list[Row], places: Mapping[Path, Path], options: argparse.Namespace
) -> Iterator[Clip]:
    """Each clip, from the cache where it is there."""
    folder = options.cache / f"{detector.bundle.card.onnx_sha256[:16]}-{options.frames}-v{CACHE_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows, 1):
        path = places[row.path]
        with path.open("rb") as stream:
            file = folder / f"{hashlib.file_digest(stream, 'sha256').hexdigest()[:32]}.json"
        if not file.is_file():
            started = time.monotonic()
            file.write_text(json.dumps(looked_at(detector, path, options.frames)), encoding="utf-8")
            print(f"{number} of {len(rows)}: {row.path.name}, {time.monotonic() - started:.1f} s", flush=True)
        content = json.loads(file.read_text(encoding="utf-8"))
        persons = tuple(Person(**person) for person in content["persons"])
        yield Clip(row.fake, row.method, row.group, content["verdict"], persons)


def main() -> None:
    """Analyse, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--set", default="ffpp_c23")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--model", default=None, help="a bundle's folder or name; the shipped one by default")
    parser.add_argument("--crf", type=int, default=33)
    parser.add_argument("--preset", default="veryfast")
    parser.add_argument("--once", action="store_true", help="leave the second compression out")
    parser.add_argument("--cache", type=Path, default=Path("outputs/clips"))
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()

    detector = Detector(options.model)
    rows = rows_of(options.manifest, options.set)
    if not rows:
        raise SystemExit(f"{options.manifest} has no clips of a set {options.set!r}")
    conditions = {"as they are": {row.path: row.path for row in rows}}
    if not options.once:
        folder = options.cache / "repacked"
        conditions["packed once more"] = {
            row.path: repacked(row.path, folder, options.crf, options.preset) for row in rows
        }
    seen = {name: tuple(clips_of(detector, rows, places, options)) for name, places in conditions.items()}
    card = detector.bundle.card
    content = {
        "model": {"name": card.name, "version": card.version, "onnx_sha256": card.onnx_sha256},
        "data": {
            "set": options.set,
            "real": sum(not row.fake for row in rows),
            "fake": sum(row.fake for row in rows),
            "pairs": len({row.group for row in rows}),
            "frames": options.frames,
            "used_for_selection": True,
        },
        "second_compression": None
        if options.once
        else {"codec": "libx264", "crf": options.crf, "preset": options.preset, "pixels": "yuv420p"},
        "threshold": {"point": detector.settings.operating_point.value, "fpr": detector.settings.fpr},
        "conditions": figures(seen, detector, options.resamples),
    }
    options.output.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
