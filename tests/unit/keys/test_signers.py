"""Signing keys."""

import json
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA1

from keyturn.core.errors import Fault
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.certificates import certify
from keyturn.keys.signers import Es256Signer, generate_key, load_signer
from keyturn.tokens import base64url
from keyturn.tokens.encode import encode_token
from keyturn.tokens.keyset import KeySet

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)

SIZES = {Algorithm.ES256: 64, Algorithm.RS256: 256, Algorithm.EDDSA: 64}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_signature_has_its_fixed_size_and_verifies(algorithm):
    """TK-13: each algorithm's signatures have the size its RFC gives, and verify under the public half."""
    made = generate_key(algorithm)
    signer = load_signer("key-1", algorithm, made.pkcs8)
    key = KeySet.from_jwks([made.public_jwk | {"kid": "key-1"}]).get("key-1")
    for number in range(50):
        message = str(number).encode()
        signature = signer.sign(message)
        assert len(signature) == SIZES[algorithm]
        assert key.verify(signature, message)
        assert not key.verify(signature, message + b"\0")


def test_rsa_takes_the_size_it_is_told():
    """TK-13: an RSA key of 3072 bits can be asked for, and 2048 is the default."""
    sizes = {bits: len(generate_key(Algorithm.RS256, bits).public_jwk["n"]) for bits in (2048, 3072)}
    assert sizes == {2048: 342, 3072: 512}


def test_a_key_signs_with_its_own_algorithm_only():
    """TK-01: a key is not imported for another algorithm."""
    made = generate_key(Algorithm.EDDSA)
    for algorithm in (Algorithm.ES256, Algorithm.RS256):
        with pytest.raises(Fault, match="not a key for"):
            load_signer("key-1", algorithm, made.pkcs8)


def test_a_generated_key_does_not_print():
    """TK-12: a fresh key shows its id alone."""
    made = generate_key(Algorithm.ES256)
    assert repr(made) == f"GeneratedKey({made.public_jwk['kid']})"


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_certificate_names_its_key(algorithm):
    """TK-13: a certified key's id is the SHA-1 of its self-signed certificate, in hex and as `x5t`."""
    made = generate_key(algorithm, certify=lambda key: certify(key, "shared", NOW, secrets.token_bytes))
    certificate = x509.load_der_x509_certificate(made.certificate)
    thumbprint = certificate.fingerprint(SHA1())  # noqa: S303  # what x5t is
    assert made.public_jwk["kid"] == thumbprint.hex().upper()
    assert base64url.decode(made.public_jwk["x5t"].encode()) == thumbprint
    assert certificate.subject == certificate.issuer
    assert certificate.subject.rfc4514_string() == "CN=shared"
    certificate.verify_directly_issued_by(certificate)
    key = KeySet.from_jwks([made.public_jwk]).get(made.public_jwk["kid"])
    signer = load_signer(made.public_jwk["kid"], algorithm, made.pkcs8, made.public_jwk["x5t"])
    assert key.verify(signer.sign(b"message"), b"message")


def test_a_certificate_outlives_its_key():
    """A certificate is valid already on a clock that is behind, and for decades; no two have one serial."""
    key, dice = generate_private_key(SECP256R1()), secrets.token_bytes
    first, second = (x509.load_der_x509_certificate(certify(key, "shared", NOW, dice)) for _ in range(2))
    assert first.not_valid_before_utc < NOW
    assert first.not_valid_after_utc > NOW + timedelta(days=20 * 365)
    assert 0 < first.serial_number != second.serial_number


def test_the_header_names_the_certificate_where_there_is_one():
    """A token's header has `x5t` if its key has a certificate, and no such member otherwise."""
    for x5t, members in ((None, ["alg", "kid", "typ"]), ("dGh1bWI", ["alg", "kid", "typ", "x5t"])):
        signer = load_signer("key-1", Algorithm.EDDSA, generate_key(Algorithm.EDDSA).pkcs8, x5t)
        header = json.loads(base64url.decode(encode_token({}, signer, "JWT").split(".")[0].encode()))
        assert list(header) == members
        assert header.get("x5t") == x5t


@pytest.mark.parametrize("r", [1, 0x7F, 0x80, 2**247, 2**255 - 1, 2**255, 2**256 - 1])
@pytest.mark.parametrize("s", [1, 2**248 - 1, 2**248, 2**256 - 2])
def test_numbers_of_every_length_become_octets(r, s):
    """RFC 7518 section 3.4: R and S are 32 octets each, however short or long DER writes them."""

    class Pinned:
        """A key whose signature is known beforehand."""

        def sign(self, *_):
            return encode_dss_signature(r, s)

    assert Es256Signer("key-1", Pinned()).sign(b"message") == r.to_bytes(32) + s.to_bytes(32)
