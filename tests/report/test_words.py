import pytest

from deepfake_detector.core.explanation import (
    Caution,
    CautionName,
    Explanation,
    FacePart,
    Heatmap,
    MapMethod,
    Nearness,
    PartShare,
    Reencoding,
)
from deepfake_detector.core.provenance import Manifest, ManifestState, Provenance, Trace, TraceKind
from deepfake_detector.core.types import Verdict
from deepfake_detector.report.words import (
    CAUTION_WORDS,
    MAP_WORDS,
    PART_WORDS,
    caution_sentences,
    face_words,
    provenance_sentences,
)

CORNERS = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))
MAP = Heatmap(MapMethod.CAM, ((1.0, -2.0), (3.0, 0.0)), CORNERS)
NONE = Manifest(ManifestState.NONE)


def _shares(**evidence):
    areas = {"eyes": 0.1, "nose": 0.1, "mouth": 0.1, "skin": 0.4, "outline": 0.1, "background": 0.2}
    return tuple(PartShare(FacePart(name), evidence.get(name, 0.0), area) for name, area in areas.items())


def _ways(*probabilities):
    return tuple(Reencoding(f"way {number}", p) for number, p in enumerate(probabilities))


@pytest.fixture
def said(make_face, make_report):
    def said(verdict=Verdict.FAKE, p_fake=0.9, heatmap=MAP, parts=(), ways=(), near=None, **changes):
        face = make_face(p_fake, verdict, heatmap=heatmap, explanation=Explanation(parts, ways, near), **changes)
        return " ".join(face_words(face, make_report().decision))  # fake from 80 % on, real below 40 %

    return said


def test_without_an_explanation_nothing_is_said(make_face, make_report):
    assert face_words(make_face(), make_report().decision) == ()


def test_parts_that_carry_more_than_their_area_are_named_the_strongest_first(said):
    text = said(parts=_shares(mouth=0.5, eyes=0.2, skin=0.3))
    assert "50 % on the mouth (10 % of the area) and 20 % on the eyes and brows (10 % of the area)" in text
    assert "skin" not in text
    assert "not enough" not in text


def test_of_a_video_the_frame_that_is_explained_is_spoken_of_and_given_no_verdict(make_face, make_report):
    face = make_face(0.1, Verdict.REAL, heatmap=MAP, explanation=Explanation((), _ways(0.5, 0.9)))
    text = " ".join(face_words(face, make_report().decision, 0.7))
    assert "between 50 % and 90 % (as it is: 70 %)." in text
    assert "most like a fake" in text
    assert "erdict" not in text


def test_nearness_is_told_with_what_it_is_measured_by(said):
    assert "knows" not in said()
    assert "is not unlike the faces that the model knows: its distance to them is 1.1; 2 % of these lie beyond 2.4" in (
        said(near=Nearness(1.1, 2.4, 0.02))
    )
    text = said(near=Nearness(3.0, 2.4, 0.02))
    assert "It is unlike the faces that the model knows: its distance to them is 3, and only 2 %" in text
    assert "says less about it" in text


def test_an_even_map_names_no_part(said):
    text = said(parts=_shares(eyes=0.1, nose=0.1, mouth=0.1, skin=0.4, outline=0.1, background=0.2))
    assert "spread over the picture of the face" in text
    assert not any(words in text for words in PART_WORDS.values())


def test_a_trifle_is_not_named(said):
    areas = tuple(
        PartShare(part, 0.09 if part is FacePart.NOSE else 0.91 * 0.2, 0.2 if part is not FacePart.NOSE else 0.01)
        for part in FacePart
    )
    assert "nose" not in said(parts=areas)


def test_evidence_in_a_face_that_is_not_fake_is_called_not_enough(said):
    assert "not enough to call the face fake" in said(Verdict.REAL, 0.1, parts=_shares(mouth=1.0))


