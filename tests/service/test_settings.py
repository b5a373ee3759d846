"""The service starts only on combinations that are safe."""

import pytest

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.service.db.engine import Database

PUBLIC = {"host": "0.0.0.0", "allowed_hosts": "detector.example", "plain_http": True}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "::1"])
def test_loopback_needs_no_keys(settings, host):
    found = settings(host=host)
    assert found.on_loopback
    assert not found.needs_keys
    assert {"localhost", "127.0.0.1", "::1"} <= found.hosts


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "detector.example"])
def test_an_address_that_others_can_reach_needs_keys(settings, host):
    assert settings(**PUBLIC | {"host": host}).needs_keys


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keys": "off"}, "keys cannot be off"),
        ({"allowed_hosts": ""}, "DEEPFAKE_ALLOWED_HOSTS"),
        ({"plain_http": False}, "clear text"),
        ({"allowed_hosts": "*"}, r"\* would allow every host"),
        ({"trusted_proxies": "*"}, r"\* would allow every host"),
        ({"tls_key": "key.pem"}, "belong together"),
        ({"keys": "maybe"}, "keys: Input should be"),
        ({"port": 70000}, "port: "),
    ],
)
def test_unsafe_or_impossible_combinations_are_refused_with_what_to_do(settings, changes, said):
    with pytest.raises(ConfigError, match=said):
        settings(**PUBLIC | changes)


def test_a_wildcard_address_is_no_name(settings):
    assert settings(**PUBLIC).hosts == {"detector.example"}


@pytest.mark.parametrize("safe", [{"trusted_proxies": "10.0.0.1"}, {"tls_certificate": "c.pem", "tls_key": "k.pem"}])
def test_tls_here_or_in_front_counts_as_encrypted(settings, safe):
    assert settings(**PUBLIC | {"plain_http": False} | safe).encrypted


def test_settings_come_from_the_environment_and_are_overruled_by_what_is_given(settings, monkeypatch):
    monkeypatch.setenv("DEEPFAKE_PORT", "1234")
    monkeypatch.setenv("DEEPFAKE_ALLOWED_HOSTS", "one.example, Two.example")
    monkeypatch.setenv("DATABASE_URL", "postgres://me:secret@db/x")
    found = settings()
    assert found.port == 1234
    assert {"one.example", "two.example"} <= found.hosts
    assert found.database == "postgresql+psycopg://me:secret@db/x"
    assert settings(port=5).port == 5


def test_a_password_is_shown_nowhere(settings, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://me:secret@db/x")
    assert "secret" not in repr(settings())
    with pytest.raises(ConfigError, match="postgresql://") as error:
        Database("nonsense://me:secret@db/x")
    assert "secret" not in str(error.value)


def test_an_unknown_setting_is_refused(settings):
    with pytest.raises(ConfigError, match="colour"):
        settings(colour="red")
