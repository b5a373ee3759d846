"""open_video on what is broken, too large or no video: each has its own error or warning."""

import io
import os
import struct
import sys
from fractions import Fraction

import numpy as np
import pytest

from deepfake_detector.core.errors import (
    ConfigError,
    DamagedInputError,
    DecodeTimeoutError,
    EmptyInputError,
    InputError,
    LimitExceededError,
    MissingExtraError,
    NoFramesError,
    NoVideoStreamError,
    UnreadableInputError,
    UnsupportedCodecError,
    UnsupportedFormatError,
)
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video

ALL = Sampling(every=1)


def read(data, sampling=ALL, limits=None):
    with open_video(data, limits or VideoLimits()) as video:
        frames = list(video.frames(sampling))
        return frames, video.warnings


def refused(data, error, message, **limits):
    with pytest.raises(InputError, match=message) as caught:
        read(data, limits=VideoLimits(**limits))
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is a text",
        b"%PDF-1.7",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"\x00\x00\x01\xba" + bytes(40),
        b"\x47" + bytes(187),
        b"FLV\x01\x05",
        b"OggS" + bytes(30),
    ],
)
def test_what_is_no_video_of_the_list(data):
    refused(data, UnsupportedFormatError, "not a video of a format that is opened here")


def test_pictures_are_no_videos(samples):
    for name, data in samples.items():
        if not name.startswith("GIF"):
            refused(data, UnsupportedFormatError, "not a video")


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "empty.mp4").touch()
    os.mkfifo(tmp_path / "pipe.mp4")
    refused(b"", EmptyInputError, "0 bytes")
    refused(tmp_path / "empty.mp4", EmptyInputError, "0 bytes")
    refused(tmp_path / "missing.mp4", UnreadableInputError, "No such file")
    refused(tmp_path / "pipe.mp4", UnreadableInputError, "not a regular file")
    refused(tmp_path, UnreadableInputError, "not a regular file")
    refused("a\0b", UnreadableInputError, "null")
    refused(np.zeros((2, 2)), InputError, "give the path or the bytes")


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r'pip install "deepfake-detector\[video\]"'):
        read(b"")


def test_sound_alone_is_no_video(clip):
    import av

    for container, codec in (("mp4", "aac"), ("matroska", "libopus"), ("avi", "mp3")):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=container) as out:
            sound = out.add_stream(codec, rate=48_000)
            sound.layout = "mono"
            for index in range(5):
                out.mux(sound.encode(clip._tone(index)))
            out.mux(sound.encode(None))
        refused(buffer.getvalue(), NoVideoStreamError, "no moving pictures")


def test_a_stream_without_frames(clip):
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10, width=64, height=64, pix_fmt="yuv420p")
        out.start_encoding()
        assert stream.codec_context.is_open
    refused(buffer.getvalue(), NoVideoStreamError, "it holds nothing")
    data = bytearray(clip(frames=3).make())
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    refused(bytes(data), NoFramesError, "not one frame")


@pytest.mark.parametrize(("container", "codec"), [("matroska", "ffv1"), ("avi", "huffyuv"), ("mov", "png")])
def test_a_codec_that_is_not_on_the_list(clip, container, codec):
    pix_fmt = {"ffv1": "yuv420p", "huffyuv": "yuv422p", "png": "rgb24"}[codec]
    data = clip(container, codec, frames=2, pix_fmt=pix_fmt).make()
    refused(data, UnsupportedCodecError, f"packed by {codec}, which is not opened")


def test_a_codec_that_nobody_knows(clip):
    refused(clip("avi", "mpeg4", frames=2).make().replace(b"FMP4", b"ZZZZ"), UnsupportedCodecError, "built without")


def test_frames_that_are_too_large(clip):
    refused(clip(frames=2).make(), LimitExceededError, "96 × 64 pixels", max_pixels=96 * 64 - 1)
    refused(clip(frames=2).make(), LimitExceededError, "96 × 64 pixels", max_side=95)
    wide = clip("matroska", frames=2, aspect=Fraction(4)).make()
    refused(wide, LimitExceededError, "384 × 64 pixels", max_side=200)


def test_16k_frames_are_refused_before_they_are_decoded(clip):
    """The size is written into the header of each JPEG, and of the AVI."""
    data = clip("avi", "mjpeg", frames=2, pix_fmt="yuvj420p").make()
    large = data.replace(struct.pack("<II", 96, 64), struct.pack("<II", 15360, 8640))
    large = large.replace(b"\x08" + struct.pack(">HH", 64, 96), b"\x08" + struct.pack(">HH", 8640, 15360))
    assert large.count(struct.pack(">HH", 8640, 15360)) == 2
    refused(large, LimitExceededError, "15360 × 8640")
    # Only the packets lie; the decoder itself refuses.
    hidden = data.replace(b"\x08" + struct.pack(">HH", 64, 96), b"\x08" + struct.pack(">HH", 8640, 15360))
    with pytest.raises((LimitExceededError, NoFramesError)):
        read(hidden)


