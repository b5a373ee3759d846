"""C2PA manifests, with fixtures that are signed here by a certificate authority made for the test."""

import builtins
import datetime
import io
import json
import socket

import numpy as np
import pytest
from PIL import Image

from deepfake_detector.core.errors import ConfigError
from deepfake_detector.core.provenance import ManifestState
from deepfake_detector.media.manifest import read_anchors, read_manifest
from deepfake_detector.media.provenance import read_provenance

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MANIFEST = {
    "claim_generator_info": [{"name": "Test Studio", "version": "2.1"}],
    "title": "portrait",
    "assertions": [
        {
            "label": "c2pa.actions",
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE}, {"action": "c2pa.resized"}]},
        }
    ],
}


def _jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def _name(words):
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, words), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Office")]
    )


def _certificate(subject, key, issuer, issuer_key, authority):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID

    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(usage, critical=True)
    )
    if not authority:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority():
    """PEM texts: the root, the chain of the signer, and the signer's key."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("Test Root", root_key, "Test Root", root_key, True)
    leaf = _certificate("Test Signer", key, "Test Root", root_key, False)
    pem = serialization.Encoding.PEM
    root_pem, leaf_pem = (one.public_bytes(pem).decode() for one in (root, leaf))
    key_pem = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return root_pem, leaf_pem + root_pem, key_pem


@pytest.fixture(scope="module")
def signed(authority) -> bytes:
    import c2pa

    _, chain, key = authority
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain.encode(), key.encode(), None))
    target = io.BytesIO()
    with c2pa.Builder(json.dumps(MANIFEST)) as builder:
        builder.sign(signer, "image/jpeg", io.BytesIO(_jpeg()), target)
    return target.getvalue()


def test_a_signed_file_says_who_made_it_and_how(signed):
    manifest = read_manifest(signed)
    assert manifest.state is ManifestState.VALID
    assert manifest.signer == "Test Signer, Test Office"
    assert manifest.generator.startswith("Test Studio 2.1")
    assert manifest.actions == ("c2pa.created (trainedAlgorithmicMedia)", "c2pa.resized")
    assert manifest.problems == ()


def test_only_a_known_signer_is_trusted(signed, authority, tmp_path):
    file = tmp_path / "anchors.pem"
    file.write_text(authority[0])
    assert read_manifest(signed, read_anchors(file)).state is ManifestState.TRUSTED
    assert read_manifest(signed).state is ManifestState.VALID


def test_a_changed_pixel_makes_it_invalid(signed, authority):
    broken = bytearray(signed)
    broken[-200] ^= 0xFF
    manifest = read_manifest(bytes(broken), authority[0])
    assert manifest.state is ManifestState.INVALID
    assert any("mismatch" in code for code in manifest.problems)


def test_a_manifest_that_is_cut_is_never_valid(signed):
    start = signed.index(b"jumb")
    states = {read_manifest(signed[: start + length]).state for length in (40, 400, 4000)}
    assert states <= {ManifestState.INVALID, ManifestState.UNREADABLE, ManifestState.NONE}


@pytest.mark.parametrize(
    "data", [_jpeg(), b"", b"not a picture", b"\xff\xd8\xff"], ids=["jpeg", "empty", "text", "stub"]
)
def test_a_file_without_one_has_none(data):
    assert read_manifest(data).state is ManifestState.NONE


def test_a_file_that_only_looks_like_having_one_does_not_break_it():
    assert read_manifest(_jpeg() + b"jumb").state in {ManifestState.NONE, ManifestState.UNREADABLE}
    assert read_manifest(b"jumb c2pa").state in {ManifestState.NONE, ManifestState.UNREADABLE}


def test_nothing_is_fetched(authority):
    import c2pa

    with socket.create_server(("127.0.0.1", 0)) as server:
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", authority[1].encode(), authority[2].encode(), None))
        target = io.BytesIO()
        with c2pa.Builder(json.dumps(MANIFEST)) as builder:
            builder.set_no_embed()
            builder.set_remote_url(f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa")
            builder.sign(signer, "image/jpeg", io.BytesIO(_jpeg()), target)
        assert read_manifest(target.getvalue()).state is ManifestState.REMOTE
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


def test_without_the_library_it_is_not_checked(signed, monkeypatch):
    real_import = builtins.__import__

    def no_c2pa(name, *rest, **more):
        if name == "c2pa":
            raise ImportError(name)
        return real_import(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", no_c2pa)
    assert read_manifest(signed).state is ManifestState.NOT_CHECKED
    assert read_manifest(_jpeg()).state is ManifestState.NONE


@pytest.mark.parametrize("content", ["", "hello", "-----BEGIN PRIVATE KEY-----"])
def test_anchors_without_a_certificate_are_refused(tmp_path, content):
    file = tmp_path / "anchors.pem"
    file.write_text(content)
    with pytest.raises(ConfigError, match="certificate"):
        read_anchors(file)
    with pytest.raises(ConfigError, match="cannot read"):
        read_anchors(tmp_path / "missing.pem")


def test_what_the_manifest_claims_is_part_of_the_provenance(signed):
    provenance = read_provenance(signed)
    assert provenance.manifest.state is ManifestState.VALID
    assert provenance.source_types == ("trainedAlgorithmicMedia",)
    assert not provenance.stripped
