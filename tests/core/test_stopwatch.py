import time

from deepfake_detector.core.stopwatch import Stopwatch


def test_seconds_add_up_per_stage():
    watch = Stopwatch()
    for _ in range(2):
        with watch.stage("sleep"):
            time.sleep(0.02)
    with watch.stage("nothing"):
        pass
    assert list(watch.seconds) == ["sleep", "nothing"]
    assert watch.seconds["sleep"] >= 0.039
    assert 0.0 <= watch.seconds["nothing"] < watch.seconds["sleep"]
