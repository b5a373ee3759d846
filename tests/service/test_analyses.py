"""Files in, answers out, over a real network with a real worker."""

import io
import json

import jsonschema
import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.types import Report
from deepfake_detector.pipeline import Detector
from deepfake_detector.report.schema import from_json, json_schema

PDF = b"%PDF-1.7 and so on"


def send(http, *contents, headers=None, **fields):
    files = [("file", (f"{number}.jpg", content)) for number, content in enumerate(contents)]
    return http.post("/v1/analyses", files=files, data=fields, headers=headers)


def ended(http, eventually, batch):
    """The analyses of a batch once all have ended."""

    def look():
        found = http.get(f"/v1/batches/{batch['batch']}").json()["analyses"]
        return found if all(one["state"] in ("done", "failed", "cancelled") for one in found) else None

    return eventually(look)


def code(response):
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert body["type"].endswith(body["code"])
    return response.status_code, body["code"]


def test_one_picture_is_answered_at_once_with_what_the_detector_says(http, portrait, tiny_bundle):
    response = send(http, portrait)
    assert response.status_code == 200
    body = response.json()
    assert response.headers["location"] == body["links"]["self"] == f"/v1/analyses/{body['id']}"
    assert body["state"] == "done"
    jsonschema.validate(body["report"], json_schema())
    said = from_json(json.dumps(body["report"]))
    expected = Detector(tiny_bundle).analyze(portrait)
    assert isinstance(said, Report)
    assert said.input.path == "0.jpg"
    assert (said.verdict, said.kind, len(said.faces)) == (expected.verdict, expected.kind, len(expected.faces))
    assert said.p_fake == pytest.approx(expected.p_fake, abs=1e-4)
    assert body["text"]["faces"][0]["verdict"] == said.faces[0].verdict.value


def test_the_options_are_obeyed(http, portrait):
    strict = send(http, portrait, operating_point="fpr1", prior="0.01", all_faces="true").json()
    decision = strict["report"]["decision"]
    assert (decision["operating_point"], decision["prior"], decision["all_faces"]) == ("fpr1", 0.01, True)
    assert strict["report"]["p_fake"] < send(http, portrait).json()["report"]["p_fake"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", (422, "empty")),
        (b"hello", (415, "unsupported_format")),
        (PDF, (415, "unsupported_format")),
        (b"\xff\xd8\xff\xe0 cut off", (422, "damaged")),
    ],
)
def test_what_cannot_be_analysed_is_a_problem_with_a_code(http, content, expected):
    response = send(http, content)
    assert code(response) == expected
    assert "0.jpg" in response.json()["detail"] or "the input" in response.json()["detail"]


def test_what_is_neither_picture_nor_video_is_refused_in_plain_words(http):
    assert "it looks like a PDF document" in send(http, PDF).json()["detail"]


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(http):
    header = io.BytesIO()
    Image.new("1", (40_000, 8_000)).save(header, "PNG")
    response = send(http, header.getvalue())
    assert code(response) == (413, "too_large")
    kept = http.get(f"/v1/analyses/{response.json()['analysis']}").json()
    assert (kept["state"], kept["error"]["code"]) == ("failed", "too_large")


def test_several_files_are_jobs_each_with_its_own_end(http, portrait, png, eventually):
    response = send(http, portrait, b"no picture", png)
    assert response.status_code == 202
    batch = response.json()
    assert response.headers["location"] == f"/v1/batches/{batch['batch']}"
    first, second, third = ended(http, eventually, batch)
    assert [one["file"]["name"] for one in (first, second, third)] == ["0.jpg", "1.jpg", "2.jpg"]
    assert (first["state"], third["verdict"]) == ("done", "no_face")
    assert (second["state"], second["error"]["code"], second["file"]["kept"]) == ("failed", "unsupported_format", False)


def test_who_prefers_not_to_wait_gets_a_job(http, portrait, eventually):
    response = send(http, portrait, headers={"Prefer": "respond-async"})
    assert response.status_code == 202
    (job,) = ended(http, eventually, response.json())
    assert response.headers["location"] == job["links"]["self"]
    assert job["state"] == "done"
    assert send(http, portrait, headers={"Prefer": "wait=0"}).status_code == 202


