"""expand: files, folders, patterns and standard input to single pictures."""

import io
import itertools
import os
from pathlib import Path

import pytest

from deepfake_detector.core.errors import LimitExceededError, NoPicturesError, UnreadableInputError
from deepfake_detector.core.settings import Limits
from deepfake_detector.media.image import load_image
from deepfake_detector.media.inputs import InputItem, expand


@pytest.fixture
def tree(tmp_path, monkeypatch) -> Path:
    """A folder ``photos`` with pictures, a note and hidden things; the working folder lies above it."""
    for name in (
        "b.jpg",
        "A.PNG",
        "note.txt",
        ".hidden.jpg",
        "sub/c.webp",
        "sub/deeper/d.heic",
        "sub/photo[1].jpg",
        ".cache/e.jpg",
        "zoo.tiff",
    ):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "photos" / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


ALL = [
    "photos/A.PNG",
    "photos/b.jpg",
    "photos/sub/c.webp",
    "photos/sub/deeper/d.heic",
    "photos/sub/photo[1].jpg",
    "photos/zoo.tiff",
]


def paths(*arguments: str) -> list[str]:
    items = list(expand(arguments))
    assert all(item.error is None for item in items)
    return [item.path for item in items]


def test_a_folder_is_searched_in_the_order_of_names(tree):
    assert paths("photos") == ALL
    assert paths("photos/") == ALL
    assert paths(".") == [f"./{path}" for path in ALL]
    assert paths(str(tree)) == [str(tree.parent / path) for path in ALL]


def test_files_keep_their_order_and_are_taken_whatever_they_are_called(tree):
    given = ["photos/zoo.tiff", "photos/note.txt", "photos/.hidden.jpg", "photos/b.jpg", "photos/sub/photo[1].jpg"]
    assert paths(*given) == given


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("photos/*.jpg", ["photos/b.jpg"]),
        ("photos/?.*", ["photos/A.PNG", "photos/b.jpg"]),
        ("photos/[ab].jpg", ["photos/b.jpg"]),
        ("photos/**/*.jpg", ["photos/b.jpg", "photos/sub/photo[1].jpg"]),
        ("**/*.webp", ["photos/sub/c.webp"]),
        ("photos/s*", [path for path in ALL if path.startswith("photos/sub/")]),
        ("photos/.h*", ["photos/.hidden.jpg"]),
        ("photos/*", [*ALL[:2], "photos/note.txt", *ALL[2:]]),
    ],
)
def test_patterns_are_expanded_as_a_shell_does(tree, pattern, expected):
    assert paths(pattern) == expected
    absolute = paths(str(tree.parent / pattern))
    assert absolute == [str(tree.parent / path) for path in expected]


def test_each_argument_is_answered_even_if_another_led_to_the_same_picture(tree):
    spelled = ["photos/b.jpg", "photos/b.jpg", "./photos/b.jpg", "photos/../photos/b.jpg", str(tree / "b.jpg")]
    assert paths(*spelled) == spelled
    assert paths("photos", "photos/*.jpg") == [*ALL, "photos/b.jpg"]


def test_a_pattern_that_matches_a_folder_and_its_subfolders_gives_each_picture_once(tree):
    assert sorted(set(paths("photos/**")) - {"photos/note.txt"}) == ALL
    assert len(set(paths("photos/**"))) == len(paths("photos/**"))


def test_a_link_to_a_picture_is_a_picture_of_its_own(tree):
    (tree / "link.jpg").symlink_to("b.jpg")
    assert paths("photos/b.jpg", "photos/link.jpg") == ["photos/b.jpg", "photos/link.jpg"]


def test_linked_loops_end(tree):
    for number in range(4):
        (tree / f"loop{number}").symlink_to(tree, target_is_directory=True)
        (tree / "sub" / f"up{number}").symlink_to("..", target_is_directory=True)
    (tree / "itself.jpg").symlink_to("itself.jpg")
    (tree / "itself").symlink_to("itself")
    assert [path for path in paths("photos") if "itself" not in path] == ALL
    assert "photos/itself.jpg" in paths("photos")  # a broken link is named, not passed over
    assert set(ALL) <= set(paths("photos/**/*.*"))


def test_a_linked_folder_is_entered_once(tree):
    (tree.parent / "more").mkdir()
    (tree.parent / "more" / "way").symlink_to(tree / "sub", target_is_directory=True)
    assert paths("more") == ["more/way/c.webp", "more/way/deeper/d.heic", "more/way/photo[1].jpg"]


