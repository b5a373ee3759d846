"""On photos: a cat, a rocket and a lawn have no face; people do."""

import csv
from collections import defaultdict
from pathlib import Path

import cv2
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


@pytest.mark.parametrize(("right", "down", "faces"), [(0, 40, 1), (20, 60, 2)])
def test_who_is_mostly_hidden_behind_another_is_not_shown(finder, astronaut, right, down, faces):
    """Her face, half as large again, before itself: over more than half of it, and over a fifth."""
    box = find_faces(finder, astronaut)[0].box
    x, y, w, h = (round(value) for value in (box.x, box.y, box.w, box.h))
    margin = round(0.35 * w)
    head = astronaut[y - margin : y + h + margin, x - margin : x + w + margin]
    near = cv2.resize(head, None, fx=1.5, fy=1.5)
    rows, columns = np.mgrid[: near.shape[0], : near.shape[1]]
    across = (columns - near.shape[1] / 2) / (0.9 * w), (rows - near.shape[0] / 2) / (0.9 * h)
    oval = np.hypot(*across) < 1.0
    image = np.full((near.shape[0] + 200, 3 * near.shape[1], 3), 120, np.uint8)
    image[60 : 60 + head.shape[0], 60 : 60 + head.shape[1]] = head
    image[60 + down : 60 + down + near.shape[0], 60 + right : 60 + right + near.shape[1]][oval] = near[oval]
    assert len(find_faces(finder, image)) == faces


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
