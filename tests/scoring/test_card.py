import json

import pydantic
import pytest

from deepfake_detector.core.types import CropMode
from deepfake_detector.scoring.card import Calibration, Card, CardInput


def calibration(**changes):
    curve = [{"fpr": 0.1, "logit": 0.0}, {"fpr": 0.05, "logit": 1.0}, {"fpr": 0.01, "logit": 2.0}]
    values = {"temperature": 1.0, "band_below": 0.5, "out_of_source": True, "fitted_on": "x", "fpr_curve": curve}
    return Calibration.model_validate(values | changes)


def test_a_card_survives_the_way_to_json_and_back(tiny_card):
    card = tiny_card()
    assert Card.model_validate_json(card.model_dump_json()) == card


def test_the_input_gives_the_crop_rule():
    rule = CardInput(size=160, crop=CropMode.WHOLE, ratio=1.2, upright_above=30.0).rule()
    assert (rule.mode, rule.size, rule.ratio, rule.upright_above) == (CropMode.WHOLE, 160, 1.2, 30.0)


@pytest.mark.parametrize(
    "curve",
    [
        [(0.1, 0.0), (0.05, 1.0)],
        [(0.01, 2.0), (0.05, 1.0), (0.1, 0.0)],
        [(0.1, 0.0), (0.05, 1.0), (0.01, 0.5)],
        [(0.1, 0.0), (0.05, 1.0), (0.05, 1.0), (0.01, 2.0)],
        [(0.1, 0.0), (0.05, 1.0), (0.01, 2.0), (0.0, 3.0)],
    ],
    ids=["no 1 %", "from strict to loose", "falling logits", "twice the same rate", "a rate of zero"],
)
def test_a_curve_that_cannot_be_read_is_refused(curve):
    with pytest.raises(pydantic.ValidationError, match="fpr"):
        calibration(fpr_curve=[{"fpr": fpr, "logit": logit} for fpr, logit in curve])


@pytest.mark.parametrize("changes", [{"temperature": 0.0}, {"temperature": -1.0}, {"band_below": -0.1}])
def test_numbers_that_make_no_sense_are_refused(changes):
    with pytest.raises(pydantic.ValidationError):
        calibration(**changes)


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_numbers_that_are_none_are_refused(tiny_card, number):
    text = tiny_card().model_dump_json().replace('"band_below":0.5', f'"band_below":{number}')
    assert number in text
    with pytest.raises(pydantic.ValidationError):
        Card.model_validate_json(text)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Upper", ".hidden", "a b"])
def test_a_name_is_plain_enough_for_a_folder(tiny_card, name):
    content = json.loads(tiny_card().model_dump_json()) | {"name": name}
    with pytest.raises(pydantic.ValidationError, match="name"):
        Card.model_validate(content)


def test_two_outputs_cannot_be_the_same(tiny_card):
    content = json.loads(tiny_card().model_dump_json())
    content["outputs"]["kind_logit"] = content["outputs"]["fake_logit"]
    with pytest.raises(pydantic.ValidationError, match="twice"):
        Card.model_validate(content)
