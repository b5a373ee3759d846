"""Take frames out of the clips of a manifest, so that commands which read pictures can be run on clips.

    python benchmarks/clip_frames.py ../shared/data/manifest.csv outputs/frames --set ffpp_c23 --frames 8

Frames lie evenly over each clip, are kept as PNG, and stay in the group of their clip. Writes manifest.csv beside them.
"""

import argparse
import csv
from pathlib import Path

import av
import numpy as np

COLUMNS = ("path", "label", "kind", "set", "method", "group", "split")


def frames_of(clip: Path, number: int) -> list[av.VideoFrame]:
    """So many frames, at the middle of equal parts of the clip (fewer, if it has fewer)."""
    with av.open(str(clip)) as container:
        total = sum(1 for _ in container.decode(video=0))
    wanted = set(((np.arange(number) + 0.5) * total / number).astype(int).tolist())
    with av.open(str(clip)) as container:
        return [frame for place, frame in enumerate(container.decode(video=0)) if place in wanted]


def main() -> None:
    """Read the manifest, write the frames and a manifest of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--set", required=True)
    parser.add_argument("--frames", type=int, default=8)
    options = parser.parse_args()
    with options.manifest.open(newline="", encoding="utf-8") as stream:
        clips = [row for row in csv.DictReader(stream) if row["set"] == options.set]
    rows = []
    for clip in clips:
        for place, frame in enumerate(frames_of(options.manifest.parent / clip["path"], options.frames)):
            path = Path(clip["path"]).with_suffix("") / f"{place:02d}.png"
            (options.output / path).parent.mkdir(parents=True, exist_ok=True)
            frame.to_image().save(options.output / path, compress_level=1)
            rows.append(clip | {"path": str(path)})
    with (options.output / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    print(f"{len(rows)} frames of {len(clips)} clips in {options.output}")


if __name__ == "__main__":
    main()
