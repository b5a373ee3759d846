import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest

from deepfake_detector.cli import checkup
from deepfake_detector.faces.mtcnn import MtcnnFinder

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]


@pytest.fixture
def shipped(monkeypatch, tiny_bundle):
    """Let the tiny bundle stand for the shipped default."""
    from deepfake_detector.scoring import shipped
    from deepfake_detector.scoring.bundle import pin_of

    monkeypatch.setattr(shipped, "DEFAULT_MODEL", tiny_bundle.name)
    monkeypatch.setattr(shipped, "SHIPPED", {tiny_bundle.name: pin_of(tiny_bundle)})
    monkeypatch.setattr(shipped, "MODELS_FOLDER", tiny_bundle.parent)


def _checks(ran) -> dict[str, dict]:
    return {check["part"]: check for check in json.loads(ran.out)["checks"]}


def test_everything_that_is_needed_works(deepfake, shipped):
    ran = deepfake("doctor", "--json")
    checks = _checks(ran)
    assert json.loads(ran.out)["works"]
    assert ran.code == 0
    assert checks["model tiny"]["found"] == "0.0.1 (default), hashes right, weights: MIT"
    assert checks["face finder"]["status"] == "ok"
    assert re.match(r"tiny 0.0.1 answered in \d+ ms: ", checks["self-test"]["found"])
    assert {check["status"] for check in checks.values()} <= {"ok", "missing"}


def test_table(deepfake, shipped):
    ran = deepfake("doctor")
    assert ran.code == 0
    assert "Everything that is needed works." in ran.out
    assert "onnxruntime" in ran.out


def test_no_default_model_is_a_fault(deepfake, shipped, monkeypatch):
    from deepfake_detector.scoring import shipped as pins

    monkeypatch.setattr(pins, "SHIPPED", {})
    ran = deepfake("doctor", "--json")
    assert ran.code == 2
    assert _checks(ran)["default model"]["status"] == "failed"
    assert _checks(ran)["self-test"]["status"] == "failed"


def test_a_wrong_hash_is_a_fault(deepfake, shipped, monkeypatch):
    from deepfake_detector.scoring import shipped as pins

    monkeypatch.setattr(pins, "SHIPPED", {"tiny": pins.ShippedPin("0" * 64, "0" * 64)})
    ran = deepfake("doctor")
    assert ran.code == 2
    assert "has SHA-256" in ran.out
    assert "does not work" in ran.out


def test_model_can_be_chosen(deepfake, shipped, tiny_whole_bundle, tmp_path):
    assert "tiny" in _checks(deepfake("doctor", "--json", "--model", tiny_whole_bundle))["self-test"]["found"]
    assert deepfake("doctor", "--model", tmp_path).code == 2


def test_a_finder_that_sees_nothing_is_a_fault(deepfake, shipped, monkeypatch):
    monkeypatch.setattr(MtcnnFinder, "find", lambda *_: ())
    checks = _checks(deepfake("doctor", "--json"))
    assert checks["face finder"]["status"] == "failed"
    assert checks["self-test"]["status"] == "failed"


def _without(monkeypatch, *modules: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in modules else found(name))


def test_a_missing_extra_is_no_fault_and_says_how_to_get_it(deepfake, shipped, monkeypatch):
    _without(monkeypatch, "pillow_heif")
    ran = deepfake("doctor", "--json")
    assert ran.code == 0
    check = _checks(ran)["extra [heic]"]
    assert check["status"] == "missing"
    assert check["fix"] == 'pip install "deepfake-detector[heic]"'


def test_a_missing_requirement_is_a_fault(deepfake, shipped, monkeypatch):
    _without(monkeypatch, "jinja2")
    ran = deepfake("doctor", "--json")
    assert ran.code == 2
    assert _checks(ran)["jinja2"]["fix"] == "pip install jinja2"


def _names(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9._-]+", requirement).group().lower() for requirement in requirements}


def test_the_tables_are_those_of_the_package():
    assert set(checkup.REQUIRED) == _names(PROJECT["dependencies"])
    extras = {name: needs for name, needs in PROJECT["optional-dependencies"].items() if name not in {"dev", "docs"}}
    assert set(checkup.EXTRAS) == set(extras)
    for name, needs in extras.items():
        here = [need for need in needs if sys.platform != "win32" or "!= 'win32'" not in need]
        assert set(checkup.EXTRAS[name]) == _names(here)
