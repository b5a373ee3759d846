import json

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.cli.explain import Method
from deepfake_detector.core.explanation import MapMethod
from deepfake_detector.report.schema import from_json


@pytest.fixture
def explain(deepfake, tiny_bundle):
    return lambda *arguments: deepfake("explain", "--model", tiny_bundle, *arguments)


def test_it_writes_the_whole_case(explain, photos, tmp_path, astronaut):
    ran = explain(photos / "a.jpg", "--output", tmp_path / "case")
    assert ran.code == 0
    names = {path.name for path in (tmp_path / "case").iterdir()}
    assert names == {
        "report.html", "case.json", "forensic.html", "overlay.png", "face-1.png", "face-1-map.png", "face-1-map.npy",
    }  # fmt: skip
    case = json.loads((tmp_path / "case" / "case.json").read_text())
    assert set(case["files"]) == names - {"case.json"}
    assert case["command"].startswith("deepfake explain --model ")
    report = from_json(json.dumps(case["answer"]))
    values = np.load(tmp_path / "case" / "face-1-map.npy", allow_pickle=False)
    assert values == pytest.approx(report.faces[0].heatmap.as_array())
    assert report.faces[0].heatmap.method is MapMethod.CAM
    with Image.open(tmp_path / "case" / "overlay.png") as overlay:
        assert overlay.width == astronaut.shape[1]
        assert overlay.height > astronaut.shape[0]
    assert "fake (probability of a fake: 89 %)" in ran.out
    assert "• face 1: " in ran.out
    assert "C2PA" in ran.out
    assert "open " in ran.err


def test_the_answer_is_that_of_detect(explain, deepfake, photos, tiny_bundle, tmp_path):
    for name, folder in (("a.jpg", "one"), ("d.png", "two")):
        assert explain(photos / name, "--output", tmp_path / folder).code == 0
        answer = json.loads((tmp_path / folder / "case.json").read_text())["answer"]
        (line,) = deepfake("detect", "--model", tiny_bundle, "--jsonl", photos / name).out.splitlines()
        detected = json.loads(line)
        assert (answer["verdict"], answer["p_fake"]) == (detected["verdict"], detected["p_fake"])
        assert detected["faces"][0]["heatmap"] is None


def test_a_picture_without_a_face_has_a_report_and_no_maps(explain, photos, tmp_path):
    ran = explain(photos / "c.png", "--output", tmp_path / "case")
    assert ran.code == 0
    assert {path.name for path in (tmp_path / "case").iterdir()} == {"report.html", "case.json", "forensic.html"}
    assert "nothing is said about this picture" in ran.out


def test_occlusion_works_for_any_bundle(explain, photos, tmp_path):
    assert explain(photos / "a.jpg", "--method", "occlusion", "--output", tmp_path / "case").code == 0
    answer = json.loads((tmp_path / "case" / "case.json").read_text())["answer"]
    assert answer["faces"][0]["heatmap"]["method"] == "occlusion"


def test_the_plain_map_can_be_asked_for_and_the_finer_one_needs_its_graph(explain, photos, tmp_path):
    assert explain(photos / "a.jpg", "--method", "cam", "--output", tmp_path / "case").code == 0
    answer = json.loads((tmp_path / "case" / "case.json").read_text())["answer"]
    assert answer["faces"][0]["heatmap"]["method"] == "cam"
    finer = explain(photos / "a.jpg", "--method", "layer-cam", "--output", tmp_path / "finer")
    assert finer.code == 2
    assert "try --method cam" in finer.err


def test_methods_of_keras_need_a_run(explain, photos, tmp_path):
    ran = explain(photos / "a.jpg", "--method", "grad-cam", "--output", tmp_path / "case")
    assert ran.code == 2
    assert "--run" in ran.err
    ran = explain(photos / "a.jpg", "--run", tmp_path, "--output", tmp_path / "case")
    assert ran.code == 2
    assert "--model" in ran.err
    assert not (tmp_path / "case").exists()


def test_what_cannot_be_read_or_written_is_said(explain, photos, tmp_path):
    missing = explain(photos / "missing.jpg", "--output", tmp_path / "case")
    assert missing.code == 2
    assert "missing.jpg" in missing.err
    (tmp_path / "file").write_text("")
    blocked = explain(photos / "a.jpg", "--output", tmp_path / "file" / "case")
    assert blocked.code == 2
    assert "give another place" in blocked.err


def test_the_methods_are_those_of_the_library():
    assert [method.value for method in Method] == [method.value for method in MapMethod]


def test_detect_explains_when_asked(deepfake, photos, tiny_bundle, tmp_path):
    ran = deepfake(
        "detect", "--model", tiny_bundle, "--explain", "--jsonl", "--html", tmp_path / "r.html", photos / "a.jpg"
    )
    assert ran.code == 1
    report = from_json(ran.out)
    assert report.faces[0].heatmap is not None
    assert report.provenance is not None
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Where the score comes from" in page
    assert "The same again: <code>deepfake detect --model" in page


def test_explained_and_unexplained_answers_are_not_mixed(deepfake, photos, tiny_bundle, tmp_path):
    done = tmp_path / "done.jsonl"
    detect = ("detect", "--model", tiny_bundle, "--resume", done, photos / "b.png")
    assert deepfake(*detect).code == 0
    ran = deepfake(*detect, "--explain")
    assert ran.code == 2
    assert "explanation" in ran.err
