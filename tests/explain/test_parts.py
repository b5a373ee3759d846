import numpy as np
import pytest

from deepfake_detector.core.explanation import FacePart
from deepfake_detector.explain.parts import PARTS, part_labels, part_shares


def test_every_part_of_a_real_face_is_where_it_belongs(astronaut_labels):
    assert astronaut_labels.shape == (224, 224)
    assert set(np.unique(astronaut_labels)) == set(range(len(PARTS)))

    def middle(part):
        return np.argwhere(astronaut_labels == PARTS.index(part)).mean(axis=0)

    eyes, nose, mouth = middle(FacePart.EYES), middle(FacePart.NOSE), middle(FacePart.MOUTH)
    assert eyes[0] < nose[0] < mouth[0]
    assert nose[1] == pytest.approx(mouth[1], abs=20)
    assert astronaut_labels[0, 0] == PARTS.index(FacePart.BACKGROUND)


def test_shares_add_up_and_follow_the_map(astronaut_labels):
    values = np.zeros((7, 7), np.float32)
    rows, columns = np.nonzero(astronaut_labels == PARTS.index(FacePart.MOUTH))
    values[int(rows.mean() // 32), int(columns.mean() // 32)] = 3.0
    shares = {share.part: share for share in part_shares(values, astronaut_labels)}
    assert list(shares) == list(PARTS)
    assert sum(share.evidence for share in shares.values()) == pytest.approx(1.0)
    assert sum(share.area for share in shares.values()) == pytest.approx(1.0)
    assert shares[FacePart.MOUTH].evidence > 3 * shares[FacePart.MOUTH].area
    assert shares[FacePart.EYES].evidence == 0.0


def test_an_even_map_gives_each_part_its_area(astronaut_labels):
    for share in part_shares(np.full((7, 7), 2.0, np.float32), astronaut_labels):
        assert share.evidence == pytest.approx(share.area, abs=1e-6)


def test_what_speaks_for_real_is_no_evidence_for_fake(astronaut_labels):
    values = np.full((7, 7), -1.0, np.float32)
    assert part_shares(values, astronaut_labels) == ()
    values[3, 3] = 1.0
    assert sum(share.evidence for share in part_shares(values, astronaut_labels)) == pytest.approx(1.0)


def test_a_face_partly_outside_of_its_crop_still_has_parts(astronaut_crop):
    moved = {name: np.add(points, (150.0, -60.0), dtype=np.float32) for name, points in astronaut_crop[1].items()}
    labels = part_labels(moved, 224)
    assert labels.shape == (224, 224)
    assert (labels == PARTS.index(FacePart.BACKGROUND)).mean() > 0.3
