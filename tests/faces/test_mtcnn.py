"""The face finder: small, large, leaning, many, cut off, mirrored; and from many threads."""

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from deepfake_detector.core.errors import ModelNotFoundError, ModelTamperedError
from deepfake_detector.core.types import Box, DetectedFace
from deepfake_detector.faces import mtcnn
from deepfake_detector.faces.mtcnn import MtcnnFinder, MtcnnSettings, suppress


def assert_is(face: DetectedFace, center: tuple[float, float], side: float, tolerance: float = 0.2) -> None:
    """The face is where it was put, about as large as it was made."""
    x, y = face.box.center
    assert np.hypot(x - center[0], y - center[1]) < tolerance * side
    assert face.box.long_side == pytest.approx(side, rel=0.35)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.x + one.w, other.x + other.w) - max(one.x, other.x)
    height = min(one.y + one.h, other.y + other.h) - max(one.y, other.y)
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one.area + other.area - shared)


class TestOneFace:
    def test_the_portrait_has_one_face_with_its_landmarks(self, finder, astronaut, face_box):
        (face,) = finder.find(astronaut)
        assert overlap(face.box, face_box) > 0.9
        assert 0.99 < face.confidence <= 1.0
        # Read off the picture by eye.
        expected = [(204, 100), (247, 103), (223, 128), (202, 139), (245, 142)]
        np.testing.assert_allclose(face.landmarks.as_array(), expected, atol=4.0)

    @pytest.mark.parametrize("side", [32, 45, 64, 150, 400])
    @pytest.mark.parametrize("lean", [0, 20, -20])
    def test_faces_from_32_pixels_on_are_found(self, finder, background, paste, side, lean):
        center = (330.0, 300.0)
        (face,) = finder.find(paste(background, side, center, lean))
        assert_is(face, center, side)
        assert face.landmarks.roll == pytest.approx(lean, abs=12.0)

    @pytest.mark.parametrize("size", [48, 96, 1024, 3000])
    def test_the_box_scales_with_the_picture(self, finder, astronaut, size):
        way = cv2.INTER_AREA if size < 512 else cv2.INTER_CUBIC
        image = cv2.resize(astronaut, (size, size), interpolation=way) if size > 48 else astronaut[40:210, 140:310]
        if size == 48:
            image = cv2.resize(image, (48, 48), interpolation=cv2.INTER_AREA)
            scale, left, top = 48 / 170, 140, 40
        else:
            scale, left, top = size / 512, 0, 0
        (face,) = finder.find(image)
        assert_is(face, ((224 - left) * scale, (117 - top) * scale), 114 * scale)

    def test_a_face_that_is_cut_off_by_the_edge_is_found(self, finder, astronaut):
        for image, center in (
            (astronaut[:, 212:], (224 - 212, 117)),
            (astronaut[:, :240], (224, 117)),
            (astronaut[85:], (224, 117 - 85)),
            (astronaut[:150], (224, 117)),
        ):
            faces = finder.find(np.ascontiguousarray(image))
            assert len(faces) == 1
            assert_is(faces[0], center, 114, tolerance=0.3)

    def test_a_face_that_is_the_whole_picture_is_found(self, finder, astronaut):
        (face,) = finder.find(np.ascontiguousarray(astronaut[70:170, 176:276]))
        assert_is(face, (224 - 176, 117 - 70), 114)

    def test_views_that_are_not_contiguous_are_taken(self, finder, astronaut):
        wide = np.dstack([astronaut, astronaut])[:, :, :3]
        assert not wide.flags["C_CONTIGUOUS"]
        assert finder.find(wide) == finder.find(astronaut)

    def test_the_picture_is_left_as_it_was(self, finder, astronaut):
        before = astronaut.copy()
        finder.find(astronaut)
        np.testing.assert_array_equal(astronaut, before)


