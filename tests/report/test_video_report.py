"""A video's answer as JSON, as rows, and as a page: nothing is lost, nothing runs, each dot leads to its frame."""

import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime

import jsonschema
import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.explanation import Heatmap, MapMethod
from deepfake_detector.core.types import Box, Kind, Quality, QualityIssue, Verdict
from deepfake_detector.core.video import (
    Curve,
    Exhibit,
    Observation,
    Person,
    SampledFrames,
    Segment,
    Still,
    VideoInput,
    VideoReport,
)
from deepfake_detector.report.html import HtmlReport
from deepfake_detector.report.schema import from_json, json_schema, to_json
from deepfake_detector.report.table import csv_row, table_row
from deepfake_detector.report.video_text import answer_reasons, answer_sentence, seconds_words


def jpeg(side=12):
    file = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), 90, np.uint8)).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def make_person(make_face):
    def make(number=1, verdict=Verdict.FAKE, p_fake=0.93, **changes):
        seen = tuple(
            Observation(
                at, at * 0.5, 0, Box(10.0 + at, 20.0, 40.0, 50.0), None, 0.99, Quality(40.0, 90.0, 110.0), 1.0, share
            )
            for at, share in enumerate((0.2, 0.9, 0.95, 0.4))
        )
        heatmap = Heatmap(MapMethod.CAM, ((1.0, -1.0),), ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0)))
        values = {
            "id": number,
            "face": make_face(p_fake, verdict),
            "time": 1.0,
            "pooling": "mean",
            "observations": seen,
            "segments": (Segment(0.25, 1.25, 0.92),),
            "exhibits": (Exhibit(2, 1.0, 0.95, jpeg(), jpeg(), heatmap), Exhibit(1, 0.5, 0.9, jpeg())),
            "curves": (Curve("score_flicker", (0.5, 1.0), (0.1, 0.4), "logits", (0.0, 0.2)),),
        }
        return Person(**(values | changes))

    return make


@pytest.fixture
def make_video(make_report, make_person):
    def make(*persons, **changes):
        picture = make_report()
        persons = persons or (make_person(),)
        values = {
            "input": VideoInput("clips/a.mp4", "ab" * 32, 999, "MP4", "H.264", 640, 360, 2.0, 25.0, True),
            "model": picture.model,
            "verdict": Verdict.FAKE,
            "p_fake": 0.93,
            "kind": Kind.MANIPULATED,
            "decision": picture.decision,
            "sampling": SampledFrames("4 frames, evenly", 4, (1.6,)),
            "persons": persons,
            "warnings": ("one",),
            "timings": {"decode": 0.5, "find": 0.5},
            "elapsed": 0.7,
            "still": Still(2, 1.0, jpeg(64), 64, 64),
        }
        return VideoReport(**(values | changes))

    return make


def page(tmp_path, *reports):
    target = tmp_path / "report.html"
    html = HtmlReport(target, None, len(reports), datetime(2025, 1, 2, tzinfo=UTC))
    for report in reports:
        html.add(report, None)
    html.close()
    return target.read_text(encoding="utf-8")


def test_what_was_written_is_read_again_without_loss(make_video, make_person):
    report = make_video(make_person(), make_person(2, Verdict.REAL, 0.1, segments=(), exhibits=()))
    assert from_json(to_json(report)) == report
    bare = make_video(verdict=Verdict.NO_FACE, p_fake=None, kind=None, still=None)
    bare = replace(bare, persons=(), input=replace(bare.input, duration=None, fps=None, path=None))
    assert from_json(to_json(bare)) == bare


