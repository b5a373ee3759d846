"""Keys, scopes, sessions: who may do what, and that nobody sees what another one made."""

import re
import time

import pytest

from deepfake_detector.service.access import COOKIE, CSRF_HEADER
from deepfake_detector.service.db.tables import SECOND, now


@pytest.fixture
def app(make_app):
    return make_app(keys="required")


def code(response):
    return response.status_code, response.json()["code"]


def test_without_a_key_only_the_page_and_the_health_are_there(app, png):
    for place in ("/", "/healthz", "/assets/app.js"):
        assert app.client.get(place).status_code == 200
    for place in ("/v1/analyses", "/v1/model", "/metrics", "/v1/session"):
        response = app.client.get(place)
        assert code(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
    assert code(app.put(png)) == (401, "unauthorized")


@pytest.mark.parametrize("header", ["Bearer dfk_wrong", "Bearer ", "Basic dfk_x", "dfk_x", "Bearer \xe9"])
def test_a_wrong_key_is_refused(app, header):
    response = app.client.get("/v1/analyses", headers={"Authorization": header.encode("latin-1")})
    assert code(response) == (401, "unauthorized")


def test_a_key_in_the_address_is_no_key(app):
    secret = app.key()["Authorization"].removeprefix("Bearer ")
    for name in ("key", "token", "api_key", "access_token"):
        assert app.client.get("/v1/analyses", params={name: secret}).status_code == 401


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("analyze", {"put", "cancel"}),
        ("read", {"list", "get", "batch", "events", "report"}),
        ("delete", {"delete"}),
        ("metrics", {"metrics"}),
    ],
)
def test_a_scope_allows_what_it_says_and_nothing_else(app, png, scope, allowed):
    key = app.key(scope)
    at = f"/v1/analyses/{'0' * 32}"
    tries = {
        "put": app.put(png, headers=key),
        "cancel": app.client.post(f"{at}/cancel", headers=key),
        "list": app.client.get("/v1/analyses", headers=key),
        "get": app.client.get(at, headers=key),
        "batch": app.client.get(f"/v1/batches/{'0' * 32}", headers=key),
        "events": app.client.get(f"{at}/events", headers=key),
        "report": app.client.get(f"{at}/report.html", headers=key),
        "delete": app.client.delete(at, headers=key),
        "metrics": app.client.get("/metrics", headers=key),
    }
    assert {name for name, response in tries.items() if response.status_code != 403} == allowed
    assert app.client.get("/v1/model", headers=key).status_code == 200


def test_what_one_key_made_no_other_key_sees(app, png):
    mine, other = app.key(), app.key()
    batch = app.put(png, png, headers=mine).json()
    at = batch["analyses"][0]["links"]["self"]
    assert app.client.get(at, headers=mine).status_code == 200
    assert len(app.client.get("/v1/analyses", headers=mine).json()["analyses"]) == 2
    assert app.client.get("/v1/analyses", headers=other).json()["analyses"] == []
    for method, place in (
        ("GET", at),
        ("DELETE", at),
        ("POST", f"{at}/cancel"),
        ("GET", f"{at}/events"),
        ("GET", f"{at}/report.html"),
        ("GET", f"{at}/preview.jpg"),
        ("GET", f"{at}/heatmaps/1.png"),
        ("GET", f"/v1/batches/{batch['batch']}"),
    ):
        assert code(app.client.request(method, place, headers=other)) == (404, "not_found"), place
    assert app.client.get(at, headers=mine).status_code == 200


def test_the_same_idempotency_key_of_two_owners_is_two_requests(app, png):
    once = {"Idempotency-Key": "a"}
    first, second = (app.put(png, headers=app.key() | once).json()["batch"] for _ in range(2))
    assert first != second


def test_secrets_are_stored_as_hashes_only(app):
    new = app.services.keys.create("mine")
    cookie, _ = app.services.keys.log_in(new.key, 1)
    app.services.database.engine.dispose()
    stored = b"".join(path.read_bytes() for path in app.services.folder.root.glob("service.sqlite3*"))
    assert len(new.secret) > 40
    assert b"mine" in stored
    for secret in (new.secret, new.secret.removeprefix("dfk_"), cookie):
        assert secret.encode() not in stored


