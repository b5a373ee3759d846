import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from deepfake_detector.cli.detect_options import Point
from deepfake_detector.core.types import SHIPPED_POINTS
from deepfake_detector.report.schema import json_schema
from deepfake_detector.scoring.bundle import write_bundle


@pytest.fixture
def detect(deepfake, tiny_bundle):
    return lambda *arguments: deepfake("detect", "--model", tiny_bundle, *arguments)


def _lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_table_says_it_all_in_words(detect, photos):
    ran = detect(photos)
    assert ran.code == 1
    rows = {line.split()[0].rsplit(os.sep, 1)[-1]: line for line in ran.out.splitlines() if str(photos) in line}
    assert list(rows) == ["a.jpg", "b.png", "c.png", "d.png"]
    assert " fake " in rows["a.jpg"]
    assert "manipulated" in rows["a.jpg"]
    assert "89 %" in rows["a.jpg"]
    assert " real " in rows["b.png"]
    assert "no face found" in rows["c.png"]
    assert "score between the limits" in rows["d.png"]
    assert "1 fake, 1 real, 1 uncertain, 1 no face" in ran.out
    assert "50 % of all pictures are fake" in ran.out
    assert "tiny 0.0.1; weights: MIT" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize("names, code", [("abcd", 1), ("bcd", 3), ("bc", 0), ("c", 0), ("b", 0), ("d", 3)], ids=str)
def test_exit_codes(detect, photos, names, code):
    paths = [path for path in sorted(photos.iterdir()) if path.stem in names]
    assert detect("--jsonl", *paths).code == code
    assert detect("--jsonl", *paths, photos / "missing.jpg").code == 4


@pytest.mark.parametrize(
    "words, code", [("none", 0), ("fake", 1), ("uncertain", 3), ("error", 4), ("fake,uncertain", 1)]
)
def test_fail_on(detect, photos, words, code):
    assert detect("--jsonl", "--fail-on", words, photos, photos / "missing.jpg").code == code


def test_jsonl_has_a_line_per_input_in_order(detect, photos):
    ran = detect("--jsonl", photos / "d.png", photos / "missing.jpg", photos)
    lines = _lines(ran.out)
    names = ["d.png", "missing.jpg", "a.jpg", "b.png", "c.png", "d.png"]
    assert [line["path"] for line in lines] == [str(photos / name) for name in names]
    assert [line["verdict"] for line in lines] == ["uncertain", None, "fake", "real", "no_face", "uncertain"]
    assert lines[1]["error"]["code"] == "unreadable"
    assert [line["kind"] for line in lines] == [None, None, "manipulated", None, None, None]
    validator = Draft202012Validator(json_schema())
    for line in lines:
        validator.validate(line)


def test_json_is_one_document(detect, photos):
    assert [entry["verdict"] for entry in json.loads(detect("--json", photos).out)] == [
        "fake", "real", "no_face", "uncertain",
    ]  # fmt: skip
    (failed,) = json.loads(detect("--json", photos / "missing.jpg").out)
    assert failed["verdict"] is None


def test_csv(detect, photos):
    rows = list(csv.DictReader(io.StringIO(detect("--csv", photos).out)))
    assert [row["verdict"] for row in rows] == ["fake", "real", "no_face", "uncertain"]
    assert rows[0]["sha256"]


def test_html(detect, photos, tmp_path):
    target = tmp_path / "new folder" / "report.html"
    ran = detect(photos, "--html", target)
    assert ran.code == 1
    assert f"wrote {target}" in ran.err.replace("\n", "")
    page = target.read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 4
    assert "Looks at the mean colour; for tests." in page
    assert "It knows nothing about fakes." in page


def test_output_folder_holds_all_forms(detect, photos, tmp_path):
    folder = tmp_path / "out"
    ran = detect("--output", folder, "--jsonl", photos)
    assert sorted(path.name for path in folder.iterdir()) == [
        "report.csv", "report.html", "report.json", "report.jsonl",
    ]  # fmt: skip
    assert (folder / "report.jsonl").read_text(encoding="utf-8") == ran.out
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == _lines(ran.out)
    assert len(list(csv.reader(io.StringIO((folder / "report.csv").read_text(encoding="utf-8"))))) == 5


def test_operating_point_and_prior_are_obeyed(detect, photos):
    (usual,) = _lines(detect("--jsonl", photos / "a.jpg").out)
    (strict,) = _lines(detect("--jsonl", "--operating-point", "fpr1", photos / "a.jpg").out)
    (rare,) = _lines(detect("--jsonl", "--prior", "0.01", photos / "a.jpg").out)
    assert usual["decision"]["operating_point"] == "fpr5"
    assert strict["decision"]["operating_point"] == "fpr1"
    assert strict["decision"]["threshold"] > usual["decision"]["threshold"]
    assert rare["decision"]["prior"] == 0.01
    assert rare["p_fake"] < usual["p_fake"]
    assert rare["verdict"] == usual["verdict"]


def test_options_have_the_points_of_the_core():
    assert [point.value for point in Point] == [point.value for point in SHIPPED_POINTS]


