"""Videos are jobs: taken in with 202, followed to their end, shown by frames that are drawn anew."""

import asyncio
import io
import json

import pytest
from PIL import Image

from deepfake_detector.core.errors import InputError
from deepfake_detector.core.video import VideoReport
from deepfake_detector.service.client import AsyncDeepfakeDetectorClient, DeepfakeDetectorClient
from deepfake_detector.service.db.tables import State
from deepfake_detector.service.jobs.messages import Result, Step
from deepfake_detector.service.jobs.runner import Runner


def send(http, content, name="film.mp4", **options):
    return http.post("/v1/analyses", files={"file": (name, content)}, data=options)


def code(response):
    return response.status_code, response.json()["code"]


@pytest.fixture(scope="module")
def analysed(server, film, eventually):
    """The analysis of a video that has ended, and its events."""
    with server.client() as http:
        response = send(http, film, explain="true")
        assert response.status_code == 202
        (job,) = response.json()["analyses"]
        assert (job["video"], job["state"] in ("queued", "running"), job["file"]["name"]) == (True, True, "film.mp4")
        assert response.headers["location"] == job["links"]["self"]
        with http.stream("GET", job["links"]["events"]) as stream:
            lines = [line for line in stream.iter_lines() if line]
        assert "event: end" in lines
        return http.get(job["links"]["self"]).json()


def test_a_video_is_answered_with_persons_and_their_timeline(analysed):
    assert (analysed["state"], analysed["progress"], analysed["seconds_left"]) == ("done", 1.0, None)
    report = analysed["report"]
    assert (report["path"], report["input"]["codec"], report["input"]["duration"]) == ("film.mp4", "H.264", 1.2)
    (person,) = report["persons"]
    assert len(person["timeline"]) == report["sampling"]["analysed"] == 12
    assert analysed["p_fake"] == report["p_fake"] == report["faces"][0]["p_fake"]
    assert "seen in 12 frames" in analysed["text"]["faces"][0]["notes"][-1]
    assert analysed["text"]["sentence"]
    assert any(
        "The frame that looks most like a fake: saved again" in said for said in analysed["text"]["faces"][0]["reasons"]
    )


def test_a_video_is_shown_by_frames_that_are_drawn_anew(http, analysed):
    links = analysed["links"]
    assert (links["case"], links["forensic"], links["heatmaps"]) == (None, None, [])
    for place in (links["preview"], *(links["frames"].replace("{milliseconds}", str(at)) for at in (0, 550, 99_000))):
        response = http.get(place)
        assert response.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(response.content)).size == (320, 320)
    page = http.get(links["report"]).text
    assert "Person" in page
    assert "deepfake detect film.mp4 --html report.html" in page


def test_what_is_made_of_pictures_is_not_there_for_videos_and_the_other_way_round(http, analysed, portrait):
    for place in ("case.json", "forensic.html", "heatmaps/1.png"):
        assert http.get(f"{analysed['links']['self']}/{place}").status_code == 404
    picture = send(http, portrait, "a.jpg").json()
    assert (picture["video"], picture["links"]["frames"]) == (False, None)
    assert code(http.get(f"{picture['links']['self']}/frames/0.jpg")) == (404, "not_found")


def test_a_broken_video_is_a_failed_job_with_a_reason(http, film, eventually):
    (job,) = send(http, film[: len(film) // 2]).json()["analyses"]
    ended = eventually(lambda: (one := http.get(job["links"]["self"]).json())["finished"] and one)
    assert ended["state"] == "failed"
    assert ended["error"]["code"] in ("damaged", "no_frames")
    assert "film.mp4" in ended["error"]["message"]
    assert "uploads" not in ended["error"]["message"]


def test_a_video_has_limits_of_its_own(make_app, film, png):
    app = make_app(max_upload_mb=1, max_video_mb=2)
    assert app.put(film + bytes(1024 * 1024)).status_code == 202
    assert code(app.put(film + bytes(2 * 1024 * 1024))) == (413, "too_large")
    assert code(app.put(png + bytes(1024 * 1024))) == (413, "too_large")


def test_progress_is_told_and_one_worker_is_left_to_pictures(make_app, film, png):
    app = make_app(workers=2)
    services = app.services
    jobs = [app.put(content).json()["analyses"][0]["id"] for content in (film, film, png)]
    begun, goes_on = [], asyncio.Event()

    class Slow:
        async def do(self, task, timeout, on_step):
            begun.append(task.video)
            if task.video:
                assert timeout == services.settings.video_timeout
                await on_step(Step(0.25, 42.0))
                await goes_on.wait()
            return Result(answer="{}", verdict="real", p_fake=0.1)

    async def ended(name):
        while services.analyses.get("local", name).state != State.DONE:
            await asyncio.sleep(0.01)

    async def run():
        runner = Runner(services.queue, Slow(), services.folder, services.settings)
        runner.start()
        try:
            with runner.watching(jobs[0]) as watch:
                await ended(jobs[2])
                first, second = (services.analyses.get("local", name) for name in jobs[:2])
                assert (first.state, first.progress, first.seconds_left) == ("running", 0.25, 42.0)
                assert second.state == "queued"
                goes_on.set()
                await ended(jobs[1])
                assert watch.ended.state == "done"
        finally:
            await runner.stop()

    asyncio.run(run())
    assert begun == [True, False, True]


def test_the_clients_take_videos(server, film, portrait, tmp_path):
    path = tmp_path / "film.mp4"
    path.write_bytes(film)
    told = []
    with DeepfakeDetectorClient(server.address) as client:
        report = client.analyze_video(path, told.append)
        assert isinstance(report, VideoReport)
        assert (report.input.path, len(report.persons), report.sampling.analysed) == (str(path), 1, 12)
        assert told
        assert all(step.total == 100 for step in told)
        picture, video = client.analyze_many([portrait, film])
        assert (len(picture.faces), len(video.persons)) == (1, 1)
        with pytest.raises(InputError, match="analyze_video"):
            client.analyze(film)
        with pytest.raises(InputError, match=r"give it to analyze$"):
            client.analyze_video(portrait)

    async def ask():
        async with AsyncDeepfakeDetectorClient(server.address) as client:
            return await client.analyze_video(path)

    assert asyncio.run(ask()).verdict == report.verdict


def test_the_command_sends_videos_to_a_server(server, film, tmp_path, capsys):
    from deepfake_detector.cli.main import main

    path = tmp_path / "film.mp4"
    path.write_bytes(film)
    assert main(["detect", str(path), "--server", server.address, "--jsonl"]) in (0, 1, 3)
    said = json.loads(capsys.readouterr().out)
    assert (said["path"], len(said["persons"])) == (str(path), 1)
