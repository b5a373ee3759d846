"""`deepfake detect` on videos: the options, the outputs, the exit codes."""

import io
import json

import numpy as np
import pytest

from deepfake_detector.core.video import VideoReport
from deepfake_detector.media.video import open_video
from deepfake_detector.report.schema import from_json


@pytest.fixture(scope="module")
def video(astronaut, tmp_path_factory):
    """The astronaut moving slowly over a grey wall, 2 seconds; fake to the tiny model."""
    import av

    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=8, width=320, height=240, pix_fmt="yuv420p")
        stream.options = {"crf": "12", "preset": "ultrafast"}
        for step in range(16):
            frame = np.full((240, 320, 3), 120, np.uint8)
            frame[16:216, 20 + 4 * step : 220 + 4 * step] = astronaut[10:210, 120:320]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def test_a_video_is_answered_beside_pictures_with_the_same_keys(deepfake, video, photos, tiny_bundle):
    ran = deepfake("detect", photos / "b.png", video, "--jsonl", "--frames", 4, "--model", tiny_bundle)
    picture, clip = (json.loads(line) for line in ran.out.splitlines())
    assert ran.code == 1
    assert set(picture) - {"cautions", "provenance"} <= set(clip)
    assert (clip["verdict"], len(clip["faces"]), clip["sampling"]["analysed"]) == ("fake", 1, 4)
    assert ran.err == ""


@pytest.mark.parametrize(
    ("option", "count", "rule"),
    [
        (("--fps", "2"), 4, "2 frames a second"),
        (("--every", "5"), 4, "one frame in 5"),
        (("--scene", "3"), 3, "3 frames of each scene, evenly"),
    ],
)
def test_frames_are_chosen_in_one_way(deepfake, video, tiny_bundle, option, count, rule):
    ran = deepfake("detect", video, "--json", *option, "--model", tiny_bundle)
    (answer,) = json.loads(ran.out)
    assert (answer["sampling"]["analysed"], answer["sampling"]["rule"]) == (count, rule)


def test_two_ways_to_choose_frames_are_refused(deepfake, video):
    ran = deepfake("detect", video, "--fps", 2, "--every", 2)
    assert ran.code == 2
    assert "--fps and --every each choose" in ran.err


def test_a_folder_is_searched_for_videos_too(deepfake, video, tiny_bundle):
    ran = deepfake("detect", video.parent, "--csv", "--frames", 2, "--model", tiny_bundle)
    assert ran.out.splitlines()[1].startswith(f"{video},fake,")


def test_a_video_is_not_analysed_twice(deepfake, video, tiny_bundle, tmp_path):
    done = tmp_path / "done.jsonl"
    first = deepfake("detect", video, "--jsonl", "--frames", 2, "--resume", done, "--model", tiny_bundle)
    again = deepfake("detect", video, "--jsonl", "--frames", 2, "--resume", done, "--model", tiny_bundle)
    assert first.out == again.out
    assert "answers taken from" in again.err
    assert isinstance(from_json(done.read_text()), VideoReport)
    other = deepfake("detect", video, "--frames", 3, "--resume", done, "--model", tiny_bundle)
    assert other.code == 2
    assert "answered with frames 2 frames, evenly, now it is 3 frames, evenly" in other.err


def test_an_annotated_copy_is_written(deepfake, video, tiny_bundle, tmp_path):
    target = tmp_path / "out.mp4"
    ran = deepfake("detect", video, "--frames", 3, "--annotate", target, "--model", tiny_bundle)
    assert (ran.code, ran.err) == (1, f"wrote {target}\n")
    with open_video(target) as reader:
        assert (reader.info.width, reader.info.height) == (320, 240)


def test_an_annotated_copy_is_one_of_one_video(deepfake, video, photos, tiny_bundle, tmp_path):
    assert "give one video" in deepfake("detect", video, video, "--annotate", tmp_path / "a.mp4").err
    assert "would overwrite the input" in deepfake("detect", video, "--annotate", video).err
    ran = deepfake("detect", photos / "a.jpg", "--annotate", tmp_path / "a.mp4", "--model", tiny_bundle)
    assert ran.code == 2
    assert "is a picture" in ran.err


def test_progress_is_drawn_on_a_terminal(video, tiny_bundle, monkeypatch):
    from deepfake_detector.cli.console import input_progress
    from deepfake_detector.cli.watching import WatchedDetector
    from deepfake_detector.pipeline import Detector

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with input_progress(1, quiet=False) as (step, show):
        seen = []

        def both(what, done, total):
            seen.append((what, done, total))
            show(what, done, total)

        list(WatchedDetector(Detector(tiny_bundle), None, both).analyze_many([video]))
        step()
    assert seen[-1] == ("frames", 16, 16)
    assert "frames" in screen.getvalue()
    assert "16/16" in screen.getvalue()
