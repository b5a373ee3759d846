"""Pillow's warnings reach the thread that caused them, and nobody else's warnings are touched."""

import struct
import threading
import warnings

import pytest
from PIL import Image

from deepfake_detector.media.guard import guarded
from deepfake_detector.media.image import load_image


def warn_like_pillow(text: str, category: type[Warning] = UserWarning) -> None:
    warnings.warn_explicit(text, category, "Image.py", 1, module="PIL.Image", registry={})


def test_warnings_are_collected_once_and_the_bomb_warning_is_dropped():
    with guarded() as notes:
        warn_like_pillow("corrupt")
        warn_like_pillow("corrupt")
        warn_like_pillow("bomb", Image.DecompressionBombWarning)
    assert notes == ["corrupt"]


def test_other_code_is_not_silenced():
    with guarded() as notes, pytest.raises(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)
    assert notes == []


def test_filters_are_as_before_afterwards():
    before, shown_before = list(warnings.filters), warnings.showwarning
    with guarded(), guarded():
        pass
    assert list(warnings.filters) == before
    assert warnings.showwarning is shown_before


def test_threads_get_their_own():
    barrier = threading.Barrier(8)
    collected: dict[int, list[str]] = {}

    def work(number: int) -> None:
        barrier.wait()
        for _ in range(50):
            with guarded() as notes:
                warn_like_pillow(f"from {number}")
            collected.setdefault(number, []).extend(notes)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    before = list(warnings.filters)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collected == {number: [f"from {number}"] * 50 for number in range(8)}
    assert list(warnings.filters) == before


def test_a_complaint_about_a_file_becomes_a_warning_of_the_picture(encode, scene):
    data = bytearray(encode(scene, "TIFF"))
    directory = struct.unpack_from("<I", data, 4)[0]
    last = directory + 2 + 12 * (struct.unpack_from("<H", data, directory)[0] - 1)
    data[last : last + 12] = struct.pack("<HHII", 305, 2, 400, len(data) - 10)  # a text that reaches beyond the end
    loaded = load_image(bytes(data))
    assert "not quite in order" in loaded.warnings[0]