class TestManyFaces:
    def test_all_are_found_the_largest_first(self, finder, background, paste):
        places = [((110.0, 120.0), 60), ((420.0, 200.0), 170), ((150.0, 460.0), 110), ((560.0, 560.0), 36)]
        image = background
        for center, side in places:
            image = paste(image, side, center)
        faces = finder.find(image)
        assert len(faces) == 4
        for face, (center, side) in zip(faces, sorted(places, key=lambda place: -place[1]), strict=True):
            assert_is(face, center, side)
        areas = [face.box.area for face in faces]
        assert areas == sorted(areas, reverse=True)

    def test_a_face_is_found_once(self, finder, background, paste):
        for side in (40, 57, 81, 115, 163, 231, 326):
            assert len(finder.find(paste(background, side, (320.0, 320.0)))) == 1


class TestSteadiness:
    @pytest.mark.parametrize("change", ["jpeg", "blur", "half", "brighter", "noise"])
    def test_the_box_stays_when_the_picture_is_changed_a_little(self, finder, astronaut, change):
        before = finder.find(astronaut)[0].box
        rng = np.random.default_rng(0)
        changed, scale = {
            "jpeg": (jpeg(astronaut, 60), 1.0),
            "blur": (cv2.GaussianBlur(astronaut, (0, 0), 1.0), 1.0),
            "half": (cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA), 2.0),
            "brighter": (cv2.convertScaleAbs(astronaut, alpha=1.1, beta=8), 1.0),
            "noise": (np.clip(astronaut + rng.normal(0, 6, astronaut.shape), 0, 255).astype(np.uint8), 1.0),
        }[change]
        box = finder.find(changed)[0].box
        assert overlap(Box(*(scale * v for v in (box.x, box.y, box.w, box.h))), before) > 0.93

    def test_a_mirrored_picture_has_the_mirrored_face(self, finder, astronaut):
        (face,) = finder.find(astronaut)
        (twin,) = finder.find(np.ascontiguousarray(astronaut[:, ::-1]))
        back = Box(512 - twin.box.x - twin.box.w, twin.box.y, twin.box.w, twin.box.h)
        assert overlap(back, face.box) > 0.92
        assert 512 - twin.landmarks.left_eye[0] == pytest.approx(face.landmarks.right_eye[0], abs=2.0)
        assert 512 - twin.landmarks.right_mouth[0] == pytest.approx(face.landmarks.left_mouth[0], abs=2.0)

    def test_a_picture_gets_the_same_answer_each_time(self, finder, astronaut):
        assert finder.find(astronaut) == finder.find(astronaut)


