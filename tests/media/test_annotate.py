"""annotate_video: what was drawn is there, at its time, with the sound."""

import numpy as np
import pytest

from deepfake_detector.core.errors import ConfigError, UnreadableInputError, UnsupportedCodecError
from deepfake_detector.media import annotate
from deepfake_detector.media.annotate import annotate_video
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video

ALL = Sampling(every=1)


def read(source):
    with open_video(source) as video:
        return video.info, list(video.frames(ALL))


def sound_of(path):
    import av

    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        packets = [packet for packet in container.demux(stream) if packet.size]
        name = stream.codec_context.name
    return name, packets


def mark(pixels, seconds):
    """A square whose brightness is ten times the time in seconds."""
    pixels[:16, -16:] = min(255, round(seconds * 100))
    return pixels


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".M4V"])
def test_frames_are_drawn_on_at_their_times(clip, tmp_path, ending):
    odd = [0.0, 0.04, 0.5, 0.51, 1.0, 1.033, 2.25]
    output = tmp_path / f"out{ending}"
    seen = []
    data = clip(times=odd).make()
    assert annotate_video(data, output, mark, progress=seen.append) == ()
    info, frames = read(output)
    assert (info.codec, info.width, info.height, info.has_audio) == ("H.264", 96, 64, False)
    assert [round(frame.time, 3) for frame in frames] == odd
    assert seen == pytest.approx(odd)
    for frame, original in zip(frames, read(data)[1], strict=True):
        assert frame.pixels[4:12, -12:-4].mean() == pytest.approx(round(frame.time * 100), abs=8)
        assert np.abs(frame.pixels[20:].astype(int) - original.pixels[20:]).mean() < 6
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_a_turned_video_is_written_upright(clip, tmp_path):
    made = clip(frames=3, rotation=(-90, False))
    annotate_video(made.make(), tmp_path / "out.mp4", lambda pixels, _: pixels)
    info, frames = read(tmp_path / "out.mp4")
    assert (info.width, info.height, info.rotation) == (64, 96, 0)
    assert np.abs(frames[1].pixels.astype(int) - np.rot90(made.draw(1), -1)).mean() < 8


def test_odd_sides_are_made_even(clip, tmp_path):
    data = clip("matroska", frames=3, size=(97, 65), pix_fmt="yuv444p").make()
    annotate_video(data, tmp_path / "out.mp4", mark)
    info, _ = read(tmp_path / "out.mp4")
    assert (info.width, info.height) == (98, 66)


@pytest.mark.parametrize(
    ("container", "codec", "sound"),
    [
        ("mp4", "libx264", "aac"),
        ("matroska", "libx264", "libopus"),
        ("avi", "mpeg4", "mp3"),
        ("mov", "mpeg4", "pcm_s16be"),
    ],
)
def test_sound_is_copied_bit_by_bit(clip, tmp_path, container, codec, sound):
    data = clip(container, codec, frames=20, sound=sound).make()
    assert annotate_video(data, tmp_path / "out.mp4", mark) == ()
    name, packets = sound_of(tmp_path / "out.mp4")
    original_name, original = sound_of(io_of(data, tmp_path))
    assert name == original_name
    assert b"".join(map(bytes, packets)) == b"".join(map(bytes, original))
    starts = [float(packet.pts * packet.time_base) for packet in (packets[0], original[0])]
    assert starts[0] == pytest.approx(starts[1], abs=0.03)


def io_of(data, tmp_path):
    path = tmp_path / "original"
    path.write_bytes(data)
    return path


def test_sound_that_does_not_fit_is_encoded_anew_and_told(clip, tmp_path):
    data = clip("avi", "mpeg4", frames=20, sound="adpcm_ms").make()
    (warning,) = annotate_video(data, tmp_path / "out.mp4", mark)
    assert "adpcm_ms" in warning
    assert "encoded anew, as AAC" in warning
    name, packets = sound_of(tmp_path / "out.mp4")
    assert name == "aac"
    assert float(packets[-1].pts * packets[-1].time_base) == pytest.approx(2.0, abs=0.1)


def test_sound_that_cannot_be_kept_is_left_out_and_told(clip, tmp_path, monkeypatch):
    from deepfake_detector.media import sound

    monkeypatch.setattr(sound, "_DECODERS", ("none",))
    data = clip("avi", "mpeg4", frames=5, sound="adpcm_ms").make()
    (warning,) = annotate_video(data, tmp_path / "out.mp4", mark)
    assert "left out" in warning
    assert not read(tmp_path / "out.mp4")[0].has_audio


@pytest.mark.parametrize("encoder", ["mpeg4"])
def test_without_an_encoder_for_h264_another_is_taken(clip, tmp_path, monkeypatch, encoder):
    monkeypatch.setattr(annotate, "ENCODERS", {"libnothing": {}, encoder: annotate.ENCODERS[encoder]})
    annotate_video(clip(times=[0.0, 0.04, 0.5, 1.033]).make(), tmp_path / "out.mp4", mark)
    info, frames = read(tmp_path / "out.mp4")
    assert info.codec == "MPEG-4"
    assert [frame.time for frame in frames] == pytest.approx([0.0, 0.04, 0.5, 1.033], abs=1e-3)
    monkeypatch.setattr(annotate, "ENCODERS", {"libnothing": {}})
    with pytest.raises(UnsupportedCodecError, match="none of the encoders libnothing"):
        annotate_video(clip(frames=2).make(), tmp_path / "more.mp4", mark)


def test_a_damaged_end_is_written_as_far_as_it_goes(clip, tmp_path):
    data = clip("matroska", frames=40, seed=1, options={"preset": "ultrafast"}).make()
    warnings = annotate_video(data[: len(data) // 2], tmp_path / "out.mp4", mark)
    assert any("its end may be missing" in warning for warning in warnings)
    assert 15 <= len(read(tmp_path / "out.mp4")[1]) <= 21


def test_nothing_is_left_behind_when_it_fails(clip, tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"old")
    data = clip(frames=5).make()

    def stop(pixels, seconds):
        raise KeyboardInterrupt

    for draw, error in ((stop, KeyboardInterrupt), (lambda pixels, _: pixels[:10], ValueError)):
        with pytest.raises(error):
            annotate_video(data, tmp_path / "out.mp4", draw)
        assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
        assert (tmp_path / "out.mp4").read_bytes() == b"old"


def test_outputs_that_cannot_be_written(clip, tmp_path):
    data = clip(frames=2).make()
    with pytest.raises(ConfigError, match=r"ends in \.mp4"):
        annotate_video(data, tmp_path / "out.gif", mark)
    with pytest.raises(ConfigError, match="cannot write"):
        annotate_video(data, tmp_path / "missing" / "out.mp4", mark)
    with pytest.raises(UnreadableInputError):
        annotate_video(tmp_path / "missing.mp4", tmp_path / "out.mp4", mark)


def test_a_video_can_be_written_over_itself(clip, tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip(frames=5, sound="aac").make())
    annotate_video(path, path, mark)
    info, frames = read(path)
    assert (len(frames), info.has_audio) == (5, True)
