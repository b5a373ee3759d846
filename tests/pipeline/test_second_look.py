"""Faces that are uncertain for more than the band: unlike what is known, or not the same when saved again."""

import numpy as np
import pytest
from onnx import TensorProto, helper, load_model_from_string, numpy_helper

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Doubt, Verdict
from deepfake_detector.faces.align import changed_crops, crop_matrix, cut_window
from deepfake_detector.media.reencode import LIGHT
from deepfake_detector.pipeline import Detector
from deepfake_detector.report.schema import from_json, to_json
from deepfake_detector.report.text import reasons
from deepfake_detector.scoring.bundle import HASH_TO_BE_SET, load_bundle, write_bundle
from deepfake_detector.scoring.card import Card, Doubts, FarFaces


@pytest.fixture(scope="module")
def far_bundle(tiny_bundle, tmp_path_factory):
    """The tiny model, for which the blue of a face is its distance; it knows faces whose blue is below 0.6."""
    bundle = load_bundle(tiny_bundle)
    model = load_model_from_string(bundle.model)
    model.graph.initializer.append(numpy_helper.from_array(np.array([0.0, 0.0, 1.0], np.float32), "blue"))
    model.graph.node.append(helper.make_node("MatMul", ["features", "blue"], ["distance"]))
    model.graph.output.append(helper.make_tensor_value_info("distance", TensorProto.FLOAT, ["N"]))
    card = bundle.card.model_copy(
        update={
            "onnx_sha256": HASH_TO_BE_SET,
            "outputs": bundle.card.outputs.model_copy(update={"distance": "distance"}),
            "doubts": Doubts(far=FarFaces(limit=0.6, beyond=0.02, fitted_on="nothing")),
        }
    )
    return load_bundle(write_bundle(tmp_path_factory.mktemp("far") / "far", model.SerializeToString(), card))


def detector(bundle, row_finder, *doubts):
    return Detector(bundle, AnalysisSettings(threads=1, doubts=doubts), finder=row_finder)


def test_a_face_unlike_all_that_is_known_is_not_called_real(far_bundle, row_finder, picture):
    image = picture("blue")
    assert detector(far_bundle, row_finder).analyze(image).verdict is Verdict.REAL  # not in use, so not looked at
    report = detector(far_bundle, row_finder, Doubt.FAR).analyze(image)
    assert report.verdict is report.faces[0].verdict is Verdict.UNCERTAIN
    assert report.faces[0].doubts == report.decision.doubts == (Doubt.FAR,)
    assert reasons(report) == ("unlike the faces that the model knows",)
    assert from_json(to_json(report)) == report


def test_an_explanation_tells_how_near_a_face_is(far_bundle, row_finder, picture):
    explained = Detector(far_bundle, AnalysisSettings(threads=1, explain=True), finder=row_finder)
    report = explained.analyze(picture("blue", "red"))
    blue, red = (face.explanation.nearness for face in report.faces)
    assert blue.distance > blue.limit == red.limit == 0.6 > red.distance
    assert blue.beyond == 0.02
    assert from_json(to_json(report)) == report


def test_a_card_that_has_it_in_use_needs_no_wish(far_bundle, row_finder, picture):
    doubts = far_bundle.card.doubts.model_copy(update={"in_use": (Doubt.FAR,)})
    bundle = type(far_bundle)(far_bundle.card.model_copy(update={"doubts": doubts}), far_bundle.model)
    (face,) = detector(bundle, row_finder).analyze(picture("blue")).faces
    assert face.doubts == (Doubt.FAR,)


def test_a_fake_stays_one_however_far_it_is(far_bundle, row_finder, picture):
    doubts = Doubts(far=FarFaces(limit=0.01, beyond=0.02, fitted_on="nothing"))
    bundle = type(far_bundle)(far_bundle.card.model_copy(update={"doubts": doubts}), far_bundle.model)
    assert detector(bundle, row_finder, Doubt.FAR).analyze(picture("red")).verdict is Verdict.FAKE


