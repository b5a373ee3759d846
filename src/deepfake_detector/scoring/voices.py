"""What the voices of a network count for in clips, where other fakes are to be expected than in photos."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from deepfake_detector.core.types import Kind, Scores

RARER_IN_CLIPS = 20.0
"""In clips, faces are swapped or re-enacted; that a generator of stills made them is taken to be so much rarer.

What the voice for generated faces says of compressed frames is mostly chance, and the same for all clips of a person,
so that no pooling helps. The price: a clip that is made of generated stills needs so much more evidence."""


def heard_in_clips(scores: Scores, kinds: Sequence[Kind]) -> Scores:
    """The scores with the voice for generated faces lowered, and the fake logits (N,) that follow.

    ``kinds`` (V,) says what each voice speaks for; nothing changes where it is unknown, or where all speak for one.
    """
    if scores.voices is None or len(set(kinds)) < 2:
        return scores
    rarer = [math.log(RARER_IN_CLIPS) * (kind is Kind.GENERATED) for kind in kinds]
    voices = scores.voices - np.array(rarer, np.float32)
    return replace(scores, fake_logit=np.logaddexp.reduce(voices, axis=1), voices=voices)
