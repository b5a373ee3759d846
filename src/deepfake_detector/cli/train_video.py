"""``deepfake train-video``: from labelled clips to a network that looks at all frames of a person together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from deepfake_detector.cli.trainings import Overrides
from deepfake_detector.core.errors import DeepfakeDetectorError
from deepfake_detector.core.video import Observation, VideoReport
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.pipeline import Detector
from deepfake_detector.training.run import create_run
from deepfake_detector.training.settings_file import load_settings
from deepfake_detector.training.train import showing_progress
from deepfake_detector.training.video.clips import Watch
from deepfake_detector.training.video.config import VideoConfig
from deepfake_detector.training.video.train import DEFAULT_VIDEO_CONFIG, summary
from deepfake_detector.training.video.train import train_video as run_training


def train_video(
    config: Annotated[
        Path | None,
        typer.Argument(help="A YAML file that describes the experiment.", show_default=str(DEFAULT_VIDEO_CONFIG)),
    ] = None,
    overrides: Overrides = None,
) -> None:
    """Train a network over the frames of Real and Fake clips, and export it into the run folder outputs/<name>.

    What the frame model says of each clip is kept, so that a second run, or one after an interruption, begins at once.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    settings = load_settings(config or DEFAULT_VIDEO_CONFIG, VideoConfig, overrides or [])
    detector = Detector(settings.model.detector)
    run = create_run(settings)
    try:
        with showing_progress():
            trained = run_training(run, settings, detector.bundle, watcher(detector, settings.data.frames))
    except DeepfakeDetectorError:
        run.discard_unless_begun()
        raise
    print(summary(trained))


def watcher(detector: Detector, frames: int) -> Watch:
    """Lets a detector look at the person that is seen in most frames of a clip."""

    def watch(path: Path) -> tuple[Observation, ...]:
        for finding in detector.analyze_video(path, Sampling(frames=frames)):
            if isinstance(finding, VideoReport):
                return max((person.observations for person in finding.persons), key=len, default=())
        return ()

    return watch
