"""A video of half an hour: its frames come out of a bounded memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "video_decode.py"


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_half_an_hour_stays_under_600_megabytes():
    command = [sys.executable, str(BENCHMARK), "--seconds", "10", "--minutes", "30"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    sparse, dense = found["long file, 32 frames as RGB"], found["long file, its first 6,000 frames as RGB"]
    assert (sparse["frames"], dense["frames"]) == (32, 6000)
    assert max(sparse["peak megabytes"], dense["peak megabytes"]) < 600
    # Twenty times as many frames as in the short file take no more memory than a few frames.
    assert dense["peak megabytes"] < found["all frames as RGB"]["peak megabytes"] + 100
