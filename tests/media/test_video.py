"""open_video: what is in a clip comes out, upright, with its time stamps."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video

ALL = Sampling(every=1)

PAIRS = {
    ("mp4", "libx264"): ("MP4", "H.264"),
    ("mp4", "libx265"): ("MP4", "H.265"),
    ("mp4", "libvpx-vp9"): ("MP4", "VP9"),
    ("mp4", "libsvtav1"): ("MP4", "AV1"),
    ("mp4", "mpeg4"): ("MP4", "MPEG-4"),
    ("mov", "libx264"): ("MP4", "H.264"),
    ("mov", "mjpeg"): ("MP4", "MJPEG"),
    ("matroska", "libx264"): ("Matroska", "H.264"),
    ("matroska", "libx265"): ("Matroska", "H.265"),
    ("webm", "libvpx"): ("Matroska", "VP8"),
    ("webm", "libvpx-vp9"): ("Matroska", "VP9"),
    ("webm", "libsvtav1"): ("Matroska", "AV1"),
    ("avi", "mpeg4"): ("AVI", "MPEG-4"),
    ("avi", "libx264"): ("AVI", "H.264"),
    ("avi", "mjpeg"): ("AVI", "MJPEG"),
    ("gif", "gif"): ("GIF", "GIF"),
}
PIX_FMTS = {"mjpeg": "yuvj420p", "gif": "rgb8"}
QUIET = {
    "libx265": {"x265-params": "log-level=none"},
    "libsvtav1": {"preset": "12"},
    "libx264": {"preset": "ultrafast"},
}


def read(data, sampling=ALL):
    with open_video(data) as video:
        frames = list(video.frames(sampling))
    return video, frames


def times(frames):
    return [round(frame.time, 3) for frame in frames]


def times_of(number):
    return [index / 10 for index in range(number)]


@pytest.mark.parametrize(("container", "codec"), PAIRS)
def test_every_container_and_codec_gives_all_frames_at_their_times(clip, container, codec):
    made = clip(container, codec, frames=12, pix_fmt=PIX_FMTS.get(codec, "yuv420p"), options=QUIET.get(codec, {}))
    video, frames = read(made.make())
    assert (video.info.container, video.info.codec) == PAIRS[container, codec]
    assert (video.info.width, video.info.height, video.info.rotation, video.info.has_audio) == (96, 64, 0, False)
    assert times(frames) == [index / 10 for index in range(12)]
    assert [frame.index for frame in frames] == list(range(12))
    for index, frame in enumerate(frames):
        assert frame.pixels.shape == (64, 96, 3)
        assert frame.pixels.dtype == np.uint8
        assert frame.pixels.flags["C_CONTIGUOUS"]
        assert frame.pixels[40:, 60:].mean() == pytest.approx(made.brightness(index), abs=20 if codec == "gif" else 6)
        assert frame.pixels[:20, :30, 0].mean() - frame.pixels[:20, :30, 1].mean() > 120
    assert video.warnings == ()
    if container != "gif":
        assert video.info.seconds == pytest.approx(1.2, abs=0.11)


@pytest.mark.parametrize(
    ("container", "codec", "muxer"),
    [
        ("mp4", "libx264", {}),
        ("mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("matroska", "libx264", {}),
        ("matroska", "libx264", {"live": "1"}),
        ("webm", "libvpx-vp9", {}),
        ("avi", "mpeg4", {}),
    ],
)
def test_looking_at_a_few_frames_gives_the_same_as_going_through_all(clip, container, codec, muxer):
    made = clip(container, codec, frames=150, options={"g": "12", "bf": "2"}, muxer=muxer)
    data = made.make()
    _, everything = read(data)
    _, few = read(data, Sampling(frames=7))
    assert times(everything) == [index / 10 for index in range(150)]
    # The middles of seven parts of fifteen seconds, and the frames that are shown then.
    assert times(few) == [1.0, 3.2, 5.3, 7.5, 9.6, 11.7, 13.9]
    by_time = {round(frame.time, 3): frame for frame in everything}
    for frame in few:
        np.testing.assert_array_equal(frame.pixels, by_time[round(frame.time, 3)].pixels)


@pytest.mark.parametrize("sampling", [Sampling(every=1), Sampling(every=4), Sampling(frames=7)])
def test_each_frame_comes_with_the_next_one_in_grey_but_the_last(clip, sampling):
    data = clip(frames=60, options={"g": "12", "bf": "2"}).make()
    everything, some = read(data)[1], read(data, sampling)[1]
    for frame in some:
        place = round(10 * frame.time)
        if place == 59:
            assert frame.following is None
        else:
            expected = cv2.cvtColor(everything[place + 1].pixels, cv2.COLOR_RGB2GRAY)
            np.testing.assert_array_equal(frame.following, expected)


def test_sampling_by_rate_and_by_count(clip):
    data = clip(frames=30).make()
    assert times(read(data, Sampling(fps=2))[1]) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert times(read(data, Sampling(every=7))[1]) == [0.0, 0.7, 1.4, 2.1, 2.8]
    assert len(read(data, Sampling(fps=100))[1]) == len(read(data, Sampling(frames=500))[1]) == 30
    assert len(read(data, None)[1]) == 30
    assert times(read(data, Sampling(frames=1))[1]) == [1.5]


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_the_rate_of_the_video_itself_gives_every_frame(container):
    import io

    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        stream = out.add_stream("mpeg4", rate=30, width=64, height=64, pix_fmt="yuv420p")
        for index in range(90):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 40 + 2 * index, np.uint8))))
        out.mux(stream.encode(None))
    with open_video(buffer.getvalue()) as video:
        frames = list(video.frames(Sampling(fps=30)))
        assert times(frames) == [round(index / 30, 3) for index in range(90)]
        for frame in frames[::13]:
            np.testing.assert_array_equal(video.frame_at(round(frame.time, 3)).pixels, frame.pixels)


def test_a_reader_can_be_read_several_times_and_at_once(clip):
    with open_video(clip(frames=30).make()) as video:
        first, second = video.frames(ALL), video.frames(Sampling(fps=2))
        pairs = np.array([(next(first).time, next(second).time) for _ in range(5)])
        np.testing.assert_allclose(pairs, [(index / 10, index / 2) for index in range(5)])
        assert len(list(video.frames(ALL))) == 30


def test_variable_frame_rate_keeps_its_times(clip):
    odd = [0.0, 0.04, 0.5, 0.51, 2.0, 2.033, 7.25]
    for container, codec in (("mp4", "libx264"), ("matroska", "libx264"), ("webm", "libvpx-vp9")):
        data = clip(container, codec, times=odd).make()
        assert times(read(data)[1]) == odd
        # A frame is shown until the next one comes.
        assert times(read(data, Sampling(fps=1))[1])[:4] == [0.0, 0.51, 2.0, 2.033]


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_frames_stand_upright(clip, degrees, mirrored):
    made = clip(frames=3, rotation=(-degrees, mirrored))
    video, frames = read(made.make())
    expected = made.draw(1)
    expected = np.rot90(expected, -degrees // 90)
    expected = expected[:, ::-1] if mirrored else expected
    assert frames[1].pixels.shape == expected.shape == (video.info.height, video.info.width, 3)
    assert np.abs(frames[1].pixels.astype(int) - expected).mean() < 6
    if not mirrored:
        assert video.info.rotation == degrees


@pytest.mark.parametrize(
    ("codec", "pix_fmt"), [("libx264", "yuv444p"), ("libvpx-vp9", "yuv420p"), ("mpeg4", "yuv420p")]
)
def test_odd_sizes(clip, codec, pix_fmt):
    for size in ((97, 65), (33, 64), (64, 17)):
        video, frames = read(clip("matroska", codec, frames=3, size=size, pix_fmt=pix_fmt).make())
        assert (video.info.width, video.info.height) == size
        assert frames[2].pixels.shape == (size[1], size[0], 3)


def test_pixels_that_are_not_square_are_stretched(clip):
    video, frames = read(clip("matroska", frames=2, aspect=Fraction(4, 3)).make())
    assert (video.info.width, video.info.height) == (128, 64)
    assert frames[0].pixels.shape == (64, 128, 3)
    assert any("not square (4:3)" in warning for warning in video.warnings)


def test_times_count_from_the_start_of_the_file(clip):
    late = [100 + index / 10 for index in range(10)]
    assert times(read(clip("matroska", times=late).make())[1]) == times_of(10)
    early = [index / 10 - 0.3 for index in range(10)]
    # An edit list says that what lies before zero is not shown; without one, the first frame is at zero.
    assert times(read(clip("mp4", times=early).make())[1]) == [index / 10 for index in range(7)]
    assert times(read(clip("mp4", times=early, muxer={"use_editlist": "0"}).make())[1]) == times_of(10)


def test_sound_is_noticed_and_does_not_matter(clip):
    silent, _ = read(clip(frames=5).make())
    video, frames = read(clip(frames=5, sound="aac").make())
    assert (silent.info.has_audio, video.info.has_audio) == (False, True)
    assert times(frames) == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_a_file_without_a_length_is_measured(clip):
    data = clip("matroska", frames=100, muxer={"live": "1"}).make()
    video, frames = read(data, Sampling(frames=4))
    assert video.info.seconds is None
    assert times(frames) == [1.2, 3.7, 6.2, 8.7]


def test_the_facts_are_those_of_the_file(clip, tmp_path):
    import hashlib

    data = clip(frames=15).make()
    path = tmp_path / "clip.bin"
    path.write_bytes(data)
    with open_video(path) as video:
        assert video.info.path == str(path)
        assert video.info.bytes == len(data)
        assert video.info.sha256 == hashlib.sha256(data).hexdigest()
        assert (video.info.frames, video.info.fps) == (15, pytest.approx(10))
        assert len(list(video.frames())) == 15
    with open_video(data) as same:
        assert same.info.path is None


def test_see_through_pictures_are_shown_over_white(encode):
    from PIL import Image

    picture = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (0, 0, 16, 32))
    more = Image.new("RGBA", (32, 32), (0, 255, 0, 255))
    data = encode(picture, "GIF", save_all=True, append_images=[more], duration=[100, 200], disposal=2)
    video, frames = read(data)
    assert (video.info.codec, times(frames)) == ("GIF", [0.0, 0.1])
    assert frames[0].pixels[16, 24].tolist() == [255, 255, 255]
    assert frames[0].pixels[16, 4].tolist() == [0, 0, 255]


def test_colours_of_hd_and_sd_are_told_apart(clip):
    """A colour that was packed by BT.709 (HD) or BT.601 (SD) and not labelled comes out as it was."""
    import io

    import av

    for size, matrix in (((1280, 720), "ITU709"), ((96, 64), "ITU601")):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp4") as out:
            stream = out.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
            stream.width, stream.height = size
            green = np.full((size[1], size[0], 3), (30, 180, 60), np.uint8)
            frame = av.VideoFrame.from_ndarray(green).reformat(
                format="yuv420p", dst_colorspace=matrix, dst_color_range="MPEG"
            )
            frame.colorspace = 2
            out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        _, frames = read(buffer.getvalue())
        assert np.abs(frames[0].pixels.mean(axis=(0, 1)) - (30, 180, 60)).max() < 4


def test_cuts_are_found_and_scenes_counted(clip):
    import io

    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10, width=96, height=64, options={"preset": "ultrafast"})
        for index in range(60):
            # A slow fade within each scene, and a hard cut at 2.0 and 4.5 seconds.
            colour = {0: (200, 40, 40), 1: (30, 60, 200), 2: (220, 220, 210)}[(index >= 20) + (index >= 45)]
            pixels = np.full((64, 96, 3), colour, np.int16) + index // 4
            pixels[10:40, index : index + 20] += 20
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.clip(pixels, 0, 255).astype(np.uint8))))
        out.mux(stream.encode(None))
    data = buffer.getvalue()
    with open_video(data) as video:
        assert video.cuts() == pytest.approx((2.0, 4.5))
        frames = list(video.frames(Sampling(scenes=2)))
    assert times(frames) == [0.5, 1.5, 2.6, 3.8, 4.8, 5.6]
    assert [frame.scene for frame in frames] == [0, 0, 1, 1, 2, 2]
    _, frames = read(data, Sampling(frames=6))
    assert [frame.scene for frame in frames] == [0, 0, 1, 1, 2, 2]
    _, frames = read(data)
    assert [frame.time for frame in frames if frame.following is None] == pytest.approx([1.9, 4.4, 5.9])


def test_a_shaking_camera_makes_no_cuts(clip):
    _, frames = read(clip(frames=30, seed=3, options={"preset": "ultrafast"}).make())
    assert {frame.scene for frame in frames[5:]} == {frames[5].scene}
