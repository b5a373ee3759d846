"""On photos: a cat, a rocket and a lawn have no face; people do."""

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from deepfake_detector.faces.find import find_faces


@pytest.mark.parametrize(
    "name",
    ["brick", "chelsea", "clock_motion", "coffee", "color", "grass", "gravel", "motorcycle_left", "page", "rocket"],
)
def test_a_photo_without_a_face_has_none_at_any_try(finder, name):
    folder = Path(skimage.data.__file__).parent
    (file,) = (path for path in folder.glob(f"{name}.*") if path.suffix in {".png", ".jpg"})
    image = np.array(Image.open(file).convert("RGB"))
    assert find_faces(finder, image) == ()


def test_the_rest_of_the_portrait_has_none(finder, astronaut):
    assert find_faces(finder, np.ascontiguousarray(astronaut[230:])) == ()
    assert find_faces(finder, np.ascontiguousarray(astronaut[:, 330:])) == ()


@pytest.mark.shared_data
def test_faces_of_the_sets_are_found(finder, shared_data):
    least = {"ffhq_stylegan": 0.99, "all_age": 0.97, "web_faces": 0.95}
    with (shared_data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["set"] in least and row["split"] == "val"]
    found = defaultdict(list)
    for row in rows[::6]:
        image = np.array(Image.open(shared_data / row["path"]).convert("RGB"))
        found[row["set"]].append(bool(find_faces(finder, image)))
    assert set(found) == set(least)
    for name, hits in found.items():
        assert np.mean(hits) >= least[name], name
