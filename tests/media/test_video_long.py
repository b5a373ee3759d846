"""A video of half an hour: it is read, and analysed by the whole command, in a bounded memory."""

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
    check(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def check(found):
    peaks = {
        name: row["peak megabytes"] for name, row in found.items() if isinstance(row, dict) and "peak megabytes" in row
    }
    assert max(peaks.values()) < 600
    frames = {name: found[f"long file, {name}"]["frames"] for name in ("32 frames as RGB", "detect, 32 frames")}
    assert set(frames.values()) == {32}
    # Ten times as many frames as in the short file, or 180 times its length, take no more memory than a few frames.
    assert peaks["long file, its first 3,000 frames as RGB"] < peaks["all frames as RGB"] + 100
    assert found["long file, detect, 128 frames"]["frames"] == 128
    for number in (32, 128):
        assert peaks[f"long file, detect, {number} frames"] < peaks["detect, 32 frames"] + 100
