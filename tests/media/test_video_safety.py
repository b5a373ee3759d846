"""Files that try to have other files or hosts opened: the kernel and a listening socket say that nothing was."""

import ctypes
import io
import os
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

import av
import pytest

from deepfake_detector.core.errors import InputError, NoVideoStreamError, UnsupportedFormatError
from deepfake_detector.core.settings import VideoLimits
from deepfake_detector.media.containers import CODECS, DEMUXERS, opened
from deepfake_detector.media.sampling import Sampling
from deepfake_detector.media.video import open_video

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the watch on opened files is Linux's inotify")
IN_OPEN, IN_NONBLOCK = 0x20, 0o4000


class Bait:
    """A playable video that the crafted files lead to, on the disk and on a host; ``taken`` says whether it was."""

    def __init__(self, path: str, listener: socket.socket, watch: int) -> None:
        self.path, self._listener, self._watch = path, listener, watch
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}/bait.mp4"

    def taken(self) -> bool:
        """True if the file was opened, or the host called, since the last time."""
        try:
            return bool(os.read(self._watch, 4096))
        except BlockingIOError:
            pass
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def bait(clip, tmp_path):
    libc = ctypes.CDLL(None, use_errno=True)
    path = tmp_path / "bait.mp4"
    path.write_bytes(clip("mov", "mpeg4", frames=3).make())
    watch = libc.inotify_init1(IN_NONBLOCK)
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(path), IN_OPEN) >= 0
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield Bait(str(path), listener, watch)
    os.close(watch)


def test_the_bait_notices(bait):
    assert not bait.taken()
    Path(bait.path).read_bytes()
    assert bait.taken()
    socket.create_connection(("127.0.0.1", int(bait.url.split(":")[2].split("/")[0]))).close()
    assert bait.taken()
    assert not bait.taken()


PLAYLISTS = {
    "HLS": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n{target}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{target}'\n",
    "DASH": '<?xml version="1.0"?><MPD type="static" xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
    '<Representation id="1" mimeType="video/mp4"><BaseURL>{target}</BaseURL></Representation></AdaptationSet>'
    "</Period></MPD>",
    "SDP": "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\na=control:{target}\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_playlists_are_no_videos(bait, kind):
    for target in (bait.path, f"file:{bait.path}", bait.url):
        data = PLAYLISTS[kind].format(target=target).encode()
        with pytest.raises(UnsupportedFormatError), open_video(data):
            pass
        # Dressed up as a video, it gets that video's demuxer and no other.
        for dress in (b"", b"\0\0\0\x10ftypisom\0\0\0\0", b"\x1aE\xdf\xa3", b"RIFF\0\0\0\0AVI LIST", b"GIF89a"):
            with pytest.raises(InputError), open_video(dress + data) as video:
                list(video.frames())
            for container in DEMUXERS:
                with pytest.raises(InputError), opened(io.BytesIO(dress + data), container, "x", VideoLimits()):
                    raise UnsupportedFormatError("a container that opens and holds nothing is as good as refused")
    assert not bait.taken()


def test_the_concat_script_would_work_elsewhere(bait, tmp_path):
    script = tmp_path / "script.txt"
    script.write_text(PLAYLISTS["concat"].format(target=bait.path))
    with av.open(str(script), format="concat", options={"safe": "0"}) as container:
        assert len(list(container.decode(video=0))) == 3
    assert bait.taken()


def atoms(data: bytes, start: int = 0):
    """The atoms of a QuickTime file as (kind, payload)."""
    while start + 8 <= len(data):
        size = struct.unpack_from(">I", data, start)[0] or len(data) - start
        yield data[start + 4 : start + 8], data[start + 8 : start + size]
        start += size


def atom(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload) + 8) + kind + payload


def with_reference(data: bytes, reference: bytes) -> bytes:
    """A QuickTime file whose samples lie where ``reference``, an entry of "dref", says."""
    out = b""
    for kind, payload in atoms(data):
        if kind in {b"moov", b"trak", b"mdia", b"minf", b"dinf"}:
            out += atom(kind, with_reference(payload, reference))
        else:
            out += atom(kind, payload if kind != b"dref" else struct.pack(">II", 0, 1) + reference)
    return out


