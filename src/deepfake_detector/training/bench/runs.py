"""Runs that a bench trains by itself: a finished one is kept, an interrupted one goes on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.scoring.bundle import CARD_FILE
from deepfake_detector.training.callbacks import Callback
from deepfake_detector.training.config import TrainConfig
from deepfake_detector.training.run import RunFolder, create_run

logger = logging.getLogger(__name__)


def trained_run(config: TrainConfig, callbacks: Sequence[Callback] = ()) -> RunFolder:
    """The finished run of a config, in the folder of its name; trained unless it is there.

    Raises ConfigError if the folder is that of another experiment, and what ``train`` raises.
    """
    run = RunFolder(config.outputs / config.name)
    if run.config_file.is_file():
        if run.config() != config:
            raise ConfigError(f"{run.path} is a run of another config; remove it, or give this one another name")
        if run.record_file.is_file() and run.record().finished and (run.bundle / CARD_FILE).is_file():
            logger.info("%s is trained already", run.path)
            return run
    else:
        run = create_run(config)
    import keras

    from deepfake_detector.training.train import train

    keras.backend.clear_session()
    return train(run, callbacks).run
