"""What an explanation adds to a report, and that it changes nothing else."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.explanation import CautionName, FacePart, MapMethod
from deepfake_detector.core.provenance import ManifestState
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Verdict
from deepfake_detector.faces.align import face_matrix
from deepfake_detector.media.reencode import LIGHT
from deepfake_detector.pipeline import Detector
from deepfake_detector.pipeline.explainer import MOST_FACES, maker_of
from deepfake_detector.scoring.bundle import load_bundle, write_bundle
from deepfake_detector.scoring.scorer import Scorer

EXPLAIN = AnalysisSettings(threads=1, explain=True)


@pytest.fixture(scope="module")
def explainer(bundle, row_finder):
    return Detector(bundle, EXPLAIN, finder=row_finder)


@pytest.fixture
def mapless_bundle(tmp_path, tiny_model, tiny_card):
    """The tiny bundle as if its network gave no activation map."""
    card = tiny_card()
    card = card.model_copy(update={"outputs": card.outputs.model_copy(update={"cam": None})})
    return load_bundle(write_bundle(tmp_path / "mapless", tiny_model(), card))


def _bare(report):
    faces = tuple(replace(face, heatmap=None, explanation=None) for face in report.faces)
    return replace(report, faces=faces, cautions=(), provenance=None, timings={})


def test_the_answer_is_the_same_with_and_without(explainer, detector, picture, png):
    for colours in (("red",), ("blue", "red", "grey"), ("black",)):
        data = png(picture(*colours))
        assert _bare(explainer.analyze(data)) == _bare(detector.analyze(data))


def test_without_being_asked_nothing_is_explained(detector, picture, png):
    report = detector.analyze(png(picture("red")))
    assert report.faces[0].heatmap is report.faces[0].explanation is report.provenance is None
    assert "explain" not in report.timings


def test_the_activation_map_averages_to_the_logit(explainer, picture):
    (face,) = explainer.analyze(picture("red")).faces
    assert face.heatmap.method is MapMethod.CAM
    assert face.heatmap.as_array().shape == (4, 4)
    assert face.heatmap.as_array().mean() + 0.5 == pytest.approx(face.logit, abs=1e-4)  # 0.5 is the bias


def test_each_face_has_its_own_map(explainer, picture):
    faces = explainer.analyze(picture("blue", "red")).faces
    assert len(faces) == 2
    for face in faces:
        assert face.heatmap.as_array().mean() + 0.5 == pytest.approx(face.logit, abs=1e-4)
    assert faces[0].heatmap.limit != faces[1].heatmap.limit


def test_many_pictures_keep_their_own_maps(explainer, picture, png):
    data = [png(picture(*colours)) for colours in (("red",), ("black",), ("blue", "grey"), ("pale",))]
    for report, one in zip(explainer.analyze_many(data, batch_size=3), data, strict=True):
        alone = explainer.analyze(one)
        for face, same in zip(report.faces, alone.faces, strict=True):
            assert face.heatmap.as_array() == pytest.approx(same.heatmap.as_array(), abs=1e-4)
            assert face.heatmap.corners == same.heatmap.corners


def test_the_corners_are_those_of_the_crop(explainer, bundle, picture, face_at):
    (face,) = explainer.analyze(picture("red")).faces
    matrix = face_matrix(face_at(0).box, face_at(0).landmarks, bundle.card.input.rule())
    corners = np.array(face.heatmap.corners) @ matrix[:, :2].T + matrix[:, 2]
    assert corners == pytest.approx(np.array([[-0.5, -0.5], [31.5, -0.5], [31.5, 31.5], [-0.5, 31.5]]), abs=0.01)


def test_light_reencodings_are_scored(explainer, picture):
    (face,) = explainer.analyze(picture("red")).faces
    ways = face.explanation.reencodings
    assert [way.name for way in ways] == list(LIGHT)
    for way in ways:
        assert way.p_fake == pytest.approx(face.p_fake, abs=0.1)
    assert {way.p_fake for way in ways} != {face.p_fake}


def test_the_prior_moves_the_reencodings_with_the_score(bundle, row_finder, picture):
    detector = Detector(bundle, replace(EXPLAIN, prior=0.01), finder=row_finder)
    (face,) = detector.analyze(picture("red")).faces
    assert all(way.p_fake == pytest.approx(face.p_fake, abs=0.05) for way in face.explanation.reencodings)


def test_parts_are_named_where_there_is_a_face(real_detector, astronaut, tiny_bundle):
    report = Detector(tiny_bundle, EXPLAIN).analyze(astronaut)
    (face,) = report.faces
    shares = {share.part: share for share in face.explanation.parts}
    assert set(shares) == set(FacePart)
    assert sum(share.evidence for share in shares.values()) == pytest.approx(1.0)


def test_parts_are_not_named_where_the_mesh_fits_nothing(explainer, picture):
    (face,) = explainer.analyze(picture("red")).faces  # noise, not a face
    assert face.explanation.parts == ()


def test_a_network_for_whole_pictures_is_explained_without_parts(tiny_whole_bundle, astronaut):
    report = Detector(tiny_whole_bundle, EXPLAIN).analyze(astronaut)
    (face,) = report.faces
    assert face.heatmap.corners == ((-0.5, -0.5), (511.5, -0.5), (511.5, 511.5), (-0.5, 511.5))
    assert face.explanation.parts == ()
    assert len(face.explanation.reencodings) == len(LIGHT)


def test_a_network_without_a_map_is_explained_by_occlusion(mapless_bundle, row_finder, picture):
    (face,) = Detector(mapless_bundle, EXPLAIN, finder=row_finder).analyze(picture("red")).faces
    assert face.heatmap.method is MapMethod.OCCLUSION
    assert face.heatmap.as_array().shape == (7, 7)


def test_the_shipped_network_is_explained_by_its_finer_map(astronaut):
    (face,) = Detector(settings=EXPLAIN).analyze(astronaut).faces
    assert face.heatmap.method is MapMethod.LAYER_CAM
    assert face.heatmap.as_array().shape == (20, 20)
    assert face.heatmap.as_array().mean() == pytest.approx(face.logit, abs=1e-3)


def test_a_method_that_a_file_cannot_do_is_refused(bundle, mapless_bundle):
    with pytest.raises(ConfigError, match="gives no activation map; try --method occlusion"):
        maker_of(MapMethod.CAM, Scorer(mapless_bundle, 1), 1)
    with pytest.raises(ConfigError, match="gives no LayerCAM; try --method cam"):
        maker_of(MapMethod.LAYER_CAM, Scorer(bundle, 1), 1)


def test_another_map_maker_can_be_given(bundle, row_finder, picture):
    class Rising:
        method = MapMethod.GRAD_CAM

        def maps(self, crops):
            return np.arange(len(crops) * 4, dtype=np.float32).reshape(-1, 2, 2)

    detector = Detector(bundle, EXPLAIN, finder=row_finder, map_maker=Rising())
    faces = detector.analyze(picture("red", "blue")).faces
    assert [face.heatmap.values for face in faces] == [((0.0, 1.0), (2.0, 3.0)), ((4.0, 5.0), (6.0, 7.0))]
    assert faces[0].heatmap.method is MapMethod.GRAD_CAM


def test_only_the_largest_faces_get_more_than_a_map(bundle, row_finder, picture):
    detector = Detector(bundle, EXPLAIN, finder=row_finder)
    faces = detector.analyze(picture(*["grey"] * (MOST_FACES + 2))).faces
    assert all(face.heatmap is not None for face in faces)
    assert [face.explanation is not None for face in faces] == [True] * MOST_FACES + [False] * 2


def test_a_picture_without_a_face_still_has_provenance(explainer, picture, png):
    report = explainer.analyze(png(picture("black")))
    assert report.verdict is Verdict.NO_FACE
    assert report.provenance.manifest.state is ManifestState.NONE


def test_files_have_provenance_and_arrays_have_none(explainer, picture, png, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(picture("red")))
    for source in (path, str(path), path.read_bytes()):
        assert explainer.analyze(source).provenance.stripped
    for source in (picture("red"), Image.fromarray(picture("red"))):
        assert explainer.analyze(source).provenance is None


def test_cautions_come_with_the_explanation(explainer, detector, picture, tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(picture("red")).save(path, quality=20)
    assert CautionName.STRONG_COMPRESSION in [caution.name for caution in explainer.analyze(path).cautions]
    assert detector.analyze(path).cautions == ()


def test_anchors_that_cannot_be_read_stop_it_at_once(bundle, tmp_path):
    with pytest.raises(ConfigError, match="trust anchors"):
        Detector(bundle, replace(EXPLAIN, trust_anchors=tmp_path / "missing.pem"))