def test_a_map_without_evidence_says_so(said):
    assert "No place of the map speaks for a fake" in said(heatmap=Heatmap(MapMethod.CAM, ((-1.0, 0.0),), CORNERS))


def test_of_a_map_that_speaks_for_real_no_part_is_named(said):
    mostly_real = Heatmap(MapMethod.CAM, ((-9.5, 0.5),), CORNERS)
    text = said(Verdict.REAL, 0.1, heatmap=mostly_real, parts=_shares(mouth=1.0))
    assert text == "Next to nothing in the map speaks for a fake: 5 % of its weight."


def test_where_no_mesh_fits_no_part_is_named(said):
    assert said() == ""


def test_a_stable_score_is_called_stable(said):
    text = said(ways=_ways(0.88, 0.93))
    assert "between 88 % and 93 % (as it is: 90 %)" in text
    assert text.endswith("The verdict stays.")


def test_a_score_that_crosses_a_limit_is_not(said):
    text = said(ways=_ways(0.9, 0.6, 0.2))
    assert "The verdict does not hold: uncertain with way 1 and real with way 2." in text


def test_of_a_face_that_cannot_be_judged_only_the_range_is_said(said, make_face, make_report, unsure_report):
    bad = unsure_report.faces[1].quality
    text = said(Verdict.UNCERTAIN, 0.3, ways=_ways(0.9), quality=bad)
    assert "its probability is 90 % (as it is: 30 %)" in text
    assert "verdict" not in text


def test_cautions_say_what_was_found_and_in_which_face(make_report, make_face):
    cautions = (
        Caution(CautionName.COVERED_FACE, "dark eyes", 1),
        Caution(CautionName.STRONG_COMPRESSION, "JPEG quality about 20"),
    )
    one, two = caution_sentences(make_report(cautions=cautions, faces=(make_face(), make_face())))
    assert "(face 2). Found: dark eyes." in one
    assert two.endswith("Found: JPEG quality about 20.")
    (alone,) = caution_sentences(make_report(cautions=cautions[:1]))
    assert "(face" not in alone


def test_each_name_has_words():
    assert set(CAUTION_WORDS) == set(CautionName)
    assert set(MAP_WORDS) == set(MapMethod)
    assert set(PART_WORDS) == set(FacePart)


@pytest.mark.parametrize("state", ManifestState)
def test_no_state_of_a_manifest_is_called_true_or_fake(state):
    text = " ".join(provenance_sentences(Provenance(Manifest(state))))
    assert "manifest" in text
    if state is ManifestState.VALID:
        assert "Valid does not mean that the picture shows the truth" in text
    if state is ManifestState.INVALID:
        assert "invalid does not mean fake" in text
    if state is ManifestState.TRUSTED:
        assert "not for what the picture shows" in text


def test_what_a_file_claims_is_said_with_its_place():
    manifest = Manifest(ManifestState.VALID, "Signer, Office", "2024-01-01", "Studio 2", ("c2pa.created",), ("a.b",))
    trace = Trace("ComfyUI", TraceKind.GENERATOR, "PNG text prompt", "{\u202e}")
    other = Trace("GIMP", TraceKind.OTHER, "EXIF Software", "GIMP 3")
    text = " ".join(
        provenance_sentences(Provenance(manifest, ("trainedAlgorithmicMedia", "newWord"), (trace, other), "Nikon D5"))
    )
    for words in (
        "signer: Signer, Office", "signed at: 2024-01-01", "program that made it: Studio 2", "c2pa.created",
        "checks that failed: a.b", "made by a generative model", "digital source type as newWord.",
        "Trace of ComfyUI: PNG text prompt says “{\\u202e}”", "Anybody can write or remove",
        "EXIF Software says “GIMP 3”", "camera: Nikon D5",
    ):  # fmt: skip
        assert words in text


def test_a_stripped_file_is_no_suspect():
    text = " ".join(provenance_sentences(Provenance(NONE, stripped=True)))
    assert "neither for nor against the picture" in text
    assert provenance_sentences(None) == ()
