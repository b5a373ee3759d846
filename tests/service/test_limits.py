"""What is too much, too large or too slow is refused, and leaves nothing behind."""

import os
import socket
import time
from urllib.parse import urlsplit

import pytest

from deepfake_detector.service.jobs.folder import ORPHAN_AGE
from deepfake_detector.service.jobs.janitor import DAY, tidy
from deepfake_detector.service.settings import MEGABYTE


def code(response):
    return response.status_code, response.json()["code"]


def files_of(app):
    return list((app.services.folder.root / "uploads").iterdir())


def test_a_full_queue_says_when_to_come_back(make_app, png):
    app = make_app(queue_size=3)
    assert app.put(png, png).status_code == 202
    response = app.put(png, png)
    assert code(response) == (429, "queue_full")
    assert int(response.headers["retry-after"]) >= 1
    assert len(files_of(app)) == 2
    assert app.put(png).status_code == 202


@pytest.mark.parametrize("which", ["disk_quota_mb", "key_quota_mb"])
def test_quotas_hold_and_deleting_makes_room(make_app, png, which):
    app = make_app(keys="required", **{which: 1})
    key = app.key()
    large = png + bytes(MEGABYTE // 2)
    first = app.put(large, headers=key)
    assert first.status_code == 202
    assert code(app.put(large, headers=key)) == (429, "quota_exceeded")
    assert len(files_of(app)) == 1
    app.client.delete(first.json()["analyses"][0]["links"]["self"], headers=key)
    assert app.put(large, headers=key).status_code == 202


def test_one_keys_quota_is_not_anothers(make_app, png):
    app = make_app(keys="required", key_quota_mb=1)
    large = png + bytes(MEGABYTE * 3 // 4)
    assert [app.put(large, headers=app.key()).status_code for _ in range(3)] == [202, 202, 202]


def test_a_file_and_a_request_have_a_largest_size(make_app, png):
    app = make_app(max_upload_mb=1, max_request_mb=3, max_video_mb=1)
    large = png + bytes(MEGABYTE)
    assert code(app.put(large)) == (413, "too_large")
    states = [one["state"] for one in app.put(png, large).json()["analyses"]]
    assert states == ["queued", "failed"]
    assert code(app.put(large, large, large)) == (413, "too_large")
    assert len(files_of(app)) == 1


def test_the_size_of_a_request_is_counted_and_not_believed(make_app, png):
    app = make_app(max_request_mb=1, max_video_mb=1)

    async def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(40):
            yield bytes(64 * 1024)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert code(app.client.post("/v1/analyses", content=endless(), headers=headers)) == (413, "too_large")
    assert files_of(app) == []


def test_other_requests_are_small(make_app):
    response = make_app().client.post("/v1/session", json={"key": "x" * 100_000})
    assert code(response) == (413, "too_large")


def test_a_slow_upload_is_ended(serve, tmp_path, tiny_bundle):
    server = serve(tmp_path, "--model", tiny_bundle, "--workers", 1, DEEPFAKE_IDLE_TIMEOUT="0.5")
    place = urlsplit(server.address)
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(
            b"POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")
    assert list((tmp_path / "uploads").iterdir()) == []


def test_what_is_old_is_deleted_with_its_file(make_app, png):
    app = make_app()
    services = app.services
    old, fresh = (app.put(png).json()["analyses"][0] for _ in range(2))
    assert tidy(services.analyses, services.folder, 1.0) == 0
    services.analyses.cancel("local", old["id"])
    time.sleep(0.01)
    assert tidy(services.analyses, services.folder, 0.005 / DAY) == 1
    assert [path.name for path in files_of(app)] == [fresh["id"]]
    assert app.client.get(old["links"]["self"]).status_code == 404


def test_files_that_no_analysis_knows_are_deleted_once_they_are_old(make_app, png):
    app = make_app()
    known = app.put(png).json()["analyses"][0]["id"]
    uploads = app.services.folder.root / "uploads"
    lost, young = uploads / ("a" * 32), uploads / ("b" * 32)
    half = uploads / f"{'c' * 32}.part"
    for file in (lost, young, half):
        file.write_bytes(b"x")
    for file in (lost, half, uploads / known):
        os.utime(file, (time.time() - ORPHAN_AGE - 1,) * 2)
    tidy(app.services.analyses, app.services.folder, 1.0)
    assert {path.name for path in files_of(app)} == {known, young.name}


def test_the_folder_is_for_its_owner_alone(make_app, png):
    app = make_app()
    app.put(png)
    (file,) = files_of(app)
    assert file.stat().st_mode & 0o077 == 0
    assert app.services.folder.root.stat().st_mode & 0o077 == 0
