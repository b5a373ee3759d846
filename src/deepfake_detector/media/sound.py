"""The sound of a video on its way into another file: copied as it is, or encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Any

from deepfake_detector.media.containers import require_av
from deepfake_detector.media.walk import start_of

if TYPE_CHECKING:
    from av import AudioStream, Packet
    from av.container import InputContainer, OutputContainer


class How(Enum):
    """What becomes of the sound; the later ones are tried where the earlier ones do not work."""

    COPIED = "copied"
    ENCODED = "encoded"
    LEFT_OUT = "left out"


_DECODERS = ("pcm_", "adpcm_", "amrnb", "amrwb", "libopencore_amr", "aac", "mp3", "opus", "vorbis", "flac", "ac3")
"""The starts of the names of the decoders that are used where sound has to be encoded anew."""


class Sound:
    """The first sound of ``heard``, written into ``out`` bit by bit; ``note`` says what was not kept, if anything.

    Raises ValueError or FFmpegError where ``out`` does not take the sound in this way.
    """

    def __init__(self, heard: InputContainer, out: OutputContainer, how: How) -> None:
        self._av = require_av()
        self._out, self._how = out, how
        self._start = start_of(heard)
        self._held: Packet[AudioStream] | None = None
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        self.note: str | None = None
        source = next(iter(heard.streams.audio), None)
        if source is None:
            return
        codec = "of an unknown codec" if source.codec_context is None else f"({source.codec_context.codec.name})"
        if how is How.LEFT_OUT:
            self.note = f"the sound {codec} could not be taken over and was left out"
            return
        for other in heard.streams:
            if other is not source:
                other.discard = self._av.stream.Discard.all
        self._stream: Any = self._copied(source) if how is How.COPIED else self._encoded(source)
        if how is How.ENCODED:
            self.note = f"the sound {codec} does not go into such a file and was encoded anew, as AAC"
        self._packets = iter(heard.demux(source))

    def _copied(self, source: AudioStream) -> Any:
        if source.codec_context is None:
            raise ValueError("no codec to copy")
        return self._out.add_stream_from_template(source)

    def _encoded(self, source: AudioStream) -> Any:
        context = source.codec_context
        if context is None or not context.codec.name.startswith(_DECODERS):
            raise ValueError("no decoder that may be used")
        context.thread_count = 1
        stream = self._out.add_stream("aac", rate=context.sample_rate)
        stream.codec_context.layout = "mono" if context.layout.nb_channels == 1 else "stereo"
        return stream

    def until(self, seconds: float | None) -> None:
        """Write what is heard up to a time, or to the end; damaged sound ends where it is damaged."""
        try:
            while (packet := self._next(seconds)) is not None:
                self._write(packet)
            if seconds is None and self._how is How.ENCODED:
                self._out.mux(self._stream.encode(None))
        except (self._av.FFmpegError, ValueError) as error:
            self._packets, self._held = iter(()), None
            self.note = f"the sound is damaged and breaks off ({error})"

    def _next(self, seconds: float | None) -> Packet[AudioStream] | None:
        """The next packet, unless it is heard after a time."""
        packet, self._held = self._held or next(self._packets, None), None
        if packet is None or packet.dts is None or seconds is None:
            return packet
        if float(packet.dts * packet.time_base) - self._start <= seconds:
            return packet
        self._held = packet
        return None

    def _write(self, packet: Packet[AudioStream]) -> None:
        shift = round(self._start / packet.time_base)
        if self._how is How.ENCODED:
            for frame in packet.decode():
                frame.pts = None if frame.pts is None else frame.pts - round(self._start / (frame.time_base or 1))
                self._out.mux(self._stream.encode(frame))
        elif packet.dts is not None and packet.pts is not None:
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = self._stream
            self._out.mux(packet)
