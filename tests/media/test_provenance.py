"""What files say of themselves in EXIF, XMP and text chunks."""

import io
import json
import time

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from deepfake_detector.core.provenance import ManifestState, TraceKind
from deepfake_detector.media.metadata import Field, read_metadata
from deepfake_detector.media.provenance import read_provenance
from deepfake_detector.media.quantisation import jpeg_quality
from deepfake_detector.media.traces import find_traces

PIXELS = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8))
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description xmp:CreatorTool="Studio &amp; Co 1.0" '
    'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic">'
    "<photoshop:Credit>Made with Google AI</photoshop:Credit></rdf:Description></rdf:RDF></x:xmpmeta>"
)
A1111 = (
    "portrait of a woman\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"
)


def _png(**texts):
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    PIXELS.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _jpeg(quality=80, **more):
    buffer = io.BytesIO()
    PIXELS.save(buffer, "JPEG", quality=quality, **more)
    return buffer.getvalue()


def _exif(base=None, comment=None):
    exif = Image.Exif()
    for tag, value in (base or {}).items():
        exif[tag] = value
    if comment is not None:
        exif.get_ifd(0x8769)[0x9286] = comment
    return exif.tobytes()


@pytest.mark.parametrize(
    "texts, program",
    [
        ({"parameters": A1111}, "Stable Diffusion web UI"),
        ({"prompt": json.dumps({"3": {"class_type": "KSampler", "inputs": {}}})}, "ComfyUI"),
        ({"workflow": json.dumps({"last_node_id": 9, "nodes": []})}, "ComfyUI"),
        ({"invokeai_metadata": "{}"}, "InvokeAI"),
        ({"Software": "NovelAI", "Comment": "{}"}, "NovelAI"),
        ({"Description": "a knight --v 6.0 Job ID: 01234567-89ab-cdef-0123-456789abcdef"}, "Midjourney"),
        ({"Software": "Adobe Firefly"}, "Adobe Firefly"),
    ],
)
def test_generators_are_known_by_their_text_chunks(texts, program):
    provenance = read_provenance(_png(**texts))
    assert program in [trace.program for trace in provenance.traces if trace.kind is TraceKind.GENERATOR]
    assert not provenance.stripped


@pytest.mark.parametrize("coding", ["ASCII", "UNICODE-BE", "UNICODE-LE"])
def test_the_comment_of_a_jpeg_is_read_in_each_coding(coding):
    body = {
        "ASCII": b"ASCII\0\0\0" + A1111.encode(),
        "UNICODE-BE": b"UNICODE\0" + A1111.encode("utf-16-be"),
        "UNICODE-LE": b"UNICODE\0" + A1111.encode("utf-16-le"),
    }[coding]
    (trace,) = read_provenance(_jpeg(exif=_exif(comment=body))).traces
    assert (trace.program, trace.where) == ("Stable Diffusion web UI", "EXIF UserComment")
    assert trace.text.startswith("portrait of a woman Negative prompt")


def test_camera_and_programs_of_a_photo():
    exif = _exif({0x010F: "NIKON CORPORATION", 0x0110: "NIKON D5", 0x0131: "darktable 4.6"})
    provenance = read_provenance(_jpeg(exif=exif))
    assert provenance.camera == "NIKON CORPORATION NIKON D5"
    assert [(trace.program, trace.kind) for trace in provenance.traces] == [("darktable 4.6", TraceKind.OTHER)]
    assert not provenance.stripped


def test_the_make_is_not_said_twice():
    assert read_provenance(_jpeg(exif=_exif({0x010F: "Canon", 0x0110: "Canon EOS R5"}))).camera == "Canon EOS R5"


def test_xmp_names_the_source_type_and_the_programs():
    for data in (_jpeg(xmp=XMP.encode()), _png(**{"XML:com.adobe.xmp": XMP})):
        provenance = read_provenance(data)
        assert provenance.source_types == ("compositeSynthetic",)
        programs = {trace.program: trace for trace in provenance.traces}
        assert programs["Google AI"].kind is TraceKind.GENERATOR
        assert programs["Studio & Co 1.0"].kind is TraceKind.OTHER


def test_xmp_that_was_made_to_be_slow_is_not():
    for evil in (":Credit>" + "<>" * 90_000, ":Credit><a>" * 15_000, ':Credit="' * 20_000, ":Credit>" + " " * 190_000):
        began = time.process_time()
        read_metadata(_jpeg(xmp=evil.encode()[:65_000]))
        read_metadata(_png(**{"XML:com.adobe.xmp": evil}))
        assert time.process_time() - began < 2.0


def test_xmp_lists_are_read_too():
    listed = (
        "<dc:description><rdf:Alt><rdf:li xml:lang='x'>Job ID: 01234567-89ab-cdef-0123-456789abcdef</rdf:li></rdf:Alt>"
    )
    (trace,) = read_provenance(_jpeg(xmp=listed.encode())).traces
    assert (trace.program, trace.where) == ("Midjourney", "XMP description")


def test_beauty_filters_and_screenshots_have_kinds_of_their_own():
    (beauty,) = find_traces([Field("EXIF Software", "FaceApp 11.2")])
    (shot,) = find_traces([Field("EXIF UserComment", "Screenshot")])
    assert (beauty.kind, shot.kind) == (TraceKind.BEAUTY, TraceKind.SCREENSHOT)


@pytest.mark.parametrize(
    "field",
    [
        Field("EXIF ImageDescription", "My talk about DALL-E and Gemini"),
        Field("PNG text Title", "snow in the mountains"),
        Field("EXIF ImageDescription", "steps to the temple"),
        Field("XMP description", "The firefly, a beetle"),
        Field("EXIF Model", "Nikon D5"),
    ],
)
def test_words_of_a_caption_are_no_trace(field):
    assert find_traces([field]) == ()


def test_a_bare_file_is_stripped():
    for data in (_jpeg(), _png()):
        provenance = read_provenance(data)
        assert provenance.stripped
        assert provenance.manifest.state is ManifestState.NONE
        assert (provenance.camera, provenance.traces, provenance.source_types) == (None, (), ())


@pytest.mark.parametrize("quality", [5, 10, 35, 49, 50, 75, 92, 100])
def test_jpeg_quality_is_read_off_the_tables(quality):
    assert read_provenance(_jpeg(quality)).jpeg_quality == quality


def test_only_jpeg_has_a_quality():
    assert read_provenance(_png()).jpeg_quality is None
    assert jpeg_quality(()) is None
    assert 1 <= jpeg_quality([[200] * 64]) <= 20


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\nrubbish"])
def test_what_cannot_be_read_says_nothing(data):
    provenance = read_provenance(data)
    assert (provenance.traces, provenance.jpeg_quality) == ((), None)


def test_damaged_exif_does_not_stop_it():
    assert read_provenance(_jpeg(exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff")).camera is None


def test_fields_are_cut_and_without_null_characters():
    metadata = read_metadata(_png(parameters="a\0b " + "x" * 300_000))
    text = metadata.text("PNG text parameters")
    assert text is not None
    assert "\0" not in text
    assert len(text) <= 200_000
