"""Read a public key as people hand it over: a JWK or PEM in, the JWK that is kept out."""

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from keyturn.core.json_guard import BadJson, decode_json
from keyturn.core.vocabulary import Algorithm
from keyturn.tokens.assertion import ALGORITHMS
from keyturn.tokens.errors import KeyRejected
from keyturn.tokens.jwks import PublicKey, key_members, public_jwk
from keyturn.tokens.keyset import PRIVATE_MEMBERS, read_key

MAX_KEY_ID = 255
_KINDS = "a key is RSA, P-256 or Ed25519"
_ALGORITHM_OF = {"EC": Algorithm.ES256, "RSA": Algorithm.RS256, "OKP": Algorithm.EDDSA}


def read_public_key(given: bytes) -> dict[str, str]:
    """Read a public key that a client signs assertions with.

    Returns:
        The JWK that is kept: required members, ``alg``, ``use`` and the owner's ``kid``, or the thumbprint
        where there is none.

    Raises:
        KeyRejected: It is no key, a weak or private one, or of an algorithm that is not accepted (TK-13).
    """
    if b"PRIVATE KEY" in given:
        raise KeyRejected("this is a private key: it stays with its owner; give the public one")
    if given.lstrip().startswith(b"-----BEGIN"):
        return _from_pem(given)
    try:
        jwk = decode_json(given)
    except BadJson:
        raise KeyRejected("this is neither a JWK nor a public key in PEM") from None
    if type(jwk) is not dict or "kty" not in jwk:
        raise KeyRejected("this is not a JWK, an object with the member kty; of a key set give one key")
    return _from_jwk(jwk)


def public_pem(jwk: dict[str, str], algorithm: Algorithm) -> str:
    """Give a published key in PEM, as a ``PUBLIC KEY`` (RFC 7468 section 13)."""
    key: PublicKey = read_key(jwk, algorithm)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _from_pem(given: bytes) -> dict[str, str]:
    try:
        key = load_pem_public_key(given)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyRejected("this PEM holds no public key that can be read") from None
    if isinstance(key, EllipticCurvePublicKey) and not isinstance(key.curve, SECP256R1):
        raise KeyRejected("an EC key is not on P-256")
    if not isinstance(key, EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey):
        raise KeyRejected(_KINDS)
    return _from_jwk(key_members(key))  # where size and exponent are checked


def _from_jwk(jwk: dict[str, Any]) -> dict[str, str]:
    if PRIVATE_MEMBERS & jwk.keys():
        raise KeyRejected("this JWK has private members: they stay with their owner; give the public ones")
    kind = jwk["kty"]
    algorithm = _ALGORITHM_OF.get(kind) if type(kind) is str else None
    if algorithm is None:
        raise KeyRejected(_KINDS)
    if "alg" in jwk and ALGORITHMS.get(str(jwk["alg"])) is not algorithm:
        raise KeyRejected(f"a key of this type signs with {algorithm.value} here, not with its alg")
    if jwk.get("use", "sig") != "sig":
        raise KeyRejected("this key is not for signatures")
    key: PublicKey = read_key(jwk, algorithm)
    kept = public_jwk(key, algorithm)
    return kept | {"kid": _key_id(jwk["kid"])} if "kid" in jwk else kept


def _key_id(value: object) -> str:
    if type(value) is not str or not value or len(value) > MAX_KEY_ID or not value.isprintable():
        raise KeyRejected(f"a kid is 1 to {MAX_KEY_ID} printable characters")
    return value
