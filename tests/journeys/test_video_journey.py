"""A clip as people have it, through the command that they type, to the report that they show."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

PROGRAM = Path(sys.executable).with_name("deepfake.exe" if os.name == "nt" else "deepfake")


def record(path, astronaut):
    """The astronaut before a wall of two colours, reddened half of the time, then a wall without anybody."""
    import av

    wall = np.zeros((240, 320, 3), np.uint8)
    wall[:] = np.linspace(60, 180, 320, dtype=np.uint8)[None, :, None]
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=10, width=320, height=240, pix_fmt="yuv420p")
        stream.options = {"crf": "14", "preset": "ultrafast"}
        for step in range(30):
            frame = wall.copy()
            if step < 20:
                frame[20:220, 30 + 3 * step : 230 + 3 * step] = astronaut[10:210, 120:320]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))


def test_from_a_clip_to_a_report(tmp_path, astronaut, tiny_bundle):
    record(tmp_path / "clip.mp4", astronaut)
    (tmp_path / "broken.mp4").write_bytes((tmp_path / "clip.mp4").read_bytes()[:300])
    arguments = ["clip.mp4", "broken.mp4", "--fps", "5", "--explain", "--output", "out", "--model", tiny_bundle]
    ran = subprocess.run(
        [PROGRAM, "detect", *arguments], cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert ran.returncode == 4
    assert "Traceback" not in ran.stdout + ran.stderr
    clip, broken = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (clip["verdict"], clip["sampling"]["analysed"], broken["error"]["code"]) == ("fake", 15, "damaged")
    (person,) = clip["persons"]
    assert person["timeline"][-1]["time"] < 2.2
    xs = [frame["box"][0] for frame in person["timeline"]]
    assert xs == sorted(xs)
    assert clip["faces"][0]["explanation"]["reencodings"]
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="#(picture-1-person-1-frame-\d)"', report)
    assert links
    assert all(f'id="{link}"' in report for link in links)
    assert "Where the score comes from" in report
    assert "Not analysed" in report
