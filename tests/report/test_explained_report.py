"""An explained answer in JSON, in the HTML report, as a case, and on the page of forensic views."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from deepfake_detector.core.explanation import (
    Caution,
    CautionName,
    CloseUp,
    Explanation,
    FacePart,
    ForensicView,
    Heatmap,
    MapMethod,
    PartShare,
    Reencoding,
)
from deepfake_detector.core.provenance import Manifest, ManifestState, Provenance, Trace, TraceKind
from deepfake_detector.report.case import case_json
from deepfake_detector.report.forensic import forensic_page
from deepfake_detector.report.html import HtmlReport, ModelSummary, TrainingSet
from deepfake_detector.report.schema import from_json, json_schema, to_json
from deepfake_detector.report.text import LIMITS
from deepfake_detector.report.words import face_words, provenance_sentences

CREATED = datetime(2024, 5, 6, 7, 8, tzinfo=UTC)
MODEL = ModelSummary(
    "tiny", "0.0.1", "cd" * 32, "Mean colour.", "mean colour", "LicenseRef-Weights", ("It knows nothing.",),
    (TrainingSet("set one", 10, 20, "research only"),),
)  # fmt: skip
EVIL = '"><script>alert(1)</script>'


@pytest.fixture
def explained(make_report, make_face):
    heatmap = Heatmap(MapMethod.CAM, ((0.5, -1.25), (2.0, 0.0)), ((1.0, 2.0), (3.0, 2.0), (3.0, 4.0), (1.0, 4.0)))
    explanation = Explanation(
        (PartShare(FacePart.MOUTH, 0.75, 0.1), PartShare(FacePart.SKIN, 0.25, 0.9)), (Reencoding("JPEG", 0.85),)
    )
    provenance = Provenance(
        Manifest(ManifestState.VALID, EVIL, "2024", "Studio", ("c2pa.created",), ("code",)),
        ("digitalCapture",),
        (Trace("Midjourney", TraceKind.GENERATOR, "PNG text Description", EVIL),),
        EVIL,
        83,
    )
    return make_report(
        faces=(make_face(heatmap=heatmap, explanation=explanation),),
        cautions=(Caution(CautionName.SCREENSHOT, EVIL), Caution(CautionName.DRAWING, "flat", 0)),
        provenance=provenance,
    )


def _close_up(value=90):
    face = np.full((40, 30, 3), value, np.uint8)
    return CloseUp(face, face, face[:2], 2.0, MapMethod.CAM)


def _page(tmp_path, report, close_ups, command=None):
    page = HtmlReport(tmp_path / "r.html", MODEL, 1, CREATED, command)
    page.add(report, np.zeros((100, 120, 3), np.uint8), close_ups)
    page.close()
    return (tmp_path / "r.html").read_text(encoding="utf-8")


def test_json_keeps_all_of_it_and_follows_its_schema(explained):
    line = to_json(explained)
    assert from_json(line) == explained
    validator = Draft202012Validator(json_schema())
    assert not list(validator.iter_errors(json.loads(line)))
    record = json.loads(line)
    assert record["faces"][0]["heatmap"]["values"] == [[0.5, -1.25], [2.0, 0.0]]
    assert record["provenance"]["manifest"]["state"] == "valid"


def test_an_answer_of_an_older_version_still_opens(make_report):
    record = json.loads(to_json(make_report()))
    for key in ("cautions", "provenance"):
        del record[key]
    for key in ("heatmap", "explanation"):
        del record["faces"][0][key]
    record["schema_version"] = "1.0"
    assert from_json(json.dumps(record)) == replace(make_report(), schema_version="1.0")


def test_the_page_shows_faces_maps_words_and_provenance(tmp_path, explained):
    text = _page(tmp_path, explained, [_close_up()], "deepfake detect 'a b.jpg' --explain")
    assert text.count("<img") == 4  # the picture, the face, its map, the scale
    assert "Where the score comes from" in text
    assert "75 % on the mouth" in text
    assert "What the file says of itself" in text
    assert "made by a digital camera" in text or "taken by a digital camera" in text
    assert "deepfake detect &#39;a b.jpg&#39; --explain" in text
    for image in re.findall(r"<img[^>]*>", text):
        assert re.search(r'alt="[^"]{8,}"', image)
        assert 'src="data:image/jpeg;base64,' in image


def test_what_a_file_says_is_escaped_everywhere(tmp_path, explained):
    text = _page(tmp_path, explained, [_close_up()], EVIL)
    assert "<script" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 5


def test_the_page_needs_nothing_from_outside(tmp_path, explained):
    text = _page(tmp_path, explained, [_close_up()])
    assert not re.search(r"https?:|url\(|@import|<script|<link|<iframe| on\w+=| style=", text)


def test_words_stand_there_without_a_close_up(tmp_path, explained):
    text = _page(tmp_path, explained, [])
    assert "75 % on the mouth" in text
    assert "heat map" not in text.lower().partition("<style>")[0] + text.lower().rpartition("</style>")[2]


def test_an_answer_that_was_not_explained_has_no_empty_sections(tmp_path, make_report):
    text = _page(tmp_path, make_report(), [])
    assert "Where the score comes from" not in text
    assert "What the file says of itself" not in text
    assert "The same again" not in text


def test_a_case_holds_what_is_needed_to_check_it(explained):
    case = json.loads(case_json(explained, MODEL, "deepfake explain a.jpg", CREATED, ["report.html"]))
    assert case["created"] == "2024-05-06T07:08:00+00:00"
    assert case["command"] == "deepfake explain a.jpg"
    assert case["answer"] == json.loads(to_json(explained))
    assert case["words"]["faces"] == [list(face_words(explained.faces[0], explained.decision))]
    assert case["words"]["provenance"] == list(provenance_sentences(explained.provenance))
    assert "5 in 100 real pictures" in case["words"]["operating_point"]
    assert case["model"]["license"] == "LicenseRef-Weights"
    assert case["model"]["limits"] == ["It knows nothing."]
    assert case["limits"] == list(LIMITS)
    assert case["files"] == ["report.html"]


def test_a_case_with_a_name_that_is_not_utf8_can_be_written(explained):
    report = replace(explained, input=replace(explained.input, path="caf\udce9.jpg"))
    text = case_json(report, MODEL, "deepfake explain caf\udce9.jpg", CREATED)
    assert "\\udce9" in text.encode("utf-8").decode()


def test_forensic_views_are_marked_as_views(explained):
    view = ForensicView("noise", "Noise", "It can have causes.", np.zeros((8, 8, 3), np.uint8))
    info = replace(explained.input, path=EVIL)
    text = forensic_page(info, [view], [list(range(64)), [7] * 64], CREATED)
    assert "These are views, not verdicts." in text
    assert text.count("<img") == 1
    assert text.count("<tr>") == 16
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"https?:|url\(|@import", text)
    assert "Only JPEG files have them" in forensic_page(info, [view], [], CREATED)
