import json
from dataclasses import replace

import pytest

from deepfake_detector.cli.resume import ResumeFile
from deepfake_detector.core.errors import ConfigError, InputError
from deepfake_detector.core.settings import AnalysisSettings, Limits
from deepfake_detector.core.types import Failure, OperatingPoint
from deepfake_detector.media.inputs import InputItem
from deepfake_detector.report.schema import from_json, to_json


@pytest.fixture
def model(astronaut_report) -> str:
    return astronaut_report.model.sha256


@pytest.fixture
def threshold(astronaut_report):
    """What is asked for the threshold of now: it is the one of the report, for as many faces."""
    known = {astronaut_report.decision.faces: astronaut_report.decision.threshold}
    return known.__getitem__


@pytest.fixture
def line(astronaut_report) -> bytes:
    return to_json(astronaut_report).encode() + b"\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "done.jsonl"


SETTINGS = AnalysisSettings()


def test_a_new_file_knows_nothing_and_takes_lines(path, model, astronaut_report, photos, threshold):
    with ResumeFile(path, model, SETTINGS, threshold) as file:
        assert file.find(InputItem(str(photos / "a.jpg"))) is None
        file.append(astronaut_report, to_json(astronaut_report))
        assert from_json(path.read_bytes()) == astronaut_report  # flushed at once


def test_an_answer_is_found_by_the_bytes_of_the_input(
    path, model, line, astronaut_report, *, photos, tmp_path, threshold
):
    path.write_bytes(line)
    copy = tmp_path / "other name.png"
    copy.write_bytes((photos / "a.jpg").read_bytes())
    with ResumeFile(path, model, SETTINGS, threshold) as file:
        for item in (InputItem(str(copy)), InputItem("-", data=copy.read_bytes())):
            sha256 = file.find(item)
            assert sha256 == astronaut_report.input.sha256
            assert file.answer(sha256) == astronaut_report
        assert file.find(InputItem(str(photos / "b.png"))) is None


def test_what_cannot_be_hashed_is_left_to_the_analysis(path, model, line, tmp_path, threshold):
    path.write_bytes(line)
    with ResumeFile(path, model, SETTINGS, threshold) as file:
        for name in (tmp_path / "missing.jpg", tmp_path, "null\0byte"):
            assert file.find(InputItem(str(name))) is None
        assert file.find(InputItem("x", error=InputError("no"))) is None


def test_a_file_over_the_limit_is_not_read(path, model, line, photos, threshold):
    path.write_bytes(line)
    with ResumeFile(path, model, AnalysisSettings(limits=Limits(max_bytes=100)), threshold) as file:
        assert file.find(InputItem(str(photos / "a.jpg"))) is None


@pytest.mark.parametrize("cut", [1, 4, 100, -2])
def test_a_half_written_last_line_is_cut_off(path, model, line, astronaut_report, cut, threshold):
    other = to_json(replace(astronaut_report, input=replace(astronaut_report.input, sha256="0" * 64))).encode()
    path.write_bytes(line + other[:cut])
    with ResumeFile(path, model, SETTINGS, threshold) as file:
        assert file.answer(astronaut_report.input.sha256) == astronaut_report
        file.append(astronaut_report, to_json(astronaut_report))
    assert path.read_bytes() == line + line


def test_a_whole_last_line_without_its_end_is_kept(path, model, line, astronaut_report, threshold):
    path.write_bytes(line.rstrip())
    with ResumeFile(path, model, SETTINGS, threshold) as file:
        assert file.answer(astronaut_report.input.sha256) == astronaut_report
        file.append(astronaut_report, to_json(astronaut_report))
    assert path.read_bytes() == line + line


@pytest.mark.parametrize("content", [b"\xff\xd8\xff\xe0 a picture", b"path,verdict\n", b'{"a": 1}\n', b'{"other": 1'])
def test_another_kind_of_file_is_refused_and_left_alone(path, model, content, threshold):
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="line 1 of"):
        ResumeFile(path, model, SETTINGS, threshold)
    assert path.read_bytes() == content


def test_a_broken_line_in_the_middle_is_refused(path, model, line, threshold):
    path.write_bytes(line + b'{"path":"half\n' + line)
    with pytest.raises(ConfigError, match="line 2 of"):
        ResumeFile(path, model, SETTINGS, threshold)


def test_answers_of_another_model_or_setting_are_refused(path, model, line, threshold):
    path.write_bytes(line)
    with pytest.raises(ConfigError, match="model"):
        ResumeFile(path, "0" * 64, SETTINGS, threshold)
    with pytest.raises(ConfigError, match="operating point fpr5, now it is fpr1"):
        ResumeFile(path, model, AnalysisSettings(OperatingPoint.FPR1), threshold)
    with pytest.raises(ConfigError, match=r"prior 0\.5, now it is 0\.1"):
        ResumeFile(path, model, AnalysisSettings(prior=0.1), threshold)
    with pytest.raises(ConfigError, match="threshold "):
        ResumeFile(path, model, SETTINGS, lambda faces: threshold(faces) + 0.001)
    with pytest.raises(ConfigError, match="all faces False, now it is True"):
        ResumeFile(path, model, AnalysisSettings(all_faces=True), threshold)


def test_a_failure_is_tried_again_but_not_said_twice(path, model, threshold):
    failure = Failure("a.jpg", "missing_extra", "HEIC needs the extra [heic]", "0" * 64)
    for _ in range(2):
        with ResumeFile(path, model, SETTINGS, threshold) as file:
            file.append(failure, to_json(failure))
    assert len(path.read_text().splitlines()) == 1
    with ResumeFile(path, model, SETTINGS, threshold) as file:
        other = replace(failure, code="damaged")
        file.append(other, to_json(other))
    assert [json.loads(line)["error"]["code"] for line in path.read_text().splitlines()] == ["missing_extra", "damaged"]


def test_a_place_that_cannot_be_written_is_a_config_error(tmp_path, model, threshold):
    with pytest.raises(ConfigError, match="cannot open"):
        ResumeFile(tmp_path / "no folder" / "done.jsonl", model, SETTINGS, threshold)


def test_standard_output_into_the_same_file_is_refused(path, model, tmp_path, threshold):
    with ResumeFile(path, model, SETTINGS, threshold) as file:
        with path.open("a") as stream, pytest.raises(ConfigError, match="leave the redirection out"):
            file.refuse_stream(stream)
        with (tmp_path / "other").open("w") as stream:
            file.refuse_stream(stream)
