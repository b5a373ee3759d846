"""What is measured from frame to frame reaches the report, and a temporal model speaks for the person."""

import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError, ModelSchemaError
from deepfake_detector.core.settings import AnalysisSettings, OwnThreshold
from deepfake_detector.core.types import OperatingPoint, Verdict
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.pipeline import Detector
from deepfake_detector.scoring.card import Calibration, FprPoint
from deepfake_detector.scoring.sequence import (
    FAKE_CHANNEL,
    OWN_CHANNELS,
    SequenceCard,
    frame_rows,
    write_sequence_bundle,
)

FEATURES = 3  # of the tiny model


def sequence_model():
    """ONNX: how far the fake logit swings, less 2; a swing of more than 2 is a fake, whatever the mean."""
    from onnx import TensorProto, helper, numpy_helper

    node, info = helper.make_node, helper.make_tensor_value_info
    constants = {
        "axis": np.array([1], np.int64),
        "channel": np.array(FAKE_CHANNEL, np.int64),
        "two": np.float32(2.0),
    }
    nodes = [
        node("Gather", ["frames", "channel"], ["logits"], axis=2),
        node("ReduceMax", ["logits"], ["highest"], axes=[1], keepdims=0),
        node("ReduceMin", ["logits"], ["lowest"], axes=[1], keepdims=0),
        node("Sub", ["highest", "lowest"], ["swing"]),
        node("Sub", ["swing", "two"], ["fake_logit"]),
    ]
    graph = helper.make_graph(
        nodes,
        "swing",
        [info("frames", TensorProto.FLOAT, ["N", "T", OWN_CHANNELS + FEATURES])],
        [info("fake_logit", TensorProto.FLOAT, ["N"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@pytest.fixture
def temporal(tmp_path, bundle):
    """``temporal(frame_model=…)``: the folder of a temporal model whose threshold is 0."""

    def make(frame_model=bundle.card.onnx_sha256):
        card = SequenceCard(
            name="swing",
            version="1",
            created="2024-01-01T00:00:00Z",
            description="for tests",
            architecture="swing",
            onnx_sha256="0" * 64,
            frame_model_sha256=frame_model,
            channels=OWN_CHANNELS + FEATURES,
            calibration=Calibration(
                temperature=1.0,
                fpr_curve=tuple(FprPoint(fpr=fpr, logit=0.0) for fpr in (0.1, 0.05, 0.01)),
                band_below=0.5,
                out_of_source=False,
                fitted_on="nothing",
            ),
            data=(),
            data_fingerprint="0" * 64,
            license="MIT",
            limits=(),
        )
        return write_sequence_bundle(tmp_path / f"temporal-{frame_model[:4]}", sequence_model(), card)

    return make


def report_of(detector, source):
    *_, report = detector.analyze_video(source, Sampling(every=1))
    return report


def shifted(image, amounts):
    """A clip of one picture, frame by frame by so much redder (and less blue)."""
    return [np.clip(image + np.array([1, 0, -1]) * amount, 0, 255).astype(np.uint8) for amount in amounts]


def test_curves_of_all_signals_reach_the_person(detector, clip, picture):
    (person,) = report_of(detector, clip(shifted(picture("grey"), [0, 1, 0, 1, 0]))).persons
    found = {curve.name: curve for curve in person.curves}
    assert list(found) == [
        "score_flicker", "feature_flicker", "landmark_jitter", "inner_unrest", "border_jitter", "identity_drift",
    ]  # fmt: skip
    assert found["score_flicker"].times == pytest.approx([0.1, 0.2, 0.3])
    assert found["inner_unrest"].times == pytest.approx([0.0, 0.1, 0.2, 0.3])  # the last frame has no next one
    assert found["landmark_jitter"].values == pytest.approx([0.0] * 3, abs=1e-6)


def test_a_face_that_is_painted_anew_each_time_is_restless_and_its_score_flickers(detector, clip, picture):
    still = picture("grey")
    flickering = []
    for step in range(6):
        frame = still.copy()
        frame[35:70, 35:66] = np.clip(still[35:70, 35:66].astype(int) + (step % 2) * np.array([60, 0, -60]), 0, 255)
        flickering.append(frame)
    noise = np.random.default_rng(3).integers(-3, 4, (6, *still.shape))
    calm = [np.clip(still.astype(int) + one, 0, 255).astype(np.uint8) for one in noise]
    means = [
        {curve.name: np.mean(curve.values) for curve in report_of(detector, clip(frames)).persons[0].curves}
        for frames in (calm, flickering)
    ]
    for name in ("score_flicker", "inner_unrest"):
        assert means[1][name] > 3.0 * max(abs(means[0][name]), 0.05), name


def test_a_temporal_model_speaks_in_the_place_of_pooling(bundle, row_finder, detector, temporal, clip, picture):
    settings = AnalysisSettings(threads=1, temporal_model=temporal())
    asked = Detector(bundle, settings, finder=row_finder)
    steady = clip(shifted(picture("grey"), [1, 2] * 6))
    swinging = clip(shifted(picture("grey"), np.linspace(-40, 40, 12).astype(int)))
    assert [report_of(one, steady).verdict for one in (detector, asked)] == [Verdict.UNCERTAIN, Verdict.REAL]
    red = clip(shifted(picture("red"), [0, -1] * 6))
    assert report_of(asked, red).verdict is Verdict.UNCERTAIN  # real as a whole, though each frame looks fake
    report = report_of(asked, swinging)
    assert report.verdict is Verdict.FAKE
    (person,) = report.persons
    assert person.pooling == "temporal model swing"
    logits = frame_rows(person.observations)[:, FAKE_CHANNEL]
    assert person.face.logit == pytest.approx(np.ptp(logits) - 2.0, abs=1e-4)
    assert frame_rows(person.observations).shape == (12, OWN_CHANNELS + FEATURES)


def test_a_temporal_model_of_another_frame_model_is_refused(bundle, temporal):
    with pytest.raises(ModelSchemaError, match="was trained on the frame model"):
        Detector(bundle, AnalysisSettings(temporal_model=temporal("e" * 64)))


def test_a_temporal_model_and_a_threshold_of_ones_own_do_not_go_together(tmp_path):
    own = OwnThreshold(fpr=0.05, logit=1.0, photos=100, model_sha256="0" * 64, model_version="1")
    with pytest.raises(ConfigError, match="leave one out"):
        AnalysisSettings(OperatingPoint.OWN, own_threshold=own, temporal_model=tmp_path)
