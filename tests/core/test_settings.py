import math

import pytest

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.settings import AnalysisSettings
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
