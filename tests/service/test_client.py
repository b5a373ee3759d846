"""The clients say over HTTP what the detector says in process, and do not give up at once."""

import asyncio
import json
from dataclasses import astuple

import httpx
import pytest

from deepfake_detector import AnalysisSettings, Detector, OperatingPoint, Report
from deepfake_detector.cli.main import main
from deepfake_detector.core.errors import DamagedInputError, InputError, ServiceError, UnsupportedFormatError
from deepfake_detector.core.types import Failure
from deepfake_detector.report.schema import from_json
from deepfake_detector.service.client import Access, AsyncDeepfakeDetectorClient, DeepfakeDetectorClient
from deepfake_detector.service.examples import DONE, QUEUED


@pytest.fixture
def photo(tmp_path, portrait):
    path = tmp_path / "photo.jpg"
    path.write_bytes(portrait)
    return path


def assert_same(said, expected):
    """Equal but for the times; the service's networks use one thread, so that sums come out in another order."""
    assert (said.input, said.verdict, said.kind) == (expected.input, expected.verdict, expected.kind)
    assert (said.decision, said.warnings) == (expected.decision, expected.warnings)
    for face, other in zip(said.faces, expected.faces, strict=True):
        assert astuple(face.box) == pytest.approx(astuple(other.box), abs=0.1)
        assert face.logit == pytest.approx(other.logit, abs=1e-2)
        assert (face.verdict, face.kind) == (other.verdict, other.kind)


def mocked(client, *answers):
    """Let a client get these answers in turn; returns the requests that it sent."""
    sent, left = [], list(answers)

    def answer(request):
        sent.append(request)
        next_one = left.pop(0)
        if isinstance(next_one, Exception):
            raise next_one
        return next_one

    client._http._transport = httpx.MockTransport(answer)
    return sent


def test_both_clients_say_what_the_detector_says(server, photo, tiny_bundle):
    settings = AnalysisSettings(OperatingPoint.FPR1, prior=0.2, all_faces=True)
    expected = Detector(tiny_bundle, settings).analyze(str(photo))

    async def ask():
        async with AsyncDeepfakeDetectorClient(server.address, settings=settings) as client:
            reports = await asyncio.gather(*(client.analyze(photo) for _ in range(3)))
            return reports[0], await client.model()

    with DeepfakeDetectorClient(server.address, settings=settings) as client:
        said = client.analyze(str(photo))
        model = client.model()
    said_async, model_async = asyncio.run(ask())
    assert_same(said, expected)
    assert_same(said_async, expected)
    assert model == model_async
    assert model["card"]["name"] == "tiny"


def test_many_come_back_in_order_and_failures_stop_nothing(server, photo, tmp_path, portrait):
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    with DeepfakeDetectorClient(server.address) as client:
        outcomes = list(client.analyze_many([str(photo), str(text), str(tmp_path / "gone"), portrait]))
        with pytest.raises(UnsupportedFormatError):
            client.analyze(text)
        with pytest.raises(DamagedInputError):
            client.analyze(portrait[:2000])
    assert [type(outcome) for outcome in outcomes] == [Report, Failure, Failure, Report]
    assert [outcome.code for outcome in outcomes[1:3]] == ["unsupported_format", "unreadable"]
    assert (outcomes[0].input.path, outcomes[3].input.path) == (str(photo), None)


def test_what_fails_on_the_way_is_sent_again_under_the_same_name(monkeypatch):
    pauses = []
    monkeypatch.setattr("deepfake_detector.service.client.time.sleep", pauses.append)
    full = httpx.Response(429, headers={"Retry-After": "2"}, json={"code": "queue_full", "detail": "full"})
    with DeepfakeDetectorClient("http://x", key="dfk_a") as client:
        sent = mocked(client, httpx.ConnectError("no"), full, httpx.Response(200, json=DONE))
        assert client.analyze(b"x").verdict == "uncertain"
    assert len({request.headers["idempotency-key"] for request in sent}) == 1
    assert {request.headers["authorization"] for request in sent} == {"Bearer dfk_a"}
    assert 0 < pauses[0] < 1
    assert pauses[1] == 2.0


