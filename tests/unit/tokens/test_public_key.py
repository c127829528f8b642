"""Public keys as people hand them over: what is kept of a JWK or PEM, and what is refused (TK-13)."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key
from keyturn.tokens.errors import KeyRejected
from keyturn.tokens.jwks import thumbprint
from keyturn.tokens.public_key import read_public_key

MADE = {algorithm: generate_key(algorithm) for algorithm in Algorithm}


def bare(algorithm, **changes):
    """Give the required members of a good key, changed."""
    jwk = {
        name: value for name, value in MADE[algorithm].public_jwk.items() if name not in {"kid", "alg", "use"}
    }
    return json.dumps(jwk | changes).encode()


def pem(key):
    """Write the public half of a private key as PEM."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_jwk_and_pem(algorithm):
    """The same key is kept alike, whether it came as a JWK or as PEM, under its thumbprint."""
    made = MADE[algorithm]
    from_pem = read_public_key(b"\n" + pem(load_der_private_key(made.pkcs8, None)))
    assert from_pem == read_public_key(bare(algorithm)) == made.public_jwk
    assert from_pem["kid"] == thumbprint(made.public_jwk)


def test_owners_members():
    """A kid of the owner's is kept, their other members are not, and Ed25519 may be named by its curve."""
    kept = read_public_key(bare(Algorithm.EDDSA, kid="mine", alg="Ed25519", key_ops=["verify"], extra="x"))
    assert kept == MADE[Algorithm.EDDSA].public_jwk | {"kid": "mine"}


def short_rsa():
    """Write an RSA key of 1024 bits as a JWK."""
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()  # noqa: S505  # weak on purpose
    from keyturn.tokens import base64url

    return bare(Algorithm.RS256, n=base64url.encode(numbers.n.to_bytes(128)).decode())


REFUSED = {
    "private JWK": (bare(Algorithm.ES256, d="AA"), "private members"),
    "private RSA member": (bare(Algorithm.RS256, p="AA"), "private members"),
    "private PEM": (
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
        "private key",
    ),
    "symmetric": (json.dumps({"kty": "oct", "k": "AA"}).encode(), "private members"),
    "short RSA": (short_rsa(), "too short"),
    "exponent 3": (bare(Algorithm.RS256, e="Aw"), "unusual exponent"),
    "P-384": (pem(ec.generate_private_key(ec.SECP384R1())), "P-256"),
    "Ed448": (pem(ed448.Ed448PrivateKey.generate()), "RSA, P-256 or Ed25519"),
    "DSA": (pem(dsa.generate_private_key(2048)), "RSA, P-256 or Ed25519"),
    "point off the curve": (bare(Algorithm.ES256, y="AA"), "malformed"),
    "member of another type": (bare(Algorithm.ES256, x=7), "malformed"),
    "member missing": (b'{"kty":"EC","crv":"P-256"}', "malformed"),
    "kty no string": (b'{"kty":["EC"]}', "RSA, P-256 or Ed25519"),
    "alg of another key": (bare(Algorithm.RS256, alg="PS256"), "RS256"),
    "for encryption": (bare(Algorithm.ES256, use="enc"), "signatures"),
    "empty kid": (bare(Algorithm.ES256, kid=""), "kid"),
    "kid no string": (bare(Algorithm.ES256, kid=1), "kid"),
    "long kid": (bare(Algorithm.ES256, kid="k" * 256), "kid"),
    "kid with a line break": (bare(Algorithm.ES256, kid="a\nb"), "kid"),
    "key set": (b'{"keys":[]}', "key set"),
    "list": (b"[]", "not a JWK"),
    "nothing": (b"", "neither"),
    "no PEM": (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
}


@pytest.mark.parametrize(("given", "words"), REFUSED.values(), ids=REFUSED)
def test_refused(given, words):
    """TK-13: a weak, private, malformed or foreign key is refused in words that hold nothing of it."""
    with pytest.raises(KeyRejected, match=words) as caught:
        read_public_key(given)
    assert "AA" not in str(caught.value)
