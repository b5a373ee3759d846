"""Fixtures that tests of several packages share."""

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """NASA's portrait of Eileen Collins (public domain): uint8 RGB, 512 × 512, one frontal face."""
    from skimage.data import astronaut

    return astronaut()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The face sets that lie beside the checkout; tests that use them are marked ``shared_data``."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "manifest.csv").is_file():
        pytest.skip("the face sets are not beside this checkout")
    return folder
