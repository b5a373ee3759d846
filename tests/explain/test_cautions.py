import cv2
import numpy as np
import pytest

from deepfake_detector.core.explanation import CautionName
from deepfake_detector.core.provenance import Manifest, ManifestState, Provenance, Trace, TraceKind
from deepfake_detector.core.types import InputInfo
from deepfake_detector.explain.cautions import face_cautions, picture_cautions


def _info(width=800, height=600):
    return InputInfo("a.png", "ab" * 32, 1000, "PNG", width, height)


def _provenance(**changes):
    return Provenance(**({"manifest": Manifest(ManifestState.NONE)} | changes))


def _names(cautions):
    return [caution.name for caution in cautions]


def test_an_ordinary_file_gives_no_reason():
    assert not [*picture_cautions(_info(), None)]
    assert not [*picture_cautions(_info(), _provenance(jpeg_quality=90, camera="Nikon D5"))]


@pytest.mark.parametrize("quality, found", [(30, True), (49, True), (50, False), (None, False)])
def test_strong_compression_is_told_by_the_tables(quality, found):
    cautions = [*picture_cautions(_info(), _provenance(jpeg_quality=quality))]
    assert _names(cautions) == ([CautionName.STRONG_COMPRESSION] if found else [])
    assert not found or str(quality) in cautions[0].detail


def test_a_screenshot_is_told_by_its_words_or_its_size():
    trace = Trace("a screenshot", TraceKind.SCREENSHOT, "EXIF UserComment", "Screenshot")
    assert _names(picture_cautions(_info(), _provenance(traces=(trace,)))) == [CautionName.SCREENSHOT]
    (by_size,) = picture_cautions(_info(1170, 2532), _provenance())
    assert by_size.name is CautionName.SCREENSHOT
    assert "1170 × 2532" in by_size.detail
    assert not [*picture_cautions(_info(1170, 2532), _provenance(camera="Phone"))]


def test_a_beauty_filter_is_told_by_what_its_program_wrote():
    trace = Trace("FaceApp", TraceKind.BEAUTY, "EXIF Software", "FaceApp 5")
    other = Trace("GIMP", TraceKind.OTHER, "EXIF Software", "GIMP")
    (caution,) = picture_cautions(_info(), _provenance(traces=(other, trace)))
    assert caution.name is CautionName.BEAUTY_FILTER
    assert "FaceApp" in caution.detail


def _with_sunglasses(crop, regions):
    for name in ("left_eye", "right_eye"):
        points = regions[name]
        x, y = points.mean(axis=0)
        width = float(np.ptp(points[:, 0]))
        cv2.ellipse(crop, (int(x), int(y)), (int(width * 1.1), int(width * 0.9)), 0, 0, 360, (20, 20, 24), -1)
    return crop


def _with_mask(crop, regions):
    points = np.concatenate([regions["jaw"][3:-3], regions["nose"].mean(axis=0)[None]])
    cv2.fillConvexPoly(crop, cv2.convexHull(points.astype(np.int32)), (120, 170, 225))
    return crop


def test_a_plain_portrait_gives_no_reason(astronaut_crop, astronaut_labels):
    assert not [*face_cautions(astronaut_crop[0], astronaut_labels, 0)]


@pytest.mark.parametrize("cover, word", [(_with_sunglasses, "sunglasses"), (_with_mask, "mask")])
def test_a_covered_face_is_found(cover, word, astronaut_crop, astronaut_labels):
    crop = cover(astronaut_crop[0].copy(), astronaut_crop[1])
    (caution,) = face_cautions(crop, astronaut_labels, 3)
    assert caution.name is CautionName.COVERED_FACE
    assert caution.face == 3
    assert word in caution.detail


def test_a_drawing_is_found(astronaut_crop, astronaut_labels):
    drawn = cv2.stylization(astronaut_crop[0], sigma_s=40, sigma_r=0.3)
    (caution,) = face_cautions(drawn, astronaut_labels, 0)
    assert caution.name is CautionName.DRAWING


def test_a_face_without_pixels_gives_no_reason():
    background = np.full((224, 224), 5, np.uint8)
    assert not [*face_cautions(np.zeros((224, 224, 3), np.uint8), background, 0)]
