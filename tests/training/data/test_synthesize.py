"""Synthesised fakes: where they differ from their partner, that a seed repeats them, and that every recipe works."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from deepfake_detector.core.types import Box, Landmarks
from deepfake_detector.faces.mesh import MESH_POINTS, REGIONS, FaceMesh
from deepfake_detector.training.data.synthesize import (
    _MOVES,
    RECIPES,
    MeshedFace,
    SynthesisConfig,
    _with_expression,
    likeness,
    similar_partner,
    synthesize,
)


@pytest.fixture(scope="module")
def face(astronaut):
    eyes_nose_mouth = Landmarks((205, 110), (247, 108), (227, 135), (208, 152), (248, 150))
    mesh, confidence = FaceMesh(1).points(astronaut, Box(173, 65, 105, 125), eyes_nose_mouth)
    assert confidence > 0.9
    left, top = 120, 20
    cut = np.ascontiguousarray(astronaut[top : top + 220, left : left + 220])
    return MeshedFace(cut, mesh - np.float32([left, top]))


@pytest.fixture(scope="module")
def partner(face):
    mirrored = np.ascontiguousarray(face.pixels[:, ::-1])
    noisy = np.clip(cv2.GaussianBlur(mirrored, (0, 0), 1.0).astype(np.int16) - 25, 0, 255).astype(np.uint8)
    mesh = face.mesh + np.float32([6.0, -4.0])
    mesh[list(REGIONS["mouth"])] += np.float32([0.0, 5.0])
    return MeshedFace(noisy, mesh)


def test_mesh_lies_on_the_face(face):
    assert face.mesh.shape == (MESH_POINTS, 2)
    eyes, mouth = face.mesh[[33, 263]].mean(axis=0), face.mesh[[61, 291]].mean(axis=0)
    assert abs(eyes[0] - (226 - 120)) < 6
    assert abs(eyes[1] - (101 - 20)) < 5
    assert abs(mouth[1] - (141 - 20)) < 5


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_alters_inside_its_mask_only(face, partner, name):
    for seed in range(12):
        made = RECIPES[name](face, partner, np.random.default_rng(seed))
        assert made.pixels.dtype == np.uint8
        assert made.pixels.shape == made.partner.shape == face.pixels.shape
        assert made.mask.shape == face.pixels.shape[:2]
        assert 0.0 <= float(made.mask.min()) <= float(made.mask.max()) <= 1.0 + 1e-6
        difference = np.abs(made.pixels.astype(int) - made.partner).max(axis=-1)
        assert difference[made.mask < 1e-4].max(initial=0) <= 1
        assert difference[made.mask > 0.3].max(initial=0) > 8


@pytest.mark.parametrize("name", RECIPES)
def test_same_seed_same_fake(face, partner, name):
    first, again, other = (RECIPES[name](face, partner, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.pixels, again.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_masks_stay_on_the_face(face, partner):
    height, width = face.pixels.shape[:2]
    rng = np.random.default_rng(0)
    corners = [RECIPES["self_blend"](face, partner, rng).mask[[0, 0, -1, -1], [0, -1, 0, -1]].max() for _ in range(20)]
    assert np.median(corners) < 0.01
    middle = face.mesh.mean(axis=0).astype(int)
    assert 0 < middle[0] < width
    assert 0 < middle[1] < height


def test_shares_choose_the_recipe(face, partner):
    rng = np.random.default_rng(1)
    only_parts = SynthesisConfig(self_blend=0, swap=0, part_swap=1)
    assert {synthesize(face, partner, only_parts, rng).method for _ in range(5)} == {"part_swap"}
    all_alike = SynthesisConfig(**dict.fromkeys(RECIPES, 1.0))
    assert {synthesize(face, partner, all_alike, rng).method for _ in range(40)} == set(RECIPES)
    with pytest.raises(ValueError, match="share 0"):
        synthesize(face, partner, SynthesisConfig(self_blend=0, swap=0, part_swap=0), rng)


def test_similar_partner_ignores_position_and_size(face):
    wanted = likeness(face)
    stretched = replace(wanted, shape=likeness(MeshedFace(face.pixels, face.mesh * np.float32([1.3, 0.8]))).shape)
    larger = replace(wanted, shape=likeness(MeshedFace(face.pixels, face.mesh * 2 + 30)).shape)
    assert similar_partner(wanted, [stretched, larger]) == 1


def test_similar_partner_has_the_same_skin_and_light(face):
    dark = likeness(MeshedFace(face.pixels // 3, face.mesh))
    warm = np.clip(face.pixels * np.array([1.05, 1.0, 0.97]), 0, 255).astype(np.uint8)
    warmer = likeness(MeshedFace(warm, face.mesh))
    assert similar_partner(likeness(face), [dark, warmer]) == 1


def test_a_reenacted_face_opens_its_mouth_as_the_other_one_does(face):
    lower = [17, 84, 314]  # of the lower lip
    other = face.mesh.copy()
    other[list(REGIONS["mouth"])] += np.float32([0.0, 3.0])
    other[lower] += np.float32([0.0, 6.0])
    elsewhere = other * 1.5 + np.float32([40.0, -25.0])
    moved = _with_expression(face.mesh, elsewhere, 1.0)
    assert np.abs(moved[lower] - other[lower]).max() < 0.1
    still = sorted(set(range(MESH_POINTS)) - {i for name in _MOVES for i in REGIONS[name]})
    assert np.array_equal(moved[still], face.mesh[still])
    halfway = _with_expression(face.mesh, elsewhere, 0.5)
    assert np.abs(halfway[lower] - (face.mesh[lower] + other[lower]) / 2).max() < 0.1
