"""Fixtures that tests of several packages share."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from deepfake_detector.core.types import CropMode
from deepfake_detector.scoring.bundle import HASH_TO_BE_SET, write_bundle
from deepfake_detector.scoring.card import Calibration, Card, CardInput, CardOutputs, DataSet, FprPoint

# The same examples on every machine, however busy it is.
settings.register_profile("house", deadline=None, derandomize=True)
settings.load_profile("house")


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


def _tiny_model(size: int = 32) -> bytes:
    """An ONNX network of four numbers: uint8 (N, size, size, 3) in; cam, features and both logits out.

    Red speaks for fake and blue against it, green for generated; the features are the mean colour, 0–1.
    """
    from onnx import TensorProto, checker, helper, numpy_helper

    cells = size // 8
    constants = {
        "scale": np.float32(1 / 255),
        "fake_weights": np.array([[8.0], [0.0], [-8.0]], np.float32),
        "fake_bias": np.float32(0.5),
        "kind_weights": np.array([[-4.0], [4.0], [0.0]], np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        node("Mul", ["numbers", "scale"], ["scaled"]),
        node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        node("AveragePool", ["planes"], ["pooled"], kernel_shape=[8, 8], strides=[8, 8]),
        node("Transpose", ["pooled"], ["map"], perm=[0, 2, 3, 1]),
        node("ReduceMean", ["map"], ["features"], axes=[1, 2], keepdims=0),
        node("MatMul", ["map", "fake_weights"], ["cells"]),
        node("ReduceMax", ["cells"], ["cam"], axes=[3], keepdims=0),
        node("ReduceMean", ["cam"], ["evidence"], axes=[1, 2], keepdims=0),
        node("Add", ["evidence", "fake_bias"], ["fake_logit"]),
        node("MatMul", ["features", "kind_weights"], ["kinds"]),
        node("ReduceMax", ["kinds"], ["kind_logit"], axes=[1], keepdims=0),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "tiny",
        [info("image", TensorProto.UINT8, ["N", size, size, 3])],
        [
            info("fake_logit", TensorProto.FLOAT, ["N"]),
            info("kind_logit", TensorProto.FLOAT, ["N"]),
            info("cam", TensorProto.FLOAT, ["N", cells, cells]),
            info("features", TensorProto.FLOAT, ["N", 3]),
        ],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return model.SerializeToString()


def _tiny_card(size: int = 32, crop: CropMode = CropMode.FACE) -> Card:
    """The card of the tiny model; a single face is real below 0.5, uncertain, and fake from 1.0 on (at 5 % FPR)."""
    return Card(
        name="tiny",
        version="0.0.1",
        created="2024-01-01T00:00:00Z",
        description="Looks at the mean colour; for tests.",
        architecture="mean colour",
        onnx_sha256=HASH_TO_BE_SET,
        input=CardInput(size=size, crop=crop, ratio=1.1),
        outputs=CardOutputs(kind_logit="kind_logit", cam="cam", features="features"),
        calibration=Calibration(
            temperature=1.0,
            fpr_curve=(
                FprPoint(fpr=0.1, logit=0.7),
                FprPoint(fpr=0.05, logit=1.0),
                FprPoint(fpr=0.01, logit=2.0),
            ),
            band_below=0.5,
            out_of_source=True,
            fitted_on="nothing: made for tests",
        ),
        data=(DataSet(name="none", real=0, fake=0, terms="none"),),
        data_fingerprint="0" * 64,
        license="MIT",
        limits=("It knows nothing about fakes.",),
    )


@pytest.fixture(scope="session")
def tiny_model() -> Callable[..., bytes]:
    """``tiny_model(size=32)``: the bytes of an ONNX file that a bundle may hold."""
    return _tiny_model


@pytest.fixture(scope="session")
def tiny_card() -> Callable[..., Card]:
    """``tiny_card(size=32, crop=CropMode.FACE)``: its card, whose hash ``write_bundle`` sets."""
    return _tiny_card


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a valid bundle (face crops, 32 px) that answers in microseconds."""
    return write_bundle(tmp_path_factory.mktemp("models") / "tiny", _tiny_model(), _tiny_card())


@pytest.fixture(scope="session")
def tiny_whole_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for whole pictures."""
    folder = tmp_path_factory.mktemp("models") / "tiny-whole"
    return write_bundle(folder, _tiny_model(), _tiny_card(crop=CropMode.WHOLE))
