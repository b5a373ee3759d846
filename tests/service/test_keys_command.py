"""``deepfake keys`` and the refusals of ``deepfake serve``, as somebody types them."""

import re

import pytest

from deepfake_detector.cli.main import main
from deepfake_detector.service.db.keys import KeyStore


@pytest.fixture
def deepfake(settings, capsys):
    """Runs the command line on the test's folder; returns its code, output and messages."""
    folder = str(settings().folder)

    def run(*arguments):
        code = main([*map(str, arguments), "--folder", folder])
        return code, *capsys.readouterr()

    return run


def test_a_key_is_printed_once_and_works(deepfake, make_app):
    code, out, err = deepfake("keys", "create", "press office", "--scopes", "read,analyze", "--days", 30)
    assert code == 0
    assert re.fullmatch(r"dfk_[\w-]{43}\n", out)
    assert "analyze read" in err
    key = make_app(keys="required").services.keys.find(out.strip())
    assert key.name == "press office"
    assert deepfake("keys", "list")[1].startswith(key.id)
    assert out.strip() not in deepfake("keys", "list")[1]


def test_rotate_and_revoke(deepfake, make_app):
    first = deepfake("keys", "create", "clerk")[1].strip()
    store: KeyStore = make_app(keys="required").services.keys
    code, second, _ = deepfake("keys", "rotate", store.find(first).id)
    assert code == 0
    assert store.find(first).owner == store.find(second.strip()).owner
    assert deepfake("keys", "revoke", store.find(first).id)[0] == 0
    assert store.find(first) is None
    assert store.find(second.strip()) is not None


@pytest.mark.parametrize(
    "arguments",
    [("create",), ("create", "x", "--scopes", "everything"), ("revoke", "nobody"), ("rotate", "nobody"), ("steal",)],
)
def test_what_cannot_be_done_is_said(deepfake, arguments):
    code, out, err = deepfake("keys", *arguments)
    assert code == 2
    assert out == ""
    assert err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "0.0.0.0", "--keys", "off"), "keys cannot be off"),
        (("--keys", "required"), "deepfake keys create"),
        (("--model", "no-such-model"), "no-such-model"),
    ],
)
def test_the_service_does_not_start_unsafe_or_useless(deepfake, arguments, said):
    code, out, err = deepfake("serve", "--port", 0, *arguments)
    assert code == 2
    assert out == ""
    assert said in err
