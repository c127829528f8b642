"""What may be in a key set."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from keyturn.core.vocabulary import Algorithm
from keyturn.tokens.errors import KeyRejected
from keyturn.tokens.jwks import public_jwk
from keyturn.tokens.keyset import KeySet

MEMBERS = {
    Algorithm.ES256: {"kty", "crv", "x", "y", "kid", "alg", "use"},
    Algorithm.RS256: {"kty", "n", "e", "kid", "alg", "use"},
    Algorithm.EDDSA: {"kty", "crv", "x", "kid", "alg", "use"},
}


@pytest.mark.parametrize("algorithm", Algorithm)
def test_published_keys_have_public_members_only(press, algorithm):
    """TK-13: a published key has its public members, `kid`, `alg` and `use`, and nothing else."""
    jwk = press.made[algorithm].public_jwk
    assert jwk.keys() == MEMBERS[algorithm]
    assert (jwk["alg"], jwk["use"]) == (algorithm.value, "sig")


@pytest.mark.parametrize("member", ["d", "p", "q", "dp", "dq", "qi", "oth", "k"])
def test_private_members_are_refused(press, member):
    """TK-13: a key set that gives away a private member is refused."""
    with pytest.raises(KeyRejected, match="private"):
        KeySet.from_jwks([press.made[Algorithm.RS256].public_jwk | {member: "AQAB"}])


def test_short_rsa_is_refused():
    """TK-13: an RSA key of 1024 bits is refused."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()  # noqa: S505 - refused
    with pytest.raises(KeyRejected, match="short"):
        KeySet.from_jwks([public_jwk(key, Algorithm.RS256)])


def test_small_exponent_is_refused():
    """TK-13: an RSA key with the exponent 3 is refused."""
    key = rsa.generate_private_key(public_exponent=3, key_size=2048).public_key()
    with pytest.raises(KeyRejected, match="exponent"):
        KeySet.from_jwks([public_jwk(key, Algorithm.RS256)])


def test_coordinates_keep_leading_zeros():
    """A P-256 coordinate that begins with zeros is published with all its 32 octets."""
    key = next(
        key
        for key in (ec.derive_private_key(n, ec.SECP256R1()).public_key() for n in range(1, 5000))
        if key.public_numbers().x < 1 << 248
    )
    jwk = public_jwk(key, Algorithm.ES256)
    assert len(jwk["x"]) == len(jwk["y"]) == 43
    assert jwk["kid"] in KeySet.from_jwks([jwk])


@pytest.mark.parametrize(
    "change",
    [
        {"alg": "HS256", "kty": "oct"},
        {"alg": "ES384", "crv": "P-384"},
        {"alg": "none"},
        {"alg": None},
        {"alg": ["ES256"]},
        {"use": "enc"},
    ],
    ids=str,
)
def test_other_keys_are_passed_over(press, change):
    """TK-01: a key that is not for signatures, or of an algorithm off the list, is not imported."""
    assert len(KeySet.from_jwks([press.made[Algorithm.ES256].public_jwk | change])) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "RSA"},
        {"kty": "oct"},
        {"crv": "P-384"},
        {"x": "AAAA"},
        {"x": 7},
        {"x": None},
        {"x": "\ud800"},
        {"kid": ""},
        {"kid": 1},
        {"alg": "RS256"},
    ],
    ids=ascii,
)
def test_malformed_keys_are_refused(press, change):
    """TK-13: a key that we would use and that is malformed is refused, whatever is wrong with it."""
    with pytest.raises(KeyRejected):
        KeySet.from_jwks([press.made[Algorithm.ES256].public_jwk | change])


def test_two_keys_of_one_id_are_refused(press):
    """TK-03: two keys may not share a `kid`."""
    jwk = press.made[Algorithm.ES256].public_jwk
    with pytest.raises(KeyRejected, match="kid"):
        KeySet.from_jwks([jwk, jwk])
