"""Picture files made on the spot."""

import io
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.media.formats import EXTENSIONS

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def encode() -> Encode:
    """Encode a Pillow image or an array: ``encode(image, "PNG", **options)``; HEIC through pillow-heif."""

    def _encode(picture: Image.Image | np.ndarray, format_name: str, **options: object) -> bytes:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        buffer = io.BytesIO()
        if format_name == "HEIC":
            import pillow_heif

            pillow_heif.from_pillow(image).save(buffer, **options)
        else:
            image.save(buffer, format_name, **options)
        return buffer.getvalue()

    return _encode


@pytest.fixture(scope="session")
def mutated() -> Callable[..., bytes]:
    """Bytes overwritten, cut out, doubled or cut off, mostly near the ends, where the structure is."""

    def _mutated(data: bytes, chance: random.Random, near: int) -> bytes:
        changed = bytearray(data)
        for _ in range(chance.randint(1, 8)):
            length = len(changed)
            places = [chance.randrange(length), chance.randrange(min(length, near)), length - chance.randint(1, near)]
            at = max(0, chance.choice(places))
            kind = chance.random()
            if kind < 0.7:
                changed[at : at + 1] = bytes([chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])])
            elif kind < 0.8 and length > 100:
                del changed[at : at + chance.randint(1, 20)]
            elif kind < 0.9:
                changed[at:at] = changed[at : at + chance.randint(1, 20)]
            else:
                changed[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"])
        return bytes(changed[: chance.randrange(1, len(changed) + 1)] if chance.random() < 0.15 else changed)

    return _mutated


@pytest.fixture(scope="session")
def scene() -> np.ndarray:
    """A smooth picture whose corners differ, uint8 RGB, 48 high, 64 wide: every turn and mirroring shows."""
    rows, columns = np.mgrid[0:48, 0:64]
    picture = np.stack([rows * 5, columns * 4, (rows + columns) * 2 + 20], axis=-1)
    return picture.astype(np.uint8)


@pytest.fixture(scope="session")
def samples(encode: Encode, scene: np.ndarray) -> dict[str, bytes]:
    """One file of each format, and some odd varieties, all of them small."""
    photo = np.asarray(Image.fromarray(scene).resize((32, 24)))
    deep = Image.fromarray(photo[..., 0].astype(np.uint16) * 257)
    frames = {"save_all": True, "append_images": [Image.fromarray(255 - photo)]}
    exif = Image.Exif()
    exif.update({0x0112: 6, 0x010F: "maker", 0x9286: "comment"})
    files = {name: encode(photo, name) for name in EXTENSIONS}
    files["JPEG progressive exif"] = encode(photo, "JPEG", progressive=True, exif=exif)
    files["JPEG multi-picture"] = encode(photo, "MPO", **frames)
    files["PNG 16 bit"] = encode(deep, "PNG")
    files["PNG animated"] = encode(photo, "PNG", exif=exif, **frames)
    files["PNG palette"] = encode(Image.fromarray(photo).convert("P"), "PNG", transparency=3)
    files["GIF animated"] = encode(photo, "GIF", **frames)
    files["TIFF lzw"] = encode(photo, "TIFF", compression="tiff_lzw", exif=exif)
    files["TIFF pages"] = encode(deep, "TIFF", save_all=True, append_images=[deep])
    files["TIFF jpeg"] = encode(photo, "TIFF", compression="jpeg")
    files["BMP palette"] = encode(Image.fromarray(photo).convert("P"), "BMP")
    files["WEBP lossless"] = encode(photo, "WEBP", lossless=True, exif=exif)
    return files


@dataclass
class Clip:
    """A clip to be made: 10 frames a second unless ``times`` (seconds) are given, each a little brighter.

    The top left quarter is red, so that every turn and mirroring shows.
    """

    container: str = "mp4"
    codec: str = "libx264"
    frames: int = 20
    size: tuple[int, int] = (96, 64)
    times: Sequence[float] | None = None
    options: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    rotation: tuple[float, bool] | None = None
    aspect: Fraction | None = None
    sound: str | None = None
    seed: int | None = None
    path: str | None = None

    def make(self) -> bytes:
        """The bytes of the file, which is written to ``path`` if there is one."""
        import av

        buffer = io.BytesIO()
        with av.open(self.path or buffer, "w", format=self.container, container_options=self.muxer) as out:
            # AVI has one slot for each tick of its clock; the others get a fine one.
            clock = Fraction(1, 10 if self.container == "avi" else 1000)
            video = out.add_stream(self.codec, rate=10, options=self.options, time_base=clock)
            video.width, video.height, video.pix_fmt = *self.size, self.pix_fmt
            video.codec_context.thread_count = 1
            if self.aspect:
                video.codec_context.sample_aspect_ratio = self.aspect
            if self.rotation:
                video.set_display_rotation(self.rotation[0], hflip=self.rotation[1])
            sound = out.add_stream(self.sound, rate=48_000) if self.sound else None
            if sound:
                sound.layout = "mono"
            for index, seconds in enumerate(self.times or [index / 10 for index in range(self.frames)]):
                frame = av.VideoFrame.from_ndarray(self.draw(index)).reformat(format=self.pix_fmt)
                frame.pts, frame.time_base = round(seconds / clock), clock
                out.mux(video.encode(frame))
                if sound:
                    out.mux(sound.encode(self._tone(index)))
            out.mux(video.encode(None))
            if sound:
                out.mux(sound.encode(None))
        return buffer.getvalue()

    def draw(self, index: int) -> np.ndarray:
        """The pixels of a frame; with a seed, noise of which nothing can be foretold."""
        width, height = self.size
        if self.seed is not None:
            return np.random.default_rng([self.seed, index]).integers(0, 256, (height, width, 3), np.uint8)
        pixels = np.full((height, width, 3), self.brightness(index), np.uint8)
        pixels[: height // 2, : width // 2] = (200, 20, 20)
        return pixels

    def brightness(self, index: int) -> int:
        """The grey value of a frame, 0–255."""
        return 40 + 180 * index // len(self.times or range(self.frames))

    @staticmethod
    def _tone(index: int):
        import av

        wave = np.sin(np.arange(4800) * 2 * np.pi * 440 / 48_000) * 8000
        frame = av.AudioFrame.from_ndarray(wave.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, index * 4800, Fraction(1, 48_000)
        return frame


@pytest.fixture(scope="session")
def clip() -> type[Clip]:
    """Makes videos: ``clip("mp4", "libx264", frames=20).make()``."""
    return Clip