@pytest.mark.parametrize("argument", ["photos/empty", "photos/*.gif", "photos/emp*"])
def test_a_folder_or_pattern_without_a_picture_is_an_error_with_its_name(tree, argument):
    items = list(expand([argument, "photos/b.jpg"]))
    assert [item.path for item in items] == [argument, "photos/b.jpg"]
    assert isinstance(items[0].error, NoPicturesError)
    assert argument in str(items[0].error)
    with pytest.raises(NoPicturesError):
        _ = items[0].source


@pytest.mark.parametrize("argument", ["missing.jpg", "photos/missing", "", "a\0b", "x" * 5000])
def test_what_does_not_exist_is_unreadable_and_does_not_stop_the_others(tree, argument):
    items = list(expand([argument, "photos/b.jpg"]))
    assert isinstance(items[0].error, UnreadableInputError)
    assert items[1] == InputItem("photos/b.jpg")


def test_a_folder_that_may_not_be_read_is_named_and_the_others_go_on(tree, monkeypatch):
    scandir = os.scandir

    def refuse(path: str) -> object:
        if path == "photos/sub":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    items = list(expand(["photos"]))
    assert [item.path for item in items] == ["photos/A.PNG", "photos/b.jpg", "photos/sub", "photos/zoo.tiff"]
    assert "Permission denied" in str(items[2].error)


def test_standard_input_is_read_once(encode, scene):
    data = encode(scene, "PNG")
    first, second = expand(["-", "-"], stdin=io.BytesIO(data))
    assert first == InputItem("-", data=data)
    assert load_image(first.source).info.width == 64
    assert "once" in str(second.error)


def test_standard_input_that_is_closed_or_broken_is_unreadable(monkeypatch):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            raise IsADirectoryError(21, "Is a directory")

    (item,) = expand(["-"], stdin=Broken())
    assert isinstance(item.error, UnreadableInputError)
    assert "Is a directory" in str(item.error)
    monkeypatch.setattr("sys.stdin", None)
    (item,) = expand(["-"])
    assert isinstance(item.error, UnreadableInputError)
    assert "closed" in str(item.error)


def test_standard_input_is_read_no_further_than_the_limit(encode, scene):
    endless = io.BytesIO(encode(scene, "PNG") + b"\0" * 10_000)
    limits = Limits(max_bytes=5000)
    (item,) = expand(["-"], stdin=endless, limits=limits)
    assert item.data is not None
    assert len(item.data) == 5001
    with pytest.raises(LimitExceededError):
        load_image(item.source, limits)


def test_the_stream_is_lazy(tree):
    def arguments():
        yield "photos/b.jpg"
        pytest.fail("the second argument was asked for before the first item was taken")

    assert next(expand(arguments())).path == "photos/b.jpg"


def test_a_long_chain_of_folders(tmp_path):
    folder = tmp_path
    for _ in range(300):
        folder = folder / "d"
    folder.mkdir(parents=True)
    (folder / "x.png").touch()
    assert [Path(path).name for path in itertools.islice(paths(str(tmp_path)), 2)] == ["x.png"]


def test_a_folder_gives_its_videos_where_they_are_asked_for(tree):
    for name in ("a.mp4", "sub/c.MKV", "c.mpg", "z.gif"):
        (tree / name).write_bytes(b"x")
    pictures = ["photos/z.gif", *ALL]
    assert set(paths("photos")) == set(pictures)
    found = [item.path for item in expand(["photos"], videos=True)]
    assert set(found) == {*pictures, "photos/a.mp4", "photos/sub/c.MKV"}
    assert found.index("photos/a.mp4") == 1
    with pytest.raises(NoPicturesError, match=r"picture or video .*Matroska"):
        _ = next(expand(["photos/empty"], videos=True)).source


def test_a_video_is_told_by_its_first_bytes(tree, samples):
    starts = {
        b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41": True,
        b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  ": True,
        b"\x00\x00\x10\x00moov\x00\x00\x00\x6cmvhd": True,
        b"\x1aE\xdf\xa3\x9f\x42\x86\x81\x01": True,
        b"RIFF\x00\x10\x00\x00AVI LIST": True,
        b"RIFF\x00\x10\x00\x00WAVEfmt ": False,
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1": False,
        b"": False,
    }
    for data, expected in [*starts.items(), *((sample, False) for sample in samples.values())]:
        (tree / "b.jpg").write_bytes(data)
        assert InputItem(str(tree / "b.jpg")).is_video is expected, data[:20]
        assert InputItem("-", data=data).is_video is expected


def test_what_cannot_be_read_is_no_video(tree):
    os.mkfifo(tree / "pipe.mp4")
    assert not InputItem(str(tree / "pipe.mp4")).is_video
    assert not InputItem("missing.mp4").is_video
    assert not InputItem("a\0b.mp4").is_video
    assert not InputItem("x", error=UnreadableInputError("no")).is_video
