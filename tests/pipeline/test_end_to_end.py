"""The whole way, with the face finder that comes with the package."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.types import QualityIssue, Verdict
from deepfake_detector.pipeline import Detector
from deepfake_detector.scoring.calibration import p_fake


def test_a_real_photo_from_file_to_report(real_detector, astronaut, tmp_path):
    path = tmp_path / "astronaut.jpg"
    Image.fromarray(astronaut).save(path, quality=95)
    report = real_detector.analyze(path)
    face = report.faces[0]
    x, y = face.box.center
    assert 205 < x < 245
    assert 95 < y < 140
    assert face.quality.usable
    assert face.landmarks.left_eye[0] < face.landmarks.right_eye[0]
    assert report.verdict in {Verdict.FAKE, Verdict.REAL, Verdict.UNCERTAIN}
    assert face.p_fake == pytest.approx(p_fake(face.logit, 0.5))
    assert report.p_fake == max(each.p_fake for each in report.faces if each.considered)
    assert report.input.format == "JPEG"


def test_two_people_and_nobody(real_detector, astronaut):
    portrait = astronaut[:256, 96:352]
    two = real_detector.analyze(np.concatenate([portrait, portrait[:, ::-1]], axis=1))
    assert len(two.faces) == two.decision.faces == 2
    nobody = real_detector.analyze(np.full((300, 300, 3), 90, np.uint8))
    assert nobody.verdict is Verdict.NO_FACE


def test_eight_threads_get_the_same_answers(real_detector, astronaut, picture, without_times):
    turned = [np.ascontiguousarray(astronaut[:, ::-1]), astronaut, astronaut[:300, 100:400], picture("grey")]
    expected = [without_times(real_detector.analyze(image)) for image in turned]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(real_detector.analyze, turned * 6))
    assert [without_times(answer) for answer in answers] == expected * 6


def test_several_streams_at_once_from_one_detector(real_detector, astronaut, without_times):
    small = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    sources = [small, b"not a picture", small[:, ::-1], small[:, :20]] * 2
    expected = [without_times(outcome) for outcome in real_detector.analyze_many(sources, batch_size=3)]
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda size: list(real_detector.analyze_many(sources, size)), (1, 4, 100)))
    for outcomes in runs:
        assert [without_times(outcome) for outcome in outcomes] == expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 400), (400, 1), (3, 500), (11, 11)])
def test_odd_shapes_have_no_face_and_no_accident(real_detector, shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert real_detector.analyze(image).verdict is Verdict.NO_FACE


def test_whole_pictures_of_odd_shapes_are_scored(tiny_whole_bundle):
    detector = Detector(tiny_whole_bundle)
    image = np.random.default_rng(1).integers(0, 256, (1, 400, 3), dtype=np.uint8)
    report = detector.analyze(image)
    assert report.verdict is Verdict.UNCERTAIN
    assert QualityIssue.TOO_SMALL in report.faces[0].quality.issues
