"""The checks behind ``deepfake doctor``; each says what it found and never raises."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from deepfake_detector._version import __version__
from deepfake_detector.core.errors import DeepfakeDetectorError

REQUIRED = {
    "numpy": "numpy",
    "pillow": "PIL",
    "opencv-python-headless": "cv2",
    "onnxruntime": "onnxruntime",
    "onnx": "onnx",
    "pydantic": "pydantic",
    "typer": "typer",
    "rich": "rich",
    "jinja2": "jinja2",
}
"""Distribution → the module that it brings."""

EXTRAS = {
    "train": {
        "tensorflow": "tensorflow",
        "keras": "keras",
        "tf2onnx": "tf2onnx",
        "scikit-learn": "sklearn",
        "scipy": "scipy",
        "matplotlib": "matplotlib",
        "seaborn": "seaborn",
        "pyyaml": "yaml",
        "imagehash": "imagehash",
        "tensorboard": "tensorboard",
    },
    "mlflow": {"mlflow-skinny": "mlflow", "sqlalchemy": "sqlalchemy", "alembic": "alembic"},
    "search": {"optuna": "optuna"},
    "cluster": {"ray": "ray"},
    "heic": {"pillow-heif": "pillow_heif"},
    "provenance": {"c2pa-python": "c2pa"},
    "video": {"av": "av"},
    "twins": {"ncnn": "ncnn"},
    "serve": {
        "fastapi": "fastapi",
        "uvicorn": "uvicorn",
        "httptools": "httptools",
        **({} if sys.platform == "win32" else {"uvloop": "uvloop"}),
        "python-multipart": "python_multipart",
        "pydantic-settings": "pydantic_settings",
        "sqlalchemy": "sqlalchemy",
        "alembic": "alembic",
        "prometheus-client": "prometheus_client",
    },
    "postgres": {"psycopg": "psycopg"},
    "client": {"httpx": "httpx"},
}
"""Extra → what it brings, as above."""

SELF_TEST_PICTURE = "selftest.jpg"
"""A cut of NASA's portrait of the astronaut Eileen Collins, public domain: one face."""

Status = Literal["ok", "missing", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """One line: a part, its status (``missing`` is no fault), what was found, and what to do about it."""

    part: str
    status: Status
    found: str
    fix: str | None = None


def all_checks(model: str | None) -> list[Check]:
    """Run all checks; the self-test uses ``model`` (a name, a folder, or None for the default)."""
    checks = [_machine(), *_packages(), *(_extra(name) for name in EXTRAS), *_shipped_models()]
    return [*checks, _guarded("face finder", _face_finder), _guarded("self-test", lambda: _self_test(model))]


def _machine() -> Check:
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count() or 1} CPUs"
    return Check("deepfake-detector", "ok", f"{__version__} on Python {platform.python_version()}, {system}")


def _packages() -> Iterator[Check]:
    for distribution, module in REQUIRED.items():
        if importlib.util.find_spec(module) is None:
            yield Check(distribution, "failed", "not installed", f"pip install {distribution}")
        else:
            yield Check(distribution, "ok", _version(distribution))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        # Another distribution brings the same module, such as opencv-python.
        return "installed by another package"


def _extra(name: str) -> Check:
    part = f"extra [{name}]"
    missing = [dist for dist, module in EXTRAS[name].items() if importlib.util.find_spec(module) is None]
    if missing:
        return Check(
            part, "missing", f"not installed: {', '.join(missing)}", f'pip install "deepfake-detector[{name}]"'
        )
    return Check(part, "ok", ", ".join(f"{dist} {_version(dist)}" for dist in EXTRAS[name]))


def _guarded(part: str, check: Callable[[], Check]) -> Check:
    """A check that fails with the error's own words."""
    try:
        return check()
    except Exception as error:
        said = isinstance(error, DeepfakeDetectorError)  # whose message says what to do
        fix = None if said else "install the package again"
        return Check(part, "failed", str(error) if said else f"{type(error).__name__}: {error}", fix)


def _shipped_models() -> Iterator[Check]:
    from deepfake_detector.scoring.bundle import load_bundle
    from deepfake_detector.scoring.shipped import DEFAULT_MODEL, SHIPPED

    if DEFAULT_MODEL not in SHIPPED:
        yield Check("default model", "failed", f"{DEFAULT_MODEL} does not ship with this version", "give --model DIR")
    for name in SHIPPED:

        def check(name: str = name) -> Check:
            card = load_bundle(name).card
            default = " (default)" if name == DEFAULT_MODEL else ""
            return Check(f"model {name}", "ok", f"{card.version}{default}, hashes right, weights: {card.license}")

        yield _guarded(f"model {name}", check)


def _self_test_picture() -> bytes:
    return files("deepfake_detector.cli").joinpath(SELF_TEST_PICTURE).read_bytes()


def _face_finder() -> Check:
    from deepfake_detector.faces.mtcnn import MtcnnFinder
    from deepfake_detector.media.image import load_image

    image = load_image(_self_test_picture()).pixels
    finder = MtcnnFinder()
    start = time.perf_counter()
    faces = finder.find(image)
    spent = (time.perf_counter() - start) * 1000.0
    if len(faces) != 1:
        return Check("face finder", "failed", f"found {len(faces)} faces where there is one", "install it again")
    return Check("face finder", "ok", f"found the face in {spent:.0f} ms")


def _self_test(model: str | None) -> Check:
    from deepfake_detector.pipeline import Detector

    detector = Detector(model)
    detector.analyze(_self_test_picture())  # the first one warms up
    start = time.perf_counter()
    report = detector.analyze(_self_test_picture())
    spent = (time.perf_counter() - start) * 1000.0
    name = f"{report.model.name} {report.model.version}"
    if report.p_fake is None:
        return Check("self-test", "failed", f"{name} gave no probability for a picture with a face")
    said = f"{report.verdict.value}, p(fake) {report.p_fake:.2f}"
    return Check("self-test", "ok", f"{name} answered in {spent:.0f} ms: {said} for a real photo")
