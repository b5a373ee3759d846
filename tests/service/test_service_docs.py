"""docs/http.md names every setting, code and route that there is, and no others."""

import re
from pathlib import Path

from deepfake_detector.service.problems import CODES
from deepfake_detector.service.settings import ServiceSettings

HTTP = (Path(__file__).parents[2] / "docs" / "http.md").read_text(encoding="utf-8")


def section(name):
    return HTTP.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def cells(name, column):
    rows = [row.split("|")[1:-1] for row in section(name).splitlines() if row.startswith("| ")]
    return [row[column].strip() for row in rows[1:]]


def test_every_setting_is_documented():
    documented = set(re.findall(r"`(DEEPFAKE_\w+)`", " ".join(cells("Settings", 0))))
    assert documented == {f"DEEPFAKE_{name.upper()}" for name in ServiceSettings.model_fields}


def test_every_problem_is_documented_with_its_status():
    documented = {
        (code, int(status))
        for codes, status in zip(cells("Problems", 0), cells("Problems", 1), strict=True)
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert documented == {(code, status) for code, (status, _) in CODES.items()}


def test_every_route_is_documented(make_app):
    document = make_app().client.get("/v1/openapi.json").json()
    routes = {
        (method.upper(), re.sub(r"{\w+}", "{}", place))
        for place, operations in document["paths"].items()
        for method in operations
    }
    documented = {
        (method, re.sub(r"{\w+}", "{}", place))
        for cell in cells("Routes", 0)
        for place in re.findall(r"(/[\w./{}]*)", cell)
        for method in re.findall(r"\b(GET|POST|DELETE)\b", cell)
    }
    assert documented == routes
