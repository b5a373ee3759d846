"""Picture files made on the spot."""

import io
from collections.abc import Callable

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


Clip = Callable[..., bytes]


@pytest.fixture(scope="session")
def clip() -> Clip:
    """A video file in memory: ``clip("mp4", "libx264", frames=20, size=(96, 64))``, 10 frames a second."""
    import av

    def _clip(container: str, codec: str, frames: int = 20, size: tuple[int, int] = (96, 64)) -> bytes:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format=container) as out:
            stream = out.add_stream(codec, rate=10, width=size[0], height=size[1], pix_fmt="yuv420p")
            for index in range(frames):
                pixels = np.full((size[1], size[0], 3), index * 200 // frames + 20, np.uint8)
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            out.mux(stream.encode(None))
        return buffer.getvalue()

    return _clip