def test_a_far_face_does_not_hide_a_fake_beside_it(far_bundle, row_finder, picture):
    report = detector(far_bundle, row_finder, Doubt.FAR).analyze(picture("red", "blue"))
    assert report.verdict is Verdict.FAKE
    assert [face.doubts for face in report.faces] == [(), (Doubt.FAR,)]


def test_a_model_without_a_distance_cannot_tell(tiny_bundle):
    with pytest.raises(ConfigError, match=r"tiny 0\.0\.1 cannot tell how far a face is"):
        Detector(tiny_bundle, AnalysisSettings(doubts=(Doubt.FAR,)))


def test_the_band_is_named_as_the_reason(detector_of_tiny, picture):
    report = detector_of_tiny.analyze(picture("grey"))
    assert (report.verdict, report.faces[0].doubts) == (Verdict.UNCERTAIN, (Doubt.BAND,))
    assert reasons(report) == ("score between the limits",)


@pytest.fixture(scope="module")
def detector_of_tiny(tiny_bundle, row_finder):
    return detector(tiny_bundle, row_finder)


def test_an_answer_that_changes_when_it_is_saved_again_is_uncertain(tiny_bundle, row_finder, picture):
    """The face is red enough by a hair; saving it again takes or adds a little."""
    looking = detector(tiny_bundle, row_finder, Doubt.UNSTABLE)
    plain = detector(tiny_bundle, row_finder)
    doubted = firm = 0
    for seed in range(40):
        image = np.clip(picture("grey", seed=seed) + np.array([16, 0, 0]), 0, 255).astype(np.uint8)
        before, after = plain.analyze(image).faces[0], looking.analyze(image).faces[0]
        assert after.logit == before.logit
        if before.verdict is not Verdict.FAKE:
            assert after.verdict is before.verdict
            continue
        again = _logits_when_saved_again(looking, image, before)
        if abs(min(again) - 1.0) < 1e-6:
            continue  # too close to tell which side rounding puts it on
        changes = before.logit < 1.5 and min(again) < 1.0 - 1e-6
        assert (after.verdict is Verdict.UNCERTAIN) == changes == (after.doubts == (Doubt.UNSTABLE,))
        doubted, firm = doubted + changes, firm + (not changes)
    assert doubted >= 1
    assert firm >= 1


def _logits_when_saved_again(detector_, image, face):
    rule = detector_.bundle.card.input.rule()
    cut = cut_window(image, crop_matrix(image, face.box, face.landmarks, rule), rule.size)
    red, _, blue = (changed_crops(cut, rule.size, LIGHT.values()) / 255.0).mean(axis=(1, 2)).T
    return (8 * (red - blue) + 0.5).tolist()


def test_a_cut_out_of_the_picture_is_saved_as_the_picture_is(picture, face_at, tiny_bundle):
    """The grid of coded blocks lies where it lay, so that training's cached pixels give what detection gives."""
    rule = load_bundle(tiny_bundle).card.input.rule()
    image, face = picture("red", "pale", "grey"), face_at(100, side=60.0)
    whole = cut_window(image, crop_matrix(image, face.box, face.landmarks, rule), rule.size)
    left, top = 82, 0  # as far as what is cached around a face reaches
    part = image[top:, left:218]
    moved = type(face.box)(face.box.x - left, face.box.y - top, face.box.w, face.box.h)
    cut = cut_window(part, crop_matrix(part, moved, None, rule), rule.size, (left, top))
    assert (cut.pixels == whole.pixels).all()
    once, twice = (changed_crops(window, rule.size, LIGHT.values()) for window in (whole, cut))
    assert (once == twice).all()


def test_a_card_says_only_what_can_be(tiny_card):
    content = tiny_card().model_dump()
    far = {"limit": 2.0, "beyond": 0.02, "fitted_on": "nothing"}
    for doubts, outputs, message in (
        ({"in_use": ["far"]}, {}, "their limit is missing"),
        ({"in_use": ["band"]}, {}, "the band is always in use"),
        ({"far": far}, {}, "belong together"),
        ({}, {"distance": "distance"}, "belong together"),
    ):
        with pytest.raises(ValueError, match=message):
            Card.model_validate(content | {"doubts": doubts, "outputs": content["outputs"] | outputs})
