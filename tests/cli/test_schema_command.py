import json

from jsonschema import Draft202012Validator

from deepfake_detector.report.schema import to_json


def test_schema_prints_what_answers_obey(deepfake, astronaut_report):
    ran = deepfake("schema")
    assert ran.code == 0
    schema = json.loads(ran.out)
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(to_json(astronaut_report)))
