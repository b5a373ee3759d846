"""open_video: what is in a clip comes out, upright, with its time stamps."""

import numpy as np
import pytest

from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video


def test_a_clip_gives_its_facts_and_frames(clip):
    data = clip("mp4", "libx264", frames=20, size=(96, 64))
    with open_video(data) as video:
        frames = list(video.frames(Sampling(every=1)))
        assert (video.info.container, video.info.codec) == ("MP4", "H.264")
        assert (video.info.width, video.info.height, video.info.frames) == (96, 64, 20)
        assert video.info.seconds == pytest.approx(2.0)
        assert not video.warnings
    assert [frame.index for frame in frames] == list(range(20))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(20) / 10)
    assert all(frame.pixels.shape == (64, 96, 3) and frame.pixels.dtype == np.uint8 for frame in frames)
