"""The network learns what plain pooling misses, and adds nothing where there is nothing to learn."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from deepfake_detector.core.errors import ExportError
from deepfake_detector.core.onnx import open_session, refuse_unsafe
from deepfake_detector.scoring.sequence import FAKE_CHANNEL, INPUT, OUTPUT
from deepfake_detector.training.data.samples import Label, Sample
from deepfake_detector.training.video.clips import Clip
from deepfake_detector.training.video.config import Net, SequenceModelConfig, SequencePhase
from deepfake_detector.training.video.export import check_sequence_parity, sequence_to_onnx
from deepfake_detector.training.video.fit import clip_logits, compiled, fit_sequences, windows
from deepfake_detector.training.video.network import build_network

CHANNELS = 6
PHASE = SequencePhase(epochs=20, window=8, lr=0.03, patience=20)


def drawn(number, seed, flicker=4.0):
    """Clips of nine or eleven frames; a channel of the fakes swings, the frame logits say nothing."""
    rng = np.random.default_rng(seed)
    clips = []
    for index in range(number):
        rows = rng.normal(0.0, 1.0, (9 + 2 * int(rng.integers(2)), CHANNELS)).astype(np.float32)
        if index % 2:
            rows[:, 4] += np.where(np.arange(len(rows)) % 2, flicker, -flicker)
        clips.append(Clip(Sample(Path(f"{index}.mp4"), Label(index % 2)), rows))
    return clips


def network(net=Net.CONV):
    import keras

    keras.utils.set_random_seed(1)
    return build_network(SequenceModelConfig(net=net, units=8, dropout=0.1), CHANNELS)


@pytest.mark.parametrize("net", list(Net))
def test_it_begins_as_the_mean_of_the_frame_logits(net):
    clips = drawn(6, 0)
    expected = [clip.rows[:, FAKE_CHANNEL].mean() for clip in clips]
    np.testing.assert_allclose(clip_logits(compiled(network(net)), clips), expected, atol=1e-5)


@pytest.mark.parametrize("net", list(Net))
def test_it_learns_flicker_and_onnx_answers_the_same_for_any_length(net):
    model, train, val = network(net), drawn(64, 1), drawn(40, 2)
    fitted = fit_sequences(model, train, val, PHASE, seed=0)
    assert roc_auc_score(fitted.labels, fitted.logits) > 0.9
    assert fitted.loss < 0.7 * fitted.loss_before
    np.testing.assert_allclose(clip_logits(compiled(model), val), fitted.logits, atol=1e-5)  # the best weights are back

    exported = sequence_to_onnx(model)
    refuse_unsafe(exported, "the export")
    assert check_sequence_parity(model, exported, val[:8]) < 1e-4
    session = open_session(exported, "the export")
    for length in (1, 3, 40):
        (answer,) = session.run([OUTPUT], {INPUT: np.zeros((1, length, CHANNELS), np.float32)})
        assert np.isfinite(answer).all()


def test_nothing_to_learn_leaves_plain_pooling():
    model, val = network(), drawn(30, 4, flicker=0.0)
    phase = SequencePhase(epochs=6, window=8, lr=0.05, patience=6, weight_decay=0.0)
    fitted = fit_sequences(model, drawn(10, 3, flicker=0.0), val, phase, seed=0)
    assert fitted.loss <= fitted.loss_before
    if fitted.epoch == 0:
        np.testing.assert_allclose(fitted.logits, [clip.rows[:, 0].mean() for clip in val], atol=1e-5)


def test_other_weights_are_noticed():
    exported = sequence_to_onnx(network())
    other = network()
    other.get_layer("added").set_weights([np.ones((8, 1), np.float32), np.ones(1, np.float32)])
    with pytest.raises(ExportError, match="differ by"):
        check_sequence_parity(other, exported, drawn(2, 0))


def test_windows_are_stretches_and_short_clips_go_there_and_back():
    rows = np.arange(12, dtype=np.float32)[:, None].repeat(CHANNELS, axis=1)
    long = Clip(Sample(Path("a.mp4"), Label.REAL), rows)
    short = Clip(Sample(Path("b.mp4"), Label.REAL), rows[:3])
    shown = windows([long, short], 6, np.random.default_rng(0))
    assert shown.shape == (2, 6, CHANNELS)
    assert np.diff(shown[0, :, 0]).tolist() == [1.0] * 5
    assert shown[1, :, 0].tolist() == [0.0, 1.0, 2.0, 1.0, 0.0, 1.0]
