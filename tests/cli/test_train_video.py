"""From folders of clips to a temporal model that `Detector` uses, with real files and no stand-ins but the network."""

import av
import numpy as np
import pytest

from deepfake_detector.cli.main import main
from deepfake_detector.core.settings import AnalysisSettings
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.pipeline import Detector
from deepfake_detector.scoring.sequence import OWN_CHANNELS, frame_rows, load_sequence_bundle

# A network is really trained; seconds on a quiet machine.
pytestmark = pytest.mark.timeout(900)

SIDE, FRAMES = 48, 6


def write_clip(path, fake, rng):
    """A noisy grey clip; the fakes are redder in every second frame and as much bluer in the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, width=SIDE, height=SIDE, pix_fmt="yuv444p")
        stream.options = {"crf": "0", "preset": "ultrafast"}
        for step in range(FRAMES):
            pixels = rng.integers(100, 156, (SIDE, SIDE, 3)) + rng.integers(-6, 7)
            if fake:
                pixels = pixels + np.array([1, 0, -1]) * (30 if step % 2 else -30)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")))
        out.mux(stream.encode(None))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for split, number in (("Train", 16), ("Validation", 20)):
        for label in ("Real", "Fake"):
            for index in range(number):
                write_clip(root / split / label / f"{index:02d}.mp4", label == "Fake", rng)
    return root


def test_from_folders_of_clips_to_a_model_that_answers(clips, tiny_whole_bundle, tmp_path, capsys):
    settings = {
        "data.source": clips,
        "data.frames": FRAMES,
        "data.cache": tmp_path / "cache",
        "outputs": tmp_path / "outputs",
        "model.detector": tiny_whole_bundle,
        "model.units": 8,
        "train.epochs": 25,
        "train.window": 4,
        "train.lr": 0.03,
        "train.patience": 25,
    }
    options = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    assert main(["train-video", "configs/video.yaml", *options]) == 0
    said = capsys.readouterr().out
    bundle = tmp_path / "outputs" / "video" / "bundle"
    assert f"deepfake detect --temporal-model {bundle}" in said

    plain = Detector(tiny_whole_bundle)
    card = load_sequence_bundle(bundle, plain.bundle).card
    assert card.channels == OWN_CHANNELS + 3
    asked = Detector(tiny_whole_bundle, AnalysisSettings(temporal_model=bundle))
    answers = {}
    for label in ("Real", "Fake"):
        *_, report = asked.analyze_video(clips / "Validation" / label / "00.mp4", Sampling(frames=FRAMES))
        answers[label] = report.p_fake
        assert report.persons[0].pooling == f"temporal model {card.name}"
    assert answers["Real"] < 0.5 < answers["Fake"]


def test_what_it_learns_from_is_what_the_detector_says(clips, tiny_whole_bundle):
    from deepfake_detector.cli.train_video import watcher

    detector, path = Detector(tiny_whole_bundle), clips / "Train" / "Fake" / "00.mp4"
    *_, report = detector.analyze_video(path, Sampling(frames=4))
    np.testing.assert_allclose(
        frame_rows(watcher(detector, 4)(path)), frame_rows(report.persons[0].observations), atol=1e-5
    )


def test_a_folder_without_clips_is_an_error_and_leaves_no_run_behind(tiny_whole_bundle, tmp_path, capsys):
    (tmp_path / "Real").mkdir()
    (tmp_path / "Fake").mkdir()
    settings = (f"data.source={tmp_path}", f"outputs={tmp_path / 'outputs'}", f"model.detector={tiny_whole_bundle}")
    assert main(["train-video", *(word for one in settings for word in ("--set", one))]) == 2
    assert "no real" in capsys.readouterr().err
    assert not (tmp_path / "outputs" / "video").exists()