def test_keys_end(app, monkeypatch):
    store = app.services.keys
    new = store.create("short", days=1)
    assert store.find(new.secret) is not None
    tomorrow = now() + 25 * 3600 * SECOND
    monkeypatch.setattr("deepfake_detector.service.db.keys.now", lambda: tomorrow)
    assert store.find(new.secret) is None
    revoked = store.create("revoked")
    assert store.revoke(revoked.key.id)
    assert store.find(revoked.secret) is None
    assert not store.revoke("nobody")


def test_a_rotated_key_sees_what_the_old_one_made(app, png):
    store = app.services.keys
    old = store.create("clerk")
    header = {"Authorization": f"Bearer {old.secret}"}
    app.put(png, headers=header)
    new = store.rotate(old.key.id, grace_days=0)
    assert code(app.client.get("/v1/analyses", headers=header)) == (401, "unauthorized")
    seen = app.client.get("/v1/analyses", headers={"Authorization": f"Bearer {new.secret}"}).json()
    assert len(seen["analyses"]) == 1
    assert store.rotate(old.key.id, grace_days=1) is None


def test_the_page_logs_in_with_a_cookie_that_scripts_and_other_sites_cannot_use(app):
    secret = app.services.keys.create("clerk").secret
    response = app.client.post("/v1/session", json={"key": secret})
    cookie = response.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(re.split("; ", cookie))
    assert secret not in cookie
    assert app.client.get("/v1/session").json()["name"] == "clerk"


def test_over_tls_the_cookie_is_secure(make_app):
    app = make_app(host="0.0.0.0", allowed_hosts="detector.example", trusted_proxies="10.0.0.1")
    secret = app.services.keys.create("clerk").secret
    assert "; Secure" in app.client.post("/v1/session", json={"key": secret}).headers["set-cookie"]


def test_a_session_changes_nothing_without_its_csrf_token(app, png):
    login = app.client.post("/v1/session", json={"key": app.services.keys.create("clerk").secret}).json()
    assert app.client.get("/v1/analyses").status_code == 200
    for headers in ({}, {CSRF_HEADER: ""}, {CSRF_HEADER: "wrong"}, {CSRF_HEADER: "é".encode()}):
        assert code(app.put(png, headers=headers)) == (403, "csrf")
        assert code(app.client.delete("/v1/session", headers=headers)) == (403, "csrf")
    assert app.client.get("/v1/analyses").json()["analyses"] == []
    good = {CSRF_HEADER: login["csrf"]}
    assert app.put(png, headers=good).status_code == 202
    assert app.client.delete("/v1/session", headers=good).status_code == 204
    assert app.client.get("/v1/session").status_code == 401


def test_one_sessions_token_is_of_no_use_to_another(app, png):
    one, two = (app.services.keys.log_in(app.services.keys.create("x").key, 1) for _ in range(2))
    app.client.cookies.set(COOKIE, one[0])
    assert code(app.put(png, headers={CSRF_HEADER: two[1]})) == (403, "csrf")


def test_sessions_end_with_their_time_and_with_their_key(app):
    store = app.services.keys
    key = store.create("clerk").key
    short, _ = store.log_in(key, 0.0)
    long, _ = store.log_in(key, 1)
    time.sleep(0.01)
    assert store.session(short) is None
    assert store.session(long) is not None
    store.revoke(key.id)
    assert store.session(long) is None


def test_each_key_has_a_rate_of_its_own(make_app):
    app = make_app(keys="required", requests_per_minute=60)
    mine, other = app.key(), app.key()
    answers = [app.client.get("/v1/model", headers=mine) for _ in range(12)]
    refused = [response for response in answers if response.status_code == 429]
    assert answers[9].status_code == 200
    assert refused
    assert code(refused[0]) == (429, "rate_limited")
    assert int(refused[0].headers["retry-after"]) >= 1
    assert app.client.get("/v1/model", headers=other).status_code == 200


def test_who_guesses_keys_has_to_wait(app):
    answers = [app.client.post("/v1/session", json={"key": f"dfk_{n}"}).status_code for n in range(40)]
    assert answers[:10] == [401] * 10
    assert 429 in answers
