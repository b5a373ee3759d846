import math

import pytest

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.settings import AnalysisSettings, OwnThreshold
from deepfake_detector.core.types import OperatingPoint


def test_the_defaults():
    settings = AnalysisSettings()
    assert settings.operating_point is OperatingPoint.FPR5
    assert settings.prior == 0.5
    assert not settings.all_faces


@pytest.mark.parametrize("prior", [0.0, 1.0, -0.1, 1.5, math.nan, math.inf])
def test_a_prior_is_a_share_that_leaves_both_possible(prior):
    with pytest.raises(ConfigError, match="prior"):
        AnalysisSettings(prior=prior)


def test_threads_are_not_negative():
    with pytest.raises(ConfigError, match="threads"):
        AnalysisSettings(threads=-1)


def test_an_own_threshold_goes_with_its_operating_point_and_brings_its_rate():
    own = OwnThreshold(fpr=0.02, logit=1.5, photos=80, model_sha256="0" * 64, model_version="1")
    assert AnalysisSettings(OperatingPoint.OWN, own_threshold=own).fpr == 0.02
    assert AnalysisSettings(OperatingPoint.FPR10).fpr == 0.1
    for point, threshold in ((OperatingPoint.OWN, None), (OperatingPoint.FPR5, own)):
        with pytest.raises(ConfigError, match="both"):
            AnalysisSettings(point, own_threshold=threshold)