def alias(path: str) -> bytes:
    """A Macintosh alias record with an absolute path, as FFmpeg reads it (libavformat/mov.c, mov_read_dref)."""
    record = (
        bytes(10) + b"\0" + bytes(27) + bytes(12) + b"\0" + bytes(63) + bytes(16) + struct.pack(">hh", 0, 0) + bytes(16)
    )
    text = path.encode() + b"\0" * (len(path) % 2)
    record += struct.pack(">hH", 2, len(text)) + text + struct.pack(">hH", -1, 0)
    return atom(b"alis", bytes(4) + record)


def test_external_data_references_are_not_followed(bait, clip):
    movie = clip("mov", "mpeg4", frames=3).make()
    crafted = with_reference(movie, alias(bait.path))
    # Where it is asked to, FFmpeg does follow this reference.
    follow = {"enable_drefs": "1", "use_absolute_path": "1"}
    with av.open(io.BytesIO(crafted), format="mov", options=follow) as container:
        assert container.streams.video
    assert bait.taken()
    for reference in (alias(bait.path), alias(bait.url), atom(b"url ", bytes(4) + bait.url.encode() + b"\0")):
        with suppress(InputError), open_video(with_reference(movie, reference)) as video:
            list(video.frames(Sampling(every=1)))
    assert not bait.taken()


def test_reference_movies_are_not_followed(bait):
    for target in (bait.path, f"file://{bait.path}", bait.url):
        entry = atom(b"rdrf", bytes(4) + b"url " + struct.pack(">I", len(target) + 1) + target.encode() + b"\0")
        movie = atom(b"moov", atom(b"rmra", atom(b"rmda", entry)))
        for data in (movie, atom(b"ftyp", b"qt  \0\0\0\0qt  ") + movie):
            with pytest.raises(InputError), open_video(data):
                pass
    assert not bait.taken()


def test_a_demuxer_that_wants_another_file_is_refused(bait, clip, monkeypatch):
    """Even where FFmpeg is told to follow references, the door through which it opens files is shut."""
    from deepfake_detector.media import containers

    monkeypatch.setitem(containers._MAY, "enable_drefs", "1")
    monkeypatch.setitem(containers._MAY, "use_absolute_path", "1")
    with (
        suppress(InputError),
        open_video(with_reference(clip("mov", "mpeg4", frames=3).make(), alias(bait.path))) as video,
    ):
        list(video.frames(Sampling(every=1)))
    assert not bait.taken()


def test_files_are_not_opened_by_their_names(bait, clip, tmp_path):
    """A name that FFmpeg would take for a protocol or a pattern is the name of a file."""
    for name in ("concat:a|b.mp4", "subfile,,start,0,end,9,,:x.mp4", "clip%03d.mp4", "http:x.mp4"):
        path = tmp_path / name
        path.write_bytes(clip(frames=2).make())
        with open_video(path) as video:
            assert len(list(video.frames())) == 2
    with pytest.raises(InputError):
        open_video(f"concat:{bait.path}").__enter__()
    with pytest.raises(InputError):
        open_video(bait.url).__enter__()
    assert not bait.taken()


def test_the_decoders_on_the_list_are_those_that_are_met(clip):
    """The allow-list holds FFmpeg's names; a new FFmpeg that calls its AV1 decoder otherwise is noticed here."""
    for codec in ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "gif"):
        assert av.Codec(codec, "r").name in CODECS
    with pytest.raises(NoVideoStreamError), open_video(sound_only(clip)):
        pass


def sound_only(clip) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        sound = out.add_stream("libopus", rate=48_000)
        sound.layout = "mono"
        out.mux(sound.encode(clip._tone(0)))
        out.mux(sound.encode(None))
    return buffer.getvalue()


def test_threads_are_bounded(clip):
    with open_video(clip(frames=5).make(), VideoLimits(threads=3)) as video, video.walk() as walk:
        walk.next()
        assert walk._stream.codec_context.thread_count == 3
