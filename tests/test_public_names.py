"""What ``import deepfake_detector`` gives, and what it costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deepfake_detector
from deepfake_detector.core.types import Report
from deepfake_detector.pipeline import Detector
from deepfake_detector.scoring.bundle import load_bundle

HEAVY = (
    "numpy",
    "onnxruntime",
    "onnx",
    "cv2",
    "pydantic",
    "PIL",
    "rich",
    "typer",
    "jinja2",
    "tensorflow",
    "keras",
    "httpx",
    "fastapi",
    "sqlalchemy",
)


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


@pytest.mark.parametrize("name", deepfake_detector.__all__)
def test_every_public_name_is_there(name):
    assert getattr(deepfake_detector, name) is not None


def test_the_names_lead_home():
    assert deepfake_detector.Detector is Detector
    assert deepfake_detector.Report is Report
    assert deepfake_detector.load_model is load_bundle


def test_there_are_no_other_names():
    assert dir(deepfake_detector) == sorted(deepfake_detector.__all__)
    for name in ("load_bundle", "Scorer", "nonsense"):
        with pytest.raises(AttributeError, match=name):
            getattr(deepfake_detector, name)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(deepfake_detector.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    shown = {alias.asname or alias.name for node in block.body for alias in node.names}
    assert shown == set(deepfake_detector.__all__) - {"__version__"}


def test_importing_the_package_imports_nothing_heavy():
    code = f"import sys, deepfake_detector; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(code) == "[]"


def test_importing_the_package_is_quick():
    # Seconds of this process on the processor, so that a busy machine does not count; the best of several.
    code = "import time; t = time.process_time(); import deepfake_detector; print(time.process_time() - t)"
    assert min(float(run(code)) for _ in range(5)) < 0.05


def test_a_star_import_gives_the_public_names():
    code = "from deepfake_detector import *; print(Verdict.FAKE, callable(load_model), Detector.__name__)"
    assert run(code) == "fake True Detector"


def test_analysis_does_not_import_the_training_side(tiny_bundle):
    code = (
        "import sys, numpy; from deepfake_detector import Detector; "
        f"Detector({str(tiny_bundle)!r}).analyze(numpy.zeros((64, 64, 3), 'uint8')); "
        "print([n for n in ('tensorflow', 'keras', 'sklearn', 'matplotlib', 'typer', 'rich') if n in sys.modules])"
    )
    assert run(code) == "[]"