class TestNoFace:
    @pytest.mark.parametrize("value", [0, 128, 255])
    @pytest.mark.parametrize("shape", [(1, 1), (7, 300), (300, 7), (19, 19), (200, 200)])
    def test_an_even_picture_has_none(self, finder, shape, value):
        assert finder.find(np.full((*shape, 3), value, np.uint8)) == ()

    def test_noise_has_none(self, finder, background):
        assert finder.find(background) == ()
        assert finder.find(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)) == ()

    def test_a_sheet_of_squares_and_rings_has_none(self, finder):
        image = np.full((400, 400, 3), 230, np.uint8)
        for index in range(12):
            x, y = 40 + 110 * (index % 4), 50 + 130 * (index // 4)
            cv2.rectangle(image, (x, y), (x + 60, y + 60), (40 * index % 255, 90, 160), -1)
            cv2.circle(image, (x + 30, y + 30), 20, (250, 20 * index, 60), 4)
        assert finder.find(image) == ()


class TestThreads:
    def test_many_threads_get_what_one_gets(self, finder, astronaut, background, paste):
        images = [paste(background, side, (320.0, 320.0)) for side in (40, 90, 200)] + [astronaut, background]
        expected = [finder.find(image) for image in images]
        with ThreadPoolExecutor(max_workers=6) as pool:
            found = list(pool.map(finder.find, images * 4))
        assert found == expected * 4

    def test_the_answer_does_not_hang_on_the_number_of_threads(self, finder, astronaut):
        (one,), (two,) = finder.find(astronaut), MtcnnFinder(threads=2).find(astronaut)
        assert overlap(one.box, two.box) > 0.999


class TestSettings:
    def test_small_faces_may_be_left_out(self, background, paste):
        image = paste(background, 40, (320.0, 320.0))
        assert MtcnnFinder(1, MtcnnSettings(min_face=100.0)).find(image) == ()

    def test_a_stricter_finder_finds_no_more(self, finder, astronaut):
        assert MtcnnFinder(1, MtcnnSettings(confidence=0.99999999)).find(astronaut) == ()


class TestFiles:
    @pytest.fixture
    def models(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "models"
        shutil.copytree(mtcnn.MODELS, folder)
        monkeypatch.setattr(mtcnn, "MODELS", folder)
        return folder

    def test_a_copy_of_the_files_works(self, models: Path, astronaut):
        assert len(MtcnnFinder(1).find(astronaut)) == 1

    @pytest.mark.parametrize("name", ["pnet", "rnet", "onet"])
    def test_a_changed_byte_is_noticed(self, models: Path, name: str):
        file = models / f"{name}.onnx"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(bytes(data))
        with pytest.raises(ModelTamperedError, match=rf"{name}\.onnx"):
            MtcnnFinder()

    def test_a_missing_file_is_named(self, models: Path):
        (models / "rnet.onnx").unlink()
        with pytest.raises(ModelNotFoundError, match=r"rnet\.onnx"):
            MtcnnFinder()

    def test_their_licence_lies_beside_them(self):
        assert "MIT License" in (mtcnn.MODELS / "LICENSE-MTCNN").read_text(encoding="utf-8")


rectangles = st.lists(
    st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(1, 60), st.floats(1, 60), st.floats(0, 1)), max_size=30
)


class TestSuppress:
    @staticmethod
    def arrays(found: list[tuple[float, ...]]) -> tuple[np.ndarray, np.ndarray]:
        values = np.array(found, dtype=np.float32).reshape(-1, 5)
        return np.concatenate([values[:, :2], values[:, :2] + values[:, 2:4]], axis=1), values[:, 4]

    @settings(max_examples=80, deadline=None)
    @given(found=rectangles, limit=st.floats(0.1, 0.9))
    def test_what_stays_is_apart_and_what_goes_overlaps_a_better_one(self, found, limit):
        boxes, scores = self.arrays(found)
        kept = suppress(boxes, scores, limit)
        shares = np.array([[overlap(self.box(one), self.box(other)) for one in boxes] for other in boxes])
        for index in kept:
            assert all(shares[index, other] <= limit + 1e-4 for other in kept if other != index)
        for index in set(range(len(boxes))) - set(kept.tolist()):
            assert any(shares[index, other] >= limit - 1e-4 and scores[other] >= scores[index] for other in kept)
        assert (np.diff(scores[kept]) <= 0).all()

    @staticmethod
    def box(edges: np.ndarray) -> Box:
        left, top, right, bottom = (float(v) for v in edges)
        return Box(left, top, right - left, bottom - top)

    def test_a_box_inside_another_goes_only_if_the_smaller_counts(self):
        boxes = np.array([[0, 0, 100, 100], [30, 30, 60, 60]], np.float32)
        scores = np.array([0.9, 0.8], np.float32)
        assert suppress(boxes, scores, 0.7).tolist() == [0, 1]
        assert suppress(boxes, scores, 0.7, over_smaller=True).tolist() == [0]

    def test_no_more_than_asked_for_stay(self):
        boxes = np.array([[20 * i, 0, 20 * i + 10, 10] for i in range(9)], np.float32)
        scores = np.linspace(0.1, 0.9, 9, dtype=np.float32)
        assert suppress(boxes, scores, 0.5, most=3).tolist() == [8, 7, 6]