def test_a_job_is_waited_for(monkeypatch):
    monkeypatch.setattr("deepfake_detector.service.client.time.sleep", lambda seconds: None)
    waiting = httpx.Response(200, json=QUEUED["analyses"][0] | {"report": None, "text": None})
    with DeepfakeDetectorClient("http://x") as client:
        sent = mocked(client, httpx.Response(202, json=QUEUED), waiting, httpx.Response(200, json=DONE))
        assert client.analyze(b"x").verdict == "uncertain"
    assert [request.method for request in sent] == ["POST", "GET", "GET"]


def test_a_job_that_failed_or_was_cancelled_raises(monkeypatch):
    failed = DONE | {"state": "failed", "report": None, "error": {"code": "damaged", "message": "cut off"}}
    with DeepfakeDetectorClient("http://x") as client:
        mocked(client, httpx.Response(200, json=failed), httpx.Response(200, json=failed | {"error": None}))
        with pytest.raises(DamagedInputError, match="cut off"):
            client.analyze(b"x")
        with pytest.raises(InputError, match="cancelled"):
            client.analyze(b"x")


@pytest.mark.parametrize(
    ("answers", "status", "said"),
    [
        ([httpx.Response(401, json={"code": "unauthorized", "detail": "the key is wrong"})], 401, "the key is wrong"),
        ([httpx.Response(404, text="<html>")], 404, "address of a deepfake service"),
        ([httpx.ConnectError("refused")] * 3, None, "cannot reach the service at http://x"),
        ([httpx.Response(503, json={"code": "unavailable", "detail": "not ready"})] * 3, 503, "not ready"),
        ([httpx.Response(429, json={"code": "quota_exceeded", "detail": "used up"})], 429, "used up"),
    ],
)
def test_what_is_not_about_the_file_is_an_error_of_the_service(monkeypatch, answers, status, said):
    monkeypatch.setattr("deepfake_detector.service.client.time.sleep", lambda seconds: None)
    with DeepfakeDetectorClient("http://x", retries=2) as client:
        sent = mocked(client, *answers)
        with pytest.raises(ServiceError, match=said) as error:
            client.analyze(b"x")
    assert error.value.status == status
    assert len(sent) == len(answers)


def test_pauses_grow_and_end():
    access = Access("http://x", retries=2)
    assert [access.pause(attempt, None) is None for attempt in range(3)] == [False, False, True]
    assert access.pause(0, httpx.Response(429, headers={"Retry-After": "3600"})) == 30.0
    assert access.pause(0, httpx.Response(422)) is None


def test_the_command_asks_a_server(server, photo, tmp_path, capsys):
    page = tmp_path / "report.html"
    code = main(["detect", str(photo), "--server", server.address, "--explain", "--jsonl", "--html", str(page)])
    said = from_json(capsys.readouterr().out)
    assert code in (0, 1, 3)
    assert (said.model.name, said.input.path) == ("tiny", str(photo))
    assert said.faces[0].heatmap is not None
    assert said.provenance is not None
    assert "Its heat map" in page.read_text(encoding="utf-8")


def test_the_command_says_what_is_wrong_with_a_server(photo, capsys, monkeypatch):
    monkeypatch.setattr("deepfake_detector.service.client.time.sleep", lambda seconds: None)
    assert main(["detect", str(photo), "--server", "http://127.0.0.1:9"]) == 2
    assert "cannot reach the service at http://127.0.0.1:9" in capsys.readouterr().err
    assert main(["detect", str(photo), "--server", "http://127.0.0.1:9", "--model", "x"]) == 2
    assert json.dumps("--server")[1:-1] in capsys.readouterr().err
