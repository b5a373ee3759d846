"""Drawn pictures with faces that are found without looking."""

import io

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.core.types import Box, DetectedFace, Failure, Landmarks
from deepfake_detector.pipeline import Detector
from deepfake_detector.scoring.bundle import load_bundle

COLOURS = {
    "red": (255, 40, 20),
    "pale": (150, 128, 128),
    "grey": (128, 128, 128),
    "blue": (20, 40, 255),
    "black": (0, 0, 0),
}
"""To the tiny model at 5 % false alarms: fake; fake if it is alone; uncertain; real; and no face to the finder."""


def _face_at(x, side=80.0):
    left, top = x + (100 - side) / 2, (100 - side) / 2
    marks = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    return DetectedFace(
        Box(left, top, side, side), Landmarks(*((left + side * u, top + side * v) for u, v in marks)), 0.9
    )


class _RowFinder:
    def find(self, image):
        starts = range(0, image.shape[1] - 99, 100)
        return tuple(_face_at(x) for x in starts if image[:100, x : x + 100].max() > 0)


def _picture(*colours, seed=0):
    noise = np.random.default_rng(seed).integers(-30, 31, (100, 100 * len(colours), 3))
    flat = np.repeat(np.array([COLOURS[colour] for colour in colours]), 100, axis=0)[None]
    return np.where(flat.sum(axis=2, keepdims=True) > 0, np.clip(flat + noise, 0, 255), 0).astype(np.uint8)


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def _without_times(outcome):
    if isinstance(outcome, Failure):
        return outcome
    faces = [(face.box, face.verdict, face.kind, pytest.approx(face.logit, abs=1e-5)) for face in outcome.faces]
    return (outcome.input, outcome.verdict, outcome.kind, outcome.decision, outcome.warnings, faces)


@pytest.fixture(scope="session")
def face_at():
    """``face_at(x, side=80)``: a face in the middle of the square of 100 pixels that begins at x."""
    return _face_at


@pytest.fixture(scope="session")
def row_finder():
    """Finds one face in the middle of each square of 100 pixels, from left to right, but none in black ones."""
    return _RowFinder()


@pytest.fixture(scope="session")
def picture():
    """``picture("red", "blue")``: a row of noisy squares that pass for sharp and bright faces."""
    return _picture


@pytest.fixture(scope="session")
def png():
    """``png(array)``: the bytes of a PNG file."""
    return _png


@pytest.fixture(scope="session")
def without_times():
    """``without_times(outcome)``: what must be equal from run to run, to compare with ``==``."""
    return _without_times


@pytest.fixture(scope="session")
def bundle(tiny_bundle):
    return load_bundle(tiny_bundle)


@pytest.fixture(scope="session")
def detector(bundle, row_finder):
    return Detector(bundle, AnalysisSettings(threads=1), finder=row_finder)


@pytest.fixture(scope="session")
def real_detector(tiny_bundle):
    return Detector(tiny_bundle)


@pytest.fixture(scope="session")
def clip():
    """``clip([frame, …], fps=10)``: the bytes of an MP4 file with these RGB frames, whose sides must be even."""
    import av

    def _clip(frames, fps=10):
        file = io.BytesIO()
        with av.open(file, "w", format="mp4") as out:
            height, width = frames[0].shape[:2]
            stream = out.add_stream("libx264", rate=fps, width=width, height=height, pix_fmt="yuv444p")
            stream.options = {"crf": "0", "preset": "ultrafast"}
            for pixels in frames:
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            out.mux(stream.encode(None))
        return file.getvalue()

    return _clip
