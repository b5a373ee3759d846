"""Contact sheets of what a network will be fed: augmented crops of both classes, and how fakes are synthesised."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import CropRule, ImageArray
from deepfake_detector.faces.align import crop
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.data.augment import stream
from deepfake_detector.training.data.crops import CachedCrop, read_cached
from deepfake_detector.training.data.dataloader import CropLoader
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.data.synthesize import Synthetic
from deepfake_detector.training.data.synthetic import SyntheticFakes
from deepfake_detector.training.prepare import prepare

AUGMENTED = {Label.REAL: "reals.png", Label.FAKE: "fakes.png"}
SYNTHESISED = "synthesised.png"

GAIN = 4
"""Differences are shown so many times as strong as they are."""
COLUMNS = 8
_TRIES = 200
_SYNTHESIS = 2**31 + 1
"""Stands where the place in the epoch stands in the streams of single pictures: the stream of these sheets."""
_LINE, _GAP = 14, 6
_PAPER, _INK = (255, 255, 255), (20, 20, 20)


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture of a sheet, uint8 RGB (h, w, 3), and the lines under it."""

    pixels: ImageArray
    lines: tuple[str, ...]


def preview(config: TrainConfig, output: Path, rows: int = 6, callback: Callback | None = None) -> tuple[Path, ...]:
    """Write the sheets as PNG into a folder, which is made; gives their paths. The same config gives the same sheets.

    ``reals.png`` and ``fakes.png`` are the first samples of each class that the first epoch of a training with this
    config shows, as it shows them. ``synthesised.png`` has ``rows`` fakes of each recipe, without augmentation:
    the photo, its real partner (the photo after the same plain changes), the fake, the mask, and the difference of
    fake and partner. Raises DataError or ConfigError.
    """
    prepared = prepare(config, callback or Callback())
    loader = prepared.fit.train
    if not isinstance(loader, CropLoader):
        raise DataError("this data is not fed as crops, so there is nothing to show")
    output.mkdir(parents=True, exist_ok=True)
    written = []
    for label, name in AUGMENTED.items():
        written.append(_save(sheet(list(augmented_cells(loader, label, rows * COLUMNS)), COLUMNS), output / name))
    if loader.synthetic is not None:
        cells = synthesised_cells(loader.crops, loader.rule, loader.synthetic, (config.seed, rows))
        written.append(_save(sheet(cells, 5), output / SYNTHESISED))
    return tuple(written)


def augmented_cells(loader: CropLoader, label: Label, number: int) -> Iterator[Cell]:
    """The first ``number`` samples of a class in epoch 0, exactly as they are fed to the network."""
    shown = 0
    for place, index in enumerate(loader.indices(0)):
        sample = loader.samples[int(index)]
        if sample.label is label and shown < number:
            shown += 1
            yield Cell(loader.example(int(index), 0, place), (sample.set or "(no set)", _kind_of(sample)))


def synthesised_cells(
    crops: Sequence[CachedCrop], rule: CropRule, synthetic: SyntheticFakes, seed_and_rows: tuple[int, int]
) -> list[Cell]:
    """Five cells for each fake: photo, partner, fake, mask, difference; ``rows`` fakes of each recipe in use."""
    seed, rows = seed_and_rows
    found: defaultdict[str, list[list[Cell]]] = defaultdict(list)
    shares = synthetic.config.recipes.model_dump()
    wanted = Counter({name: rows for name, share in shares.items() if share > 0})
    rng = stream(seed, 0, _SYNTHESIS)
    for _ in range(_TRIES * rows):
        if not wanted.total():
            break
        number = int(rng.integers(len(synthetic.sources)))
        source = crops[synthetic.sources[number]]
        made = synthetic.make(number, lambda index: read_cached(crops[index]), rng)
        if wanted[made.method] > 0:
            wanted[made.method] -= 1
            found[made.method].append(_row(source, made, rule))
    return [cell for name in shares for row in found[name] for cell in row]


def _row(source: CachedCrop, made: Synthetic, rule: CropRule) -> list[Cell]:
    def cut(pixels: ImageArray) -> ImageArray:
        return crop(pixels, source.box, source.landmarks, rule)

    difference = np.abs(made.pixels.astype(np.int16) - made.partner)
    mask = np.asarray(np.clip(made.mask, 0.0, 1.0) * 255.0 + 0.5, dtype=np.uint8)
    shown = np.asarray(np.minimum(difference * GAIN, 255), dtype=np.uint8)
    width = round(source.box.w)
    return [
        Cell(cut(read_cached(source)), (source.sample.set or "(no set)", f"photo, face {width} px")),
        Cell(cut(made.partner), ("real partner", "")),
        Cell(cut(made.pixels), ("fake", made.method)),
        Cell(cut(np.repeat(mask[..., None], 3, axis=2)), ("mask", f"up to {made.mask.max():.2f}")),
        Cell(cut(shown), (f"difference, {GAIN} times", f"up to {difference.max()} levels")),
    ]


def _kind_of(sample: Sample) -> str:
    if sample.label is Label.REAL:
        return "real"
    return sample.method or (sample.kind.value if sample.kind else "fake")


def sheet(cells: Sequence[Cell], columns: int) -> ImageArray:
    """Cells in rows, with their lines under them: uint8 RGB. Raises DataError if there are none."""
    if not cells:
        raise DataError("there is nothing to show: no sample of this kind")
    width = max(cell.pixels.shape[1] for cell in cells)
    height = max(cell.pixels.shape[0] for cell in cells)
    under = _LINE * max(len(cell.lines) for cell in cells) + _GAP
    down = -(-len(cells) // columns)
    size = (columns * (width + _GAP) + _GAP, down * (height + under + _GAP) + _GAP)
    canvas = Image.new("RGB", size, _PAPER)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=11)
    for index, cell in enumerate(cells):
        left = _GAP + index % columns * (width + _GAP)
        top = _GAP + index // columns * (height + under + _GAP)
        canvas.paste(Image.fromarray(cell.pixels), (left, top))
        for number, line in enumerate(cell.lines):
            draw.text((left, top + height + 1 + number * _LINE), _fitting(line, width, font), _INK, font=font)
    return np.asarray(canvas, dtype=np.uint8)


def _fitting(line: str, width: int, font: ImageFont.ImageFont | ImageFont.FreeTypeFont) -> str:
    while line and font.getlength(line) > width:
        line = line[:-1]
    return line


def _save(pixels: NDArray[np.uint8], file: Path) -> Path:
    Image.fromarray(pixels).save(file)
    return file
