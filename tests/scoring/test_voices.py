"""In clips the voice for generated faces counts for less, and the other one for as much as in photos."""

import numpy as np
import pytest

from deepfake_detector.core.types import Kind, Scores
from deepfake_detector.scoring.bundle import load_bundle
from deepfake_detector.scoring.card import Card
from deepfake_detector.scoring.voices import RARER_IN_CLIPS, heard_in_clips

BOTH = (Kind.GENERATED, Kind.MANIPULATED)


def scores(voices):
    values = np.array(voices, np.float32)
    return Scores(np.logaddexp.reduce(values, axis=1), voices=values)


def test_only_the_voice_for_generated_faces_is_lowered():
    heard = heard_in_clips(scores([[3.0, -2.0], [-6.0, 1.5]]), BOTH)
    lower = np.log(RARER_IN_CLIPS)
    np.testing.assert_allclose(heard.voices, [[3.0 - lower, -2.0], [-6.0 - lower, 1.5]], rtol=1e-5)
    np.testing.assert_allclose(heard.fake_logit, np.logaddexp.reduce(heard.voices, axis=1), rtol=1e-6)
    assert heard.fake_logit.dtype == np.float32
    assert heard.fake_logit[1] == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize("kinds", [(), (Kind.GENERATED,), (Kind.MANIPULATED, Kind.MANIPULATED)])
def test_nothing_changes_where_the_voices_are_unknown_or_of_one_kind(kinds):
    said = scores([[3.0, -2.0]])
    assert heard_in_clips(said, kinds) is said
    assert heard_in_clips(Scores(np.zeros(2, np.float32)), BOTH).voices is None


def test_the_shipped_card_names_its_voices_and_no_card_names_voices_that_are_not_there():
    card = load_bundle(None).card
    assert card.voice_kinds == BOTH
    content = card.model_dump()
    content["outputs"]["voices"] = None
    with pytest.raises(ValueError, match="names no output voices"):
        Card.model_validate(content)
