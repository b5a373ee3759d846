"""Whatever the bytes of a video: frames come out, or one of our errors, and nothing on the terminal."""

import random

import pytest

from deepfake_detector.core.errors import InputError
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video

LIMITS = VideoLimits(max_pixels=1_000_000, max_seconds=600, max_frames=40, max_decode_seconds=20, threads=1)
RULES = (Sampling(every=1), Sampling(frames=4), Sampling(fps=3))


@pytest.fixture(scope="module")
def videos(clip):
    """One small video of each kind."""
    quick = {"preset": "ultrafast"}
    kinds = (
        clip("mp4", "libx264", 8, options=quick, sound="aac", rotation=(90, False)),
        clip("mp4", "libx264", 8, options=quick, muxer={"movflags": "frag_keyframe+empty_moov"}),
        clip("mp4", "libx265", 8, options={**quick, "x265-params": "log-level=none"}),
        clip("mov", "mpeg4", 8, sound="pcm_s16le"),
        clip("matroska", "libx264", 8, options=quick, sound="libopus"),
        clip("webm", "libvpx", 8),
        clip("webm", "libvpx-vp9", 8, options={"cpu-used": "8"}),
        clip("webm", "libsvtav1", 8, options={"preset": "12"}),
        clip("avi", "mpeg4", 8, sound="mp3"),
        clip("avi", "mjpeg", 8, pix_fmt="yuvj420p"),
        clip("gif", "gif", 8, pix_fmt="rgb8"),
    )
    return [kind.make() for kind in kinds]


def number_of_frames(data, sampling):
    """How many frames come out; 0 for one of our errors."""
    number = 0
    try:
        with open_video(data, LIMITS) as video:
            last = 0.0
            for frame in video.frames(sampling):
                assert frame.pixels.shape == (video.info.height, video.info.width, 3)
                assert frame.time >= last
                last = frame.time
                number += 1
    except InputError as error:
        assert str(error)
    return number


@pytest.fixture
def fuzz(videos, mutated):
    """Mutates each video so many times; gives the share that still gave frames."""

    def _fuzz(number, seed):
        chance = random.Random(seed)
        changed = (mutated(data, chance, near=1000) for data in videos for _ in range(number))
        tried = [number_of_frames(data, chance.choice(RULES)) for data in changed]
        return sum(map(bool, tried)) / len(tried)

    return _fuzz


def test_mutated_videos_give_frames_or_our_errors(fuzz, recwarn, capfd):
    assert 0.2 < fuzz(12, 20240601) < 0.95
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_many_mutated_videos_give_frames_or_our_errors(fuzz, capfd):
    assert 0.2 < fuzz(400, 7) < 0.95
    assert capfd.readouterr() == ("", "")
