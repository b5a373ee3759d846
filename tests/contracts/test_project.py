"""What the project says of itself is true: licences, links, commands, samples."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from deepfake_detector.media.image import load_image

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("samples/*.md")])


def test_every_licence_file_that_ships_is_named_in_the_package_metadata():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license-files"]
    named = {path for pattern in patterns for path in ROOT.glob(pattern)}
    assert named == {ROOT / "LICENSE", *(ROOT / "src").rglob("LICENSE*")}


def test_every_model_file_that_ships_has_a_licence_beside_it():
    models = list((ROOT / "src").rglob("*.onnx"))
    assert models
    for model in models:
        assert list(model.parent.glob("LICENSE*")), model


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tour_names_files_that_exist():
    tour = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    source = ROOT / "src" / "deepfake_detector"
    for name in re.findall(r"`((?:cli|service|media|faces|scoring|verdict|report|training|core)/[\w./]*)`", tour):
        assert (source / name).exists(), name


def test_each_sample_is_listed_and_the_fakes_differ_from_the_photo_in_the_face_only():
    samples = ROOT / "samples"
    listed = set(re.findall(r"^\| `([\w.-]+)`", (samples / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
    pictures = {path.name: load_image(path).pixels.astype(int) for path in samples.glob("*.jpg")}
    assert set(pictures) == listed
    photo = pictures["astronaut.jpg"]
    for name in listed - {"astronaut.jpg", "rocket.jpg"}:
        change = np.abs(pictures[name] - photo)
        assert change[60:200, 170:280].mean() > 1.0, name
        assert change[300:].mean() < 0.5, name