def test_progress_is_told_until_the_end(http, portrait):
    job = send(http, portrait, portrait).json()["analyses"][1]
    with http.stream("GET", job["links"]["events"]) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = list(stream.iter_lines())
    names = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
    assert names[-1] == "end"
    assert set(names[:-1]) <= {"progress"}
    last = json.loads([line for line in lines if line.startswith("data: ")][-1].removeprefix("data: "))
    assert (last["id"], last["state"], last["progress"]) == (job["id"], "done", 1.0)


def test_lists_are_filtered_and_paged_without_gaps(http, portrait, png, eventually):
    batch = send(http, portrait, png, b"x", png).json()
    ended(http, eventually, batch)
    wanted = {"batch": batch["batch"], "limit": 2}
    first = http.get("/v1/analyses", params=wanted).json()
    second = http.get("/v1/analyses", params=wanted | {"cursor": first["next"]}).json()
    assert second["next"] is None
    seen = [one["id"] for one in first["analyses"] + second["analyses"]]
    assert sorted(seen) == sorted(one["id"] for one in batch["analyses"])
    for filters, number in (({"state": "failed"}, 1), ({"verdict": "no_face"}, 2), ({"state": "queued"}, 0)):
        found = http.get("/v1/analyses", params=filters | {"batch": batch["batch"]}).json()["analyses"]
        assert len(found) == number


def test_the_report_is_served_in_a_sandbox(http, portrait):
    link = send(http, portrait).json()["links"]["report"]
    response = http.get(link)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "unsafe" not in policy
    assert "sha256-" in policy
    assert "0.jpg" in response.text
    assert "content-disposition" not in response.headers
    saved = http.get(link, params={"download": True}).headers["content-disposition"]
    assert saved.startswith('attachment; filename="deepfake-report-')


def test_the_preview_is_drawn_anew_and_holds_no_metadata(http, portrait):
    response = http.get(send(http, portrait).json()["links"]["preview"])
    assert response.headers["content-type"] == "image/jpeg"
    assert b"SECRET-CAMERA" in portrait
    assert b"SECRET-CAMERA" not in response.content
    assert Image.open(io.BytesIO(response.content)).size == (512, 512)


def test_an_answer_without_heat_maps_says_so(http, portrait):
    body = send(http, portrait).json()
    assert body["links"]["heatmaps"] == [None]
    assert code(http.get(f"{body['links']['self']}/heatmaps/1.png")) == (404, "no_heatmap")
    assert code(http.get(f"{body['links']['self']}/heatmaps/2.png")) == (404, "no_heatmap")


def test_an_explanation_brings_maps_words_and_provenance_and_moves_no_score(http, portrait):
    plain, body = send(http, portrait).json(), send(http, portrait, explain="true").json()
    assert body["options"]["explain"] is True
    assert (plain["p_fake"], plain["verdict"]) == (body["p_fake"], body["verdict"])
    assert plain["text"]["provenance"] == plain["text"]["faces"][0]["reasons"] == []
    assert plain["text"]["map"] is None
    text = body["text"]
    assert text["map"].startswith("Class-activation map")
    assert any("Saved again in 4 light ways" in said for said in text["faces"][0]["reasons"])
    assert text["provenance"][0].startswith("The file has no C2PA manifest")
    assert any("SECRET-CAMERA" in said for said in text["provenance"])
    (link,) = body["links"]["heatmaps"]
    drawn = Image.open(io.BytesIO(http.get(link).content))
    assert (drawn.mode, drawn.size) == ("RGBA", (512, 512))
    report = http.get(body["links"]["report"]).text
    assert "Its heat map" in report
    assert "deepfake explain 0.jpg --output case" in report


def test_the_case_and_the_forensic_views_can_be_had(http, portrait):
    links = send(http, portrait, explain="true").json()["links"]
    case = http.get(links["case"])
    assert case.headers["content-disposition"].startswith("attachment; filename=")
    said = case.json()
    assert said["answer"]["faces"][0]["heatmap"]["method"] == "cam"
    assert said["command"].startswith("deepfake explain 0.jpg")
    assert said["model"]["license"]
    views = http.get(links["forensic"])
    assert views.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert views.text.count("<img") == 3


