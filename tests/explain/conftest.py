"""A face, its crop and its parts, as the pipeline makes them."""

import numpy as np
import pytest

from deepfake_detector.core.types import CropRule
from deepfake_detector.explain.parts import part_labels
from deepfake_detector.faces.align import face_matrix, warp
from deepfake_detector.faces.mesh import REGIONS, FaceMesh
from deepfake_detector.faces.mtcnn import MtcnnFinder

SIZE = 224


@pytest.fixture(scope="session")
def astronaut_crop(astronaut) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The astronaut's face, (224, 224, 3), and the mesh points of each region in its pixels."""
    (face,) = MtcnnFinder(threads=1).find(astronaut)
    matrix = face_matrix(face.box, face.landmarks, CropRule(size=SIZE, ratio=1.1))
    points, _ = FaceMesh(threads=1).points(astronaut, face.box, face.landmarks)
    inside = (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return warp(astronaut, matrix, SIZE), {name: inside[list(indices)] for name, indices in REGIONS.items()}


@pytest.fixture(scope="session")
def astronaut_labels(astronaut_crop) -> np.ndarray:
    return part_labels(astronaut_crop[1], SIZE)
