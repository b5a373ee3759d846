"""Contact sheets: what they show is what the loader feeds, and a seed repeats them."""

import cv2
import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import DataError
from deepfake_detector.core.types import Box, CropRule, Landmarks
from deepfake_detector.faces.mesh import FaceMesh
from deepfake_detector.training.data.crops import CachedCrop
from deepfake_detector.training.data.dataloader import CropLoader
from deepfake_detector.training.data.preview import Cell, augmented_cells, preview, sheet, synthesised_cells
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.data.synthesize import SynthesisConfig
from deepfake_detector.training.data.synthetic import SyntheticConfig, SyntheticFakes

RULE = CropRule(size=96)


@pytest.fixture(scope="module")
def faces(astronaut, tmp_path_factory):
    """Two crops of one face, the second mirrored and darker, and their meshes."""
    folder = tmp_path_factory.mktemp("crops")
    left, top, box = 120, 20, Box(53.0, 45.0, 105.0, 125.0)
    marks = Landmarks((85, 90), (127, 88), (107, 115), (88, 132), (128, 130))
    cut = np.ascontiguousarray(astronaut[top : top + 220, left : left + 220])
    crops, meshes = [], {}
    mesh, confidence = FaceMesh(1).points(cut, box, marks)
    assert confidence > 0.9
    for name, pixels in (("a", cut), ("b", np.clip(cut.astype(int) - 30, 0, 255).astype(np.uint8))):
        file = folder / f"{name}.png"
        cv2.imwrite(str(file), pixels[..., ::-1])
        sample = Sample(file, Label.REAL, set="photos")
        crops.append(CachedCrop(file, sample, box, marks, False, 220, 220))
        meshes[file] = mesh
    return crops, meshes


def test_a_row_shows_photo_partner_fake_mask_and_difference(faces):
    crops, meshes = faces
    synthetic = SyntheticFakes(crops, meshes, SyntheticConfig(recipes=SynthesisConfig(part_swap=0)))
    cells = synthesised_cells(crops, RULE, synthetic, (3, 2))
    assert [cell.lines for cell in cells[2::5]] == [("fake", "self_blend")] * 2 + [("fake", "swap")] * 2
    for photo, partner, fake, mask, difference in zip(*(cells[column::5] for column in range(5)), strict=True):
        assert {cell.pixels.shape for cell in (photo, partner, fake, mask, difference)} == {(96, 96, 3)}
        assert photo.lines == ("photos", "photo, face 105 px")
        outside = mask.pixels[..., 0] == 0
        assert not difference.pixels[outside & (cv2.dilate(mask.pixels, np.ones((5, 5)))[..., 0] == 0)].any()
        assert difference.pixels.max() > 20
        assert np.abs(fake.pixels.astype(int) - partner.pixels).max() > 5
    again = synthesised_cells(crops, RULE, synthetic, (3, 2))
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(cells, again, strict=True))
    other = synthesised_cells(crops, RULE, synthetic, (4, 2))
    assert any(not np.array_equal(one.pixels, two.pixels) for one, two in zip(cells, other, strict=True))


def test_crops_are_those_of_the_loader(faces):
    crops, meshes = faces
    loader = CropLoader(crops, RULE, synthetic=SyntheticFakes(crops, meshes))
    order = loader.indices(0).tolist()
    fakes = list(augmented_cells(loader, Label.FAKE, 5))
    assert [cell.lines for cell in fakes] == [("photos+synthetic", "synthetic")] * 2
    places = [place for place, index in enumerate(order) if index >= 2]
    for cell, place in zip(fakes, places, strict=True):
        assert np.array_equal(cell.pixels, loader.example(order[place], 0, place))
    assert len(list(augmented_cells(loader, Label.REAL, 1))) == 1


def test_a_sheet_keeps_the_pixels_and_writes_under_them():
    red, blue = np.full((20, 40, 3), (255, 0, 0), np.uint8), np.full((20, 40, 3), (0, 0, 255), np.uint8)
    page = sheet([Cell(red, ("one", "a line that is much too long for it")), Cell(blue, ("two",)), Cell(red, ())], 2)
    assert page.shape == (2 * (20 + 34 + 6) + 6, 2 * 46 + 6, 3)
    assert np.array_equal(page[6:26, 6:46], red)
    assert np.array_equal(page[6:26, 52:92], blue)
    assert np.array_equal(page[66:86, 6:46], red)
    assert (page[27:60, 6:46].min(axis=2) < 100).any()
    assert (page[66:86, 52:] == 255).all()
    with pytest.raises(DataError, match="nothing to show"):
        sheet([], 2)


def test_sheets_of_a_config_repeat_with_its_seed(tiny_settings, tmp_path):
    config = tiny_settings("preview")
    written = preview(config, tmp_path / "one", rows=1)
    assert [file.name for file in written] == ["reals.png", "fakes.png"]
    again = preview(config, tmp_path / "two", rows=1)
    assert [file.read_bytes() for file in written] == [file.read_bytes() for file in again]
    other = preview(config.model_copy(update={"seed": 4}), tmp_path / "three", rows=1)
    assert written[0].read_bytes() != other[0].read_bytes()
    with Image.open(written[1]) as page:
        assert page.size == (8 * 70 + 6, 64 + 34 + 6 + 6)