def test_videos_that_are_too_long(clip):
    day = clip("matroska", times=[0.0, 1.0, 10 * 3600.0]).make()
    refused(day, LimitExceededError, "36000 seconds long")
    # This header lies, and the table of frames does not: it is as long as its frames.
    header = clip("mp4", frames=5).make()
    length = header.index(b"mdhd") + 20
    frames, _ = read(header[:length] + struct.pack(">I", 4_000_000_000) + header[length + 4 :])
    assert len(frames) == 5
    # The header is silent: it is noticed when the time comes.
    live = clip("matroska", times=[0.0, 1.0, 10 * 3600.0], muxer={"live": "1"}).make()
    refused(live, LimitExceededError, "longer than 14400 seconds")


def test_too_many_bytes_and_frames(clip, tmp_path):
    data = clip(frames=20).make()
    (tmp_path / "clip.mp4").write_bytes(data)
    refused(data, LimitExceededError, f"{len(data)} bytes", max_bytes=100)
    refused(tmp_path / "clip.mp4", LimitExceededError, f"{len(data)} bytes", max_bytes=100)
    refused(data, LimitExceededError, "20 frames .* are asked for", max_frames=19)
    live = clip("matroska", frames=20, muxer={"live": "1"}).make()
    frames, warnings = read(live, limits=VideoLimits(max_frames=7))
    assert len(frames) == 7
    assert any("only the first 7 frames" in warning for warning in warnings)


def test_decoding_that_takes_too_long(clip):
    refused(clip(frames=20).make(), DecodeTimeoutError, "has been decoded for", max_decode_seconds=1e-9)


@pytest.fixture(scope="module")
def noise(clip, tmp_path_factory):
    """Clips of 60 frames of noise, all of about the same size; an MP4 has its index in front."""
    made = {}
    for container, codec in (("mp4", "libx264"), ("matroska", "libx264"), ("avi", "mpeg4")):
        path = tmp_path_factory.mktemp("noise") / f"clip.{container}"
        muxer = {"movflags": "faststart"} if container == "mp4" else {}
        quality = {"qmin": "3", "qmax": "3", "g": "1"} if codec == "mpeg4" else {"preset": "ultrafast", "g": "10"}
        clip(container, codec, 60, (64, 48), options=quality, muxer=muxer, path=str(path), seed=1).make()
        made[container] = path.read_bytes()
    return made


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
@pytest.mark.parametrize("share", [0.4, 0.75])
def test_a_lost_end_gives_what_is_there_and_a_warning(noise, container, share):
    cut = noise[container][: int(len(noise[container]) * share)]
    frames, warnings = read(cut)
    assert 60 * share - 8 < len(frames) <= 60 * share + 2
    assert [round(frame.time, 3) for frame in frames] == [index / 10 for index in range(len(frames))]
    assert any("its end may be missing" in warning for warning in warnings)
    few, _ = read(cut, Sampling(frames=10))
    assert len(few) >= 10 * share - 2


def test_a_lost_index_is_damaged(clip):
    data = clip(frames=30, seed=1, options={"preset": "ultrafast"}).make()
    refused(data[: len(data) // 2], DamagedInputError, "cannot be opened: it is cut off or corrupt")


def test_a_hole_in_the_middle_is_told_and_left_out(noise):
    data = bytearray(noise["matroska"])
    middle, length = len(data) // 2, len(data) // 6
    data[middle : middle + length] = bytes(length)
    frames, warnings = read(bytes(data))
    assert 20 < len(frames) < 60
    assert frames[-1].time == pytest.approx(5.9)
    assert any("damaged" in warning for warning in warnings)


def test_settings_that_make_no_sense():
    for wrong in ({"max_bytes": 0}, {"max_seconds": -1.0}, {"threads": 0}, {"max_seconds": float("nan")}):
        with pytest.raises(ConfigError, match="give a positive number"):
            VideoLimits(**wrong)
    for wrong in ({"frames": 0}, {"fps": -1}, {"fps": float("inf")}, {"every": 0}, {"scenes": -2}):
        with pytest.raises(ConfigError, match="give a positive number"):
            Sampling(**wrong)
    with pytest.raises(ConfigError, match="fps and every are given"):
        Sampling(fps=2, every=3)
    assert Sampling() == Sampling(frames=32)
