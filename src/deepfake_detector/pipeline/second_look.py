"""Looks for doubts about an answer beside the band: a face unlike those that the model knows, an unstable answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.types import DetectedFace, Doubt, ImageArray, Scores
from deepfake_detector.faces.align import Window, changed_crops, crop_matrix, cut_window
from deepfake_detector.media.reencode import LIGHT
from deepfake_detector.scoring.calibration import Logits, calibrated_logit
from deepfake_detector.scoring.scorer import Scorer
from deepfake_detector.verdict.decide import Bounds, near_above


class SecondLook:
    """Knows which doubts count, those of the model's card and ``more``; any number of threads may use one at once.

    Raises ConfigError if far faces are asked for, and the model cannot tell them.
    """

    def __init__(self, scorer: Scorer, more: Sequence[Doubt] = ()) -> None:
        card = scorer.bundle.card
        self._scorer = scorer
        self._rule = card.input.rule()
        self.looked_for = card.doubts.looked_for(more)
        if Doubt.FAR in self.looked_for and card.doubts.far is None:
            raise ConfigError(f"the model {card.name} {card.version} cannot tell how far a face is from those it knows")
        self._limit = card.doubts.far.limit if card.doubts.far and Doubt.FAR in self.looked_for else None
        self._saves_again = Doubt.UNSTABLE in self.looked_for

    def keep(self, image: ImageArray, faces: Sequence[DetectedFace]) -> tuple[Window, ...]:
        """What a second look needs of a picture's pixels when these are let go."""
        if not self._saves_again:
            return ()
        size = self._rule.size
        return tuple(
            cut_window(image, crop_matrix(image, face.box, face.landmarks, self._rule), size) for face in faces
        )

    def doubts(
        self, scores: Scores, logits: Logits, windows: Sequence[Window], bounds: Bounds
    ) -> list[tuple[Doubt, ...]]:
        """The doubts about each of N faces, with their calibrated logits (N,) and what ``keep`` gave."""
        far = np.zeros(len(logits), bool)
        if self._limit is not None and scores.distance is not None:
            # Far from all that is known, no known trace can be expected; a fake's trace counts wherever it is found.
            far = ~(scores.distance <= self._limit) & (logits < bounds.fake_from)
        unstable = np.zeros(len(logits), bool)
        for place, cut in enumerate(windows):
            if near_above(float(logits[place]), bounds):
                unstable[place] = bool((self._saved_again(cut) < bounds.fake_from).any())
        pairs = ((Doubt.FAR, far), (Doubt.UNSTABLE, unstable))
        return [tuple(doubt for doubt, found in pairs if found[place]) for place in range(len(logits))]

    def _saved_again(self, cut: Window) -> Logits:
        crops = changed_crops(cut, self._rule.size, LIGHT.values())
        return calibrated_logit(self._scorer.score(crops).fake_logit, self._scorer.bundle.card.calibration)
