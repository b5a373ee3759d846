"""Makes the sample pictures in ``samples/`` from photos that ship inside scikit-image.

Run it from the checkout, after ``pip install -e ".[dev]"``: ``python scripts/make_samples.py [FOLDER]``. The real photo
and the fakes take the same path: cut from the same original, saved with the same encoder at the same quality.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from deepfake_detector.core.types import ImageArray
from deepfake_detector.faces.mesh import FaceMesh
from deepfake_detector.faces.mtcnn import MtcnnFinder
from deepfake_detector.training.data.synthesize import MeshedFace, part_swap, self_blend, swap

QUALITY = 92
FAKES = (("self-blended", self_blend, 11), ("mirror-swapped", swap, 9), ("parts-swapped", part_swap, 7))
"""The recipes, each with a seed whose result looks like what is posted, neither perfect nor a caricature."""


def meshed(picture: ImageArray) -> MeshedFace:
    """The picture and the mesh of its largest face."""
    face = MtcnnFinder().find(picture)[0]
    return MeshedFace(picture, FaceMesh().points(picture, face.box, face.landmarks)[0])


def main() -> None:
    """Write the samples and say where."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1] / "samples")
    folder.mkdir(parents=True, exist_ok=True)
    portrait: ImageArray = data.astronaut()
    face = meshed(portrait)
    mirrored = meshed(np.ascontiguousarray(portrait[:, ::-1]))
    pictures = {"astronaut.jpg": portrait, "rocket.jpg": data.rocket()}
    for name, recipe, seed in FAKES:
        pictures[f"astronaut-{name}.jpg"] = recipe(face, mirrored, np.random.default_rng(seed)).pixels
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / name, quality=QUALITY)
        print(folder / name)


if __name__ == "__main__":
    main()