def test_deleting_leaves_nothing(http, server, portrait):
    body = send(http, portrait).json()
    file = server.folder / "uploads" / body["id"]
    assert file.read_bytes() == portrait
    assert http.delete(body["links"]["self"]).status_code == 204
    assert not file.exists()
    for method, place in (("GET", body["links"]["self"]), ("DELETE", body["links"]["self"])):
        assert code(http.request(method, place)) == (404, "not_found")


def test_what_has_ended_cannot_be_cancelled(http, portrait):
    assert code(http.post(f"{send(http, portrait).json()['links']['self']}/cancel")) == (409, "conflict")


def test_a_repetition_with_the_same_idempotency_key_is_not_analysed_again(http, server, portrait, png):
    key = {"Idempotency-Key": f"once-{portrait[:4].hex()}"}
    first = send(http, portrait, headers=key).json()
    before = len(list((server.folder / "uploads").iterdir()))
    assert send(http, portrait, headers=key).json()["id"] == first["id"]
    assert len(list((server.folder / "uploads").iterdir())) == before
    assert code(send(http, png, headers=key)) == (422, "idempotency_mismatch")
    assert code(send(http, portrait, headers=key, prior="0.1")) == (422, "idempotency_mismatch")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("x" * 400 + ".jpg", "x" * 255),
        ("<script>alert(1)<script>.jpg", "<script>alert(1)<script>.jpg"),
        ("  ", "file without a name"),
    ],
)
def test_a_files_name_is_shown_and_never_used(http, server, png, name, shown):
    body = http.post("/v1/analyses", files={"file": (name, png)}).json()
    assert body["file"]["name"] == shown
    assert (server.folder / "uploads" / body["id"]).read_bytes() == png
    page = http.get(body["links"]["report"]).text
    assert "<script" not in page


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"content": b"raw bytes"}, (400, "bad_request")),
        ({"json": {"url": "http://169.254.169.254/"}}, (400, "bad_request")),
        ({"files": {"picture": ("a.png", b"x")}}, (422, "invalid")),
        ({"files": {"file": (None, "text")}}, (422, "invalid")),
        ({"files": {"file": ("a.png", b"x")}, "data": {"prior": "2"}}, (422, "invalid")),
        ({"files": {"file": ("a.png", b"x")}, "data": {"url": "http://localhost/"}}, (422, "invalid")),
        ({"files": [("file", (str(n), b"x")) for n in range(70)]}, (413, "too_many_files")),
        ({"content": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data"}}, (400, "bad_request")),
    ],
)
def test_a_form_that_is_none_is_refused(http, request_, expected):
    assert code(http.post("/v1/analyses", **request_)) == expected


@pytest.mark.parametrize("place", ["/v1/analyses/xyz", "/v1/analyses?limit=0", "/v1/analyses?cursor=a"])
def test_parameters_that_make_no_sense_are_refused(http, place):
    assert code(http.get(place)) == (422, "invalid")


def test_the_model_is_told_with_the_licence_of_its_weights(http):
    body = http.get("/v1/model").json()
    assert body["model"]["name"] == body["card"]["name"] == "tiny"
    assert body["model"]["license"] == "MIT"
    assert body["limits"]


def test_health_readiness_and_figures(http, portrait):
    send(http, portrait)
    assert http.get("/healthz").json()["status"] == http.get("/readyz").json()["status"] == "ok"
    text = http.get("/metrics").text
    assert 'deepfake_http_requests_total{method="POST",route="/v1/analyses",status="200"}' in text
    assert "deepfake_analyses_total{" in text
    assert 'deepfake_jobs{state="queued"} 0.0' in text


def test_unknown_places_and_methods_are_problems_too(http):
    assert code(http.get("/v1/nothing")) == (404, "not_found")
    assert code(http.put("/v1/analyses")) == (405, "method_not_allowed")


def test_a_large_picture_goes_through(http):
    noise = np.random.default_rng(0).integers(0, 256, (2000, 3000, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    body = send(http, buffer.getvalue()).json()
    assert (body["report"]["input"]["width"], body["file"]["bytes"]) == (3000, len(buffer.getvalue()))