def test_whole_picture_model(deepfake, tiny_whole_bundle, photos):
    (line,) = _lines(deepfake("detect", "--model", tiny_whole_bundle, "--jsonl", photos / "c.png").out)
    assert line["verdict"] != "no_face"
    assert line["p_fake"] is not None


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "Missing argument"),
        (["--json", "--csv", "x.jpg"], "--json and --csv"),
        (["--prior", "1", "x.jpg"], "between 0 and 1"),
        (["--prior", "nan", "x.jpg"], "between 0 and 1"),
        (["--threads", "-1", "x.jpg"], "--threads"),
        (["--operating-point", "fpr2", "x.jpg"], "fpr10"),
        (["--fail-on", "fakes", "x.jpg"], "fake, uncertain, error"),
        (["--html", "a.jpg", "x.jpg"], ".html"),
        (["--html", "r.html", "--resume", "./r.html", "x.jpg"], "give --resume another file"),
        (["--output", "out", "--resume", "out/report.jsonl", "x.jpg"], "give --resume another file"),
        (["--nonsense", "x.jpg"], "--nonsense"),
    ],
)
def test_usage_errors_are_code_2(detect, arguments, words):
    ran = detect(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert words in " ".join(ran.err.split())


def test_a_model_that_is_not_there_is_code_2(deepfake, photos, tmp_path):
    ran = deepfake("detect", "--model", tmp_path / "nothing", photos)
    assert (ran.code, ran.out) == (2, "")
    assert "model.onnx" in ran.err


def test_a_tampered_model_is_code_2(deepfake, photos, tiny_bundle, tmp_path):
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    with (bundle / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    ran = deepfake("detect", "--model", bundle, photos)
    assert (ran.code, ran.out) == (2, "")
    assert "SHA-256" in ran.err


def test_a_model_that_gives_no_number_is_code_2(deepfake, photos, tiny_model, tiny_card, tmp_path):
    one = np.float32(0.5).tobytes()  # the bias of the fake logit
    assert tiny_model().count(one) == 1
    bundle = write_bundle(tmp_path / "bundle", tiny_model().replace(one, np.float32(np.nan).tobytes()), tiny_card())
    ran = deepfake("detect", "--model", bundle, "--jsonl", photos)
    assert (ran.code, ran.out) == (2, "")
    assert "fake_logit that is not a finite number" in ran.err


def test_a_report_that_cannot_be_written_is_code_2(detect, photos, tmp_path):
    (tmp_path / "file").write_text("")
    assert detect(photos / "b.png", "--html", tmp_path / "file" / "r.html").code == 2
    (tmp_path / "folder.html").mkdir()
    ran = detect(photos / "b.png", "--html", tmp_path / "folder.html")
    assert ran.code == 2
    assert "cannot write to" in ran.err


def test_resume_analyses_only_what_is_new(detect, photos, tmp_path):
    done = tmp_path / "done.jsonl"
    first = detect("--jsonl", "--resume", done, photos / "a.jpg", photos / "b.png")
    assert done.read_text() == first.out
    marked = re.sub('"format":"(JPEG|PNG)"', '"format":"stored"', done.read_text())
    assert marked != first.out
    done.write_text(marked)
    second = detect("--jsonl", "--resume", done, photos)
    lines = _lines(second.out)
    assert [line["input"]["format"] for line in lines] == ["stored", "stored", "PNG", "PNG"]
    assert [line["verdict"] for line in lines] == ["fake", "real", "no_face", "uncertain"]
    assert done.read_text() == marked + "".join(f"{line}\n" for line in second.out.splitlines()[2:])
    assert f"answers taken from {done}: 2" in second.err
    assert second.code == 1  # the fake in the file counts
    third = detect("--resume", done, "--html", tmp_path / "r.html", photos)
    assert len(done.read_text().splitlines()) == 4
    assert f"answers taken from {done}: 4" in third.err
    assert (tmp_path / "r.html").read_text(encoding="utf-8").count("data:image/jpeg") == 4


def _subprocess(tiny_bundle, *arguments, **options) -> subprocess.CompletedProcess[bytes]:
    program = [sys.executable, "-c", "from deepfake_detector.cli.main import run; run()"]
    command = [*program, "detect", "--model", str(tiny_bundle), *arguments]
    return subprocess.run(command, capture_output=True, check=False, **options)


def test_standard_input(tiny_bundle, photos):
    with (photos / "a.jpg").open("rb") as stream:
        ran = _subprocess(tiny_bundle, "--jsonl", "-", str(photos / "b.png"), stdin=stream)
    assert ran.returncode == 1
    lines = _lines(ran.stdout.decode())
    assert [line["path"] for line in lines] == ["-", str(photos / "b.png")]
    assert lines[0]["verdict"] == "fake"


def test_empty_standard_input_is_an_input_error(tiny_bundle):
    ran = _subprocess(tiny_bundle, "--jsonl", "-", input=b"")
    assert ran.returncode == 4
    (line,) = _lines(ran.stdout.decode())
    assert (line["path"], line["error"]["code"]) == ("-", "empty")


def test_names_in_any_script_and_in_none(tiny_bundle, photos, tmp_path):
    names = ["写真.png", "=1+1.png", "[bold].png"]
    paths: list[Path | bytes] = [tmp_path / name for name in names]
    if sys.platform == "linux":  # the only one whose file names are any bytes
        paths.append(os.fsencode(str(tmp_path)) + b"/caf\xe9.png")
    for path in paths:
        shutil.copyfile(photos / "c.png", path)
    for form in ("--jsonl", "--json", "--csv", "--fail-on=none"):
        ran = _subprocess(tiny_bundle, form, str(tmp_path))
        assert ran.returncode == 0
        assert ran.stderr == b""
        shown = ran.stdout.decode("utf-8")
        assert all(name in shown for name in names)
        assert shown.count("caf") == len(paths) - len(names)