def test_a_record_fits_the_schema_and_has_the_keys_of_a_picture(make_video, make_report):
    record = json.loads(to_json(make_video()))
    jsonschema.validate(record, json_schema(), jsonschema.Draft202012Validator)
    picture = json.loads(to_json(make_report()))
    assert {"path", "verdict", "p_fake", "kind", "faces", "error"} <= set(record) & set(picture)
    assert set(record["faces"][0]) == set(picture["faces"][0])
    (person,) = record["persons"]
    assert [frame["p_fake"] for frame in person["timeline"]] == [0.2, 0.9, 0.95, 0.4]
    assert person["segments"] == [{"start": 0.25, "end": 1.25, "score": 0.92}]
    assert person["exhibits"][0]["picture"].startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    "picture", ["data:image/png;base64,AAAA", "data:image/jpeg;base64,!!", "https://a.example/b.jpg"]
)
def test_what_is_no_embedded_jpeg_is_not_read(make_video, picture):
    record = json.loads(to_json(make_video()))
    record["still"]["picture"] = picture
    with pytest.raises(ConfigError, match="not an answer"):
        from_json(json.dumps(record))


def test_a_video_has_its_row(make_video):
    assert csv_row(make_video()).startswith("clips/a.mp4,fake,0.93,manipulated,1,")
    assert [str(cell) for cell in table_row(make_video())][:6] == [
        "clips/a.mp4", "fake", "93 %", "manipulated", "1", "0.70 s",
    ]  # fmt: skip


def test_the_sentence_names_who_is_fake_and_why_nobody_can_tell(make_video, make_person, make_face):
    two = make_video(make_person(1, Verdict.REAL, 0.1), make_person(2))
    assert answer_sentence(two) == "Person 2 carries traces of manipulation."
    assert answer_sentence(make_video()).startswith("The face carries")
    short = make_video(make_person(1, Verdict.UNCERTAIN, 0.2), verdict=Verdict.UNCERTAIN)
    assert answer_reasons(short) == ("looks fake for a while",)
    dark = make_face(0.9, Verdict.UNCERTAIN, quality=Quality(50.0, 90.0, 5.0, (QualityIssue.TOO_DARK,)))
    assert answer_reasons(make_video(make_person(face=dark), verdict=Verdict.UNCERTAIN)) == ("face too dark",)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0, "0.0 s"), (59.94, "59.9 s"), (59.96, "1:00.0"), (125, "2:05.0"), (3725, "1:02:05.0")]
)
def test_times_in_words(seconds, words):
    assert seconds_words(seconds) == words


def test_each_dot_on_the_timeline_leads_to_its_frame(make_video, make_person, tmp_path):
    text = page(tmp_path, make_video(make_person(), make_person(2)))
    links = re.findall(r'<a href="#(picture-1-person-[\w-]+)"', text)
    assert len(links) == 4
    assert set(links) == set(re.findall(r'id="(picture-1-person-[\w-]+)"', text))
    assert 'points="0,80 250,10 500,5 750,60"' in text
    assert re.search(r'class="time-band" x="125.0" y="0" width="500.0"', text)
    assert 'class="time-cut" x1="800.0"' in text
    assert "usual in real clips" in text


def test_the_page_stays_free_of_scripts_styles_and_strangers(make_video, tmp_path):
    report = make_video()
    text = page(tmp_path, replace(report, input=replace(report.input, path="<script>alert(1)</script>.mp4")))
    assert "<script" not in text
    assert " style=" not in text
    assert " onclick" not in text
    assert not re.findall(r'(?:src|href)="(?!data:image/jpeg;base64,|#)', text)
    assert "default-src 'none'" in text


def test_a_line_is_broken_where_nobody_was_seen(make_video, make_person, tmp_path):
    seen = make_person().observations
    times = (0.0, 0.1, 0.2, 1.8)
    moved = tuple(replace(one, time=time) for one, time in zip(seen, times, strict=True))
    text = page(tmp_path, make_video(make_person(observations=moved, curves=())))
    assert len(re.findall('class="time-line"', text)) == 1
    assert 'class="time-alone" cx="90.0%"' in text


def test_a_video_without_anybody_is_a_page_without_a_timeline(make_video, tmp_path):
    report = replace(make_video(), verdict=Verdict.NO_FACE, p_fake=None, kind=None, persons=(), still=None)
    text = page(tmp_path, report)
    assert "Only faces are judged, so nothing is said about this video." in text
    assert "Over time" not in text
