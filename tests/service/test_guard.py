"""No web site can post to the service or read from it, on loopback without keys too."""

import pytest

OWN = "http://localhost:8000"


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def post(app, png):
    return lambda **headers: app.put(png, headers={name.replace("_", "-"): value for name, value in headers.items()})


def code(response):
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_dns_rebinding_is_refused_for_reading_and_writing(app, post, host):
    # The attacker's page is on evil.example, which now points to 127.0.0.1: the browser takes both for one site.
    same_site = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert code(app.client.get("/v1/analyses", headers=same_site)) == (421, "wrong_host")
    assert code(app.client.get("/", headers=same_site)) == (421, "wrong_host")
    assert code(post(**same_site)) == (421, "wrong_host")
    assert app.services.analyses.list("local", _everything(), 10) == ()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:1"])
def test_the_names_of_this_machine_are_allowed(app, host):
    assert app.client.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "https://localhost:8000"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"},
        {"Origin": OWN, "Sec_Fetch_Site": "cross-site"},
    ],
)
def test_a_form_or_script_of_another_site_cannot_post(app, post, headers):
    assert code(post(**headers)) == (403, "cross_site")
    assert app.services.analyses.list("local", _everything(), 10) == ()


@pytest.mark.parametrize("headers", [{}, {"Origin": OWN}, {"Origin": OWN, "Sec_Fetch_Site": "same-origin"}])
def test_our_own_page_and_programs_can_post(post, headers):
    assert post(**headers).status_code == 202


def test_another_site_cannot_embed_a_picture_but_may_link_to_the_page(app):
    embedded = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert code(app.client.get(f"/v1/analyses/{'0' * 32}/preview.jpg", headers=embedded)) == (403, "cross_site")
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert app.client.get("/", headers=link).status_code == 200
    assert code(app.client.get("/v1/analyses", headers=link)) == (403, "cross_site")
    framed = link | {"Sec-Fetch-Dest": "iframe"}
    assert code(app.client.get("/", headers=framed)) == (403, "cross_site")


def test_no_answer_opens_itself_to_other_origins(app):
    preflight = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for response in (
        app.client.options("/v1/analyses", headers=preflight),
        app.client.get("/v1/analyses", headers={"Origin": OWN}),
    ):
        assert not [name for name in response.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("place", ["/", "/healthz", "/v1/analyses", "/assets/app.js", "/nowhere"])
def test_every_answer_carries_the_security_headers(app, place):
    headers = app.client.get(place).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


def test_hsts_is_sent_over_tls_only(app, make_app):
    assert "strict-transport-security" not in app.client.get("/healthz").headers
    public = make_app(host="0.0.0.0", allowed_hosts="detector.example", trusted_proxies="10.0.0.1")
    assert "strict-transport-security" in public.client.get("/healthz").headers


def _everything():
    from deepfake_detector.service.db.analyses import Filters

    return Filters()
