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


def mutated(data, chance):
    """Bytes overwritten, cut out, doubled or cut off; mostly near the start or the end, where the structure is."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        length = len(changed)
        at = chance.choice([chance.randrange(length), chance.randrange(min(length, 1000)), -chance.randint(1, 1000)])
        at = max(0, at % length)
        kind = chance.random()
        if kind < 0.7:
            changed[at : at + 1] = bytes([chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])])
        elif kind < 0.8:
            del changed[at : at + chance.randint(1, 20)]
        elif kind < 0.9:
            changed[at:at] = changed[at : at + chance.randint(1, 20)]
        else:
            changed[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"])
    return bytes(changed[: chance.randrange(1, len(changed) + 1)] if chance.random() < 0.15 else changed)


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


def fuzz(videos, number, seed):
    """The share of mutated videos that still gave frames."""
    chance = random.Random(seed)
    tried = [number_of_frames(mutated(data, chance), chance.choice(RULES)) for data in videos for _ in range(number)]
    return sum(map(bool, tried)) / len(tried)


def test_mutated_videos_give_frames_or_our_errors(videos, recwarn, capfd):
    assert 0.2 < fuzz(videos, 12, 20240601) < 0.95
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_many_mutated_videos_give_frames_or_our_errors(videos, capfd):
    assert 0.2 < fuzz(videos, 400, 7) < 0.95
    assert capfd.readouterr() == ("", "")
