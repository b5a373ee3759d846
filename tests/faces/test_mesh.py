"""The dense mesh lies on the face: on its landmarks, inside of its box, and turns with it."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from deepfake_detector.core.errors import ModelTamperedError
from deepfake_detector.faces import mesh
from deepfake_detector.faces.mesh import MESH_POINTS, REGIONS, FaceMesh


@pytest.fixture(scope="module")
def net() -> FaceMesh:
    return FaceMesh(threads=1)


def middle(points: np.ndarray, region: str) -> np.ndarray:
    return points[list(REGIONS[region])].mean(axis=0)


def test_the_mesh_lies_on_the_landmarks(net, finder, astronaut):
    (face,) = finder.find(astronaut)
    points, confidence = net.points(astronaut, face.box, face.landmarks)
    assert points.shape == (MESH_POINTS, 2)
    assert points.dtype == np.float32
    assert confidence > 0.9
    np.testing.assert_allclose(middle(points, "left_eye"), face.landmarks.left_eye, atol=5)
    np.testing.assert_allclose(middle(points, "right_eye"), face.landmarks.right_eye, atol=5)
    mouth = np.mean([face.landmarks.left_mouth, face.landmarks.right_mouth], axis=0)
    np.testing.assert_allclose(middle(points, "mouth"), mouth, atol=8)
    outline = points[list(REGIONS["outline"])]
    assert (outline.max(axis=0) - outline.min(axis=0) < 1.4 * np.array([face.box.w, face.box.h])).all()


def test_the_mesh_turns_with_the_face(net, finder, astronaut):
    (face,) = finder.find(astronaut)
    points, _ = net.points(astronaut, face.box, face.landmarks)
    matrix = cv2.getRotationMatrix2D(face.box.center, -35.0, 1.0)
    turned = np.asarray(cv2.warpAffine(astronaut, matrix, (512, 512)))
    (leaning,) = finder.find(turned)
    again, confidence = net.points(turned, leaning.box, leaning.landmarks)
    assert confidence > 0.9
    expected = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.linalg.norm(again - expected, axis=1).mean() < 0.06 * face.box.h


def test_where_there_is_no_face_it_says_so(net, finder, astronaut):
    (face,) = finder.find(astronaut)
    even = np.full_like(astronaut, 128)
    assert net.points(even, face.box, face.landmarks)[1] < 0.5


def test_all_regions_are_points_of_the_mesh():
    for name, indices in REGIONS.items():
        assert len(set(indices)) == len(indices), name
        assert min(indices) >= 0
        assert max(indices) < MESH_POINTS


def test_a_changed_file_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "models").mkdir()
    source = Path(mesh.__file__).parent / "models" / "face_mesh.onnx"
    target = tmp_path / "models" / "face_mesh.onnx"
    shutil.copy(source, target)
    target.write_bytes(target.read_bytes()[:-1] + b"?")
    monkeypatch.setattr(mesh.resources, "files", lambda _: tmp_path)
    with pytest.raises(ModelTamperedError, match="face_mesh"):
        FaceMesh()
