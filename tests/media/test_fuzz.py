"""Whatever the bytes: pixels come out, or one of our errors, and nothing on the terminal."""

import random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepfake_detector.core.errors import InputError
from deepfake_detector.core.settings import Limits
from deepfake_detector.media.image import load_image


def only_our_errors(data: bytes) -> None:
    try:
        loaded = load_image(data, Limits(max_pixels=4_000_000))
    except InputError as error:
        assert str(error)
    else:
        assert loaded.pixels.ndim == 3
        assert loaded.pixels.shape[2] == 3
        assert loaded.pixels.size > 0


def test_mutated_pictures_give_pixels_or_our_errors(samples, mutated, recwarn, capsys):
    chance = random.Random(20240601)
    for data in samples.values():
        for _ in range(150):
            only_our_errors(mutated(data, chance, near=200))
    assert not recwarn.list
    assert capsys.readouterr() == ("", "")


STARTS = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"BM" + b"\0" * 12]
STARTS += [b"RIFF\x40\0\0\0WEBPVP8 ", b"\0\0\0\x18ftypavif\0\0\0\0avif", b"\0\0\0\x18ftypheic\0\0\0\0heic", b""]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.sampled_from(STARTS), rest=st.binary(max_size=400))
def test_any_bytes_give_pixels_or_our_errors(start, rest):
    only_our_errors(start + rest)
