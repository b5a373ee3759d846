import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import Failure, Verdict
from deepfake_detector.report.schema import SCHEMA_ID, from_json, json_schema, to_json

FAILURE = Failure("photos/b.jpg", "damaged", "photos/b.jpg is cut off; get the file again", "ef" * 32)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(json_schema())
    return Draft202012Validator(json_schema())


def test_schema_names_itself_and_describes_what_is_not_obvious():
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == SCHEMA_ID
    assert {"AnalysedRecord", "FailedRecord", "FaceRecord"} <= set(schema["$defs"])
    assert all(schema["$defs"][name].get("description") for name in schema["$defs"] if name.endswith("Record"))
    assert "pixels of the upright picture" in schema["$defs"]["FaceRecord"]["properties"]["box"]["description"]


@pytest.mark.parametrize("verdict, p_fake", [(Verdict.FAKE, 0.9), (Verdict.REAL, 0.1), (Verdict.NO_FACE, None)])
def test_reports_validate_and_come_back_equal(validator, make_report, verdict, p_fake):
    report = make_report(verdict, p_fake)
    line = to_json(report)
    validator.validate(json.loads(line))
    assert from_json(line) == report
    assert "\n" not in line


def test_report_with_bad_faces_comes_back_equal(validator, unsure_report):
    line = to_json(unsure_report)
    validator.validate(json.loads(line))
    assert from_json(line.encode()) == unsure_report


def test_failures_validate_and_come_back_equal(validator):
    for failure in (FAILURE, replace(FAILURE, path=None, sha256=None)):
        line = to_json(failure)
        validator.validate(json.loads(line))
        assert from_json(line) == failure


def test_line_has_what_programs_rely_on(make_report):
    record = json.loads(to_json(make_report()))
    assert record["path"] == "photos/a.jpg"
    assert (record["verdict"], record["p_fake"], record["kind"], record["error"]) == ("fake", 0.9, "generated", None)
    assert record["faces"][0]["box"] == [20.5, 25.0, 50.0, 60.25]
    assert record["faces"][0]["landmarks"]["nose"] == [45.0, 55.0]
    assert record["faces"][0]["quality"] == {"size": 50.0, "sharpness": 120.0, "brightness": 101.5, "issues": []}
    assert record["decision"]["operating_point"] == "fpr5"
    assert record["input"] == {"sha256": "ab" * 32, "bytes": 12345, "format": "JPEG", "width": 120, "height": 100}
    assert record["model"]["sha256"] == "cd" * 32
    assert record["schema_version"] == "1.3"


def test_failed_line_has_no_verdict():
    record = json.loads(to_json(FAILURE))
    assert [record[name] for name in ("verdict", "p_fake", "kind", "faces")] == [None, None, None, []]
    assert record["error"] == {"code": "damaged", "message": FAILURE.message}


@pytest.mark.parametrize("broken", [math.nan, math.inf, -0.1, 1.5])
def test_a_number_that_is_no_probability_is_refused(make_report, broken):
    with pytest.raises(ValueError, match="p_fake"):
        to_json(make_report(p_fake=broken))


def test_a_logit_that_is_not_finite_is_refused(make_report, make_face):
    with pytest.raises(ValueError, match="logit"):
        to_json(make_report(faces=(make_face(logit=math.nan),)))


def test_schema_refuses_what_the_records_refuse(validator, make_report):
    record = json.loads(to_json(make_report()))
    assert not validator.is_valid(record | {"p_fake": 1.5})
    assert not validator.is_valid(record | {"verdict": "maybe"})
    assert not validator.is_valid({name: value for name, value in record.items() if name != "decision"})
    assert not validator.is_valid(record | {"error": {"code": "x", "message": "y"}})


def test_numbers_of_numpy_are_written_as_numbers(make_report, make_face):
    face = make_face(logit=np.float32(0.5), p_fake=np.float64(0.25))
    record = json.loads(to_json(make_report(p_fake=np.float64(0.25), faces=(face,))))
    assert record["p_fake"] == 0.25
    assert record["faces"][0]["logit"] == 0.5


def test_name_with_bytes_that_are_not_utf8(make_report):
    report = make_report()
    line = to_json(replace(report, input=replace(report.input, path="caf\udce9.jpg")))
    assert json.loads(line)["path"] == "caf\\udce9.jpg"
    line.encode("utf-8")


@given(path=st.text(), message=st.text(), code=st.text(max_size=20))
def test_any_text_makes_valid_json(path, message, code):
    failure = Failure(path, code, message)
    assert from_json(to_json(failure)) == failure


@pytest.mark.parametrize("line", ["", "{}", "nonsense", '{"path": "a.jpg", "verdict": "real"}', "[1, 2]", b"\xff\xd8"])
def test_anything_else_is_a_config_error(line):
    with pytest.raises(ConfigError, match="not an answer"):
        from_json(line)


def test_a_later_version_with_more_keys_still_opens_and_a_newer_schema_does_not(make_report):
    record = json.loads(to_json(make_report()))
    assert from_json(json.dumps(record | {"schema_version": "1.7", "novelty": 1})).schema_version == "1.7"
    with pytest.raises(ConfigError, match=r"schema 1\.3"):
        from_json(json.dumps(record | {"schema_version": "2.0"}))
