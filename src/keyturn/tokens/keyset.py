"""The keys that a token may be signed with: public, imported once, each tied to one algorithm.

The algorithm belongs to the key (RFC 8725 section 3.1). A token's header can only agree with it, so neither
``none`` nor an HMAC made with the public key as its secret has a way in (TK-01).
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from keyturn.core.vocabulary import Algorithm
from keyturn.tokens import base64url
from keyturn.tokens.errors import KeyRejected
from keyturn.tokens.jwks import PublicKey

RSA_BITS = range(2048, 8193)
"""Shorter is weak (TK-13), longer makes each verification slow (TK-05)."""
RSA_EXPONENTS = range(65537, 1 << 32, 2)

_ECDSA = ECDSA(SHA256())
_PKCS1 = PKCS1v15()
_SHA256 = SHA256()
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ES256_BYTES = 64
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Members of a JWK that only its owner may know (RFC 7518 section 6)."""
_KTY = {Algorithm.ES256: "EC", Algorithm.RS256: "RSA", Algorithm.EDDSA: "OKP"}

Verify = Callable[[bytes, bytes], bool]
"""Tells whether a signature is genuine for a message; never raises."""


class VerifyingKey:
    """A public key and the one algorithm it verifies."""

    __slots__ = ("algorithm", "verify")

    def __init__(self, algorithm: Algorithm, verify: Verify) -> None:
        """Tie ``verify`` to its algorithm."""
        self.algorithm = algorithm
        self.verify = verify


class KeySet:
    """An immutable set of verifying keys by ``kid``."""

    __slots__ = ("_keys", "ids")

    def __init__(self, keys: Mapping[str, VerifyingKey]) -> None:
        """Copy the mapping, so that nobody changes it behind our back."""
        self._keys = dict(keys)
        self.ids: Container[str] = self._keys.keys()

    @classmethod
    def from_jwks(cls, jwks: Iterable[Mapping[str, Any]]) -> "KeySet":
        """Import the members of a JWK Set's ``keys``.

        A key of an algorithm that we do not verify, or not meant for signatures, is passed over (RFC 7517
        section 5), and so is an ``oct`` key.

        Raises:
            KeyRejected: A key that we would use is malformed, weak or private, or two share a ``kid``.
        """
        keys: dict[str, VerifyingKey] = {}
        for jwk in jwks:
            key = _import(jwk)
            if key is None:
                continue
            kid = jwk.get("kid")
            if type(kid) is not str or not kid or kid in keys:
                raise KeyRejected("a key has no kid, or the kid of another key")
            keys[kid] = key
        return cls(keys)

    def get(self, kid: str) -> VerifyingKey | None:
        """Look a key up by its exact id, whatever is in the string (TK-03)."""
        return self._keys.get(kid)

    def __contains__(self, kid: str) -> bool:
        return kid in self._keys

    def __len__(self) -> int:
        return len(self._keys)


def _import(jwk: Mapping[str, Any]) -> VerifyingKey | None:
    try:
        algorithm = Algorithm(jwk.get("alg", ""))
    except ValueError:
        return None
    if jwk.get("use", "sig") != "sig":
        return None
    return import_key(jwk, algorithm)


def import_key(jwk: Mapping[str, Any], algorithm: Algorithm) -> VerifyingKey:
    """Import one public JWK for its one algorithm.

    Raises:
        KeyRejected: It is malformed, weak, private or of another type than the algorithm's.
    """
    return verifying_key(read_key(jwk, algorithm), algorithm)


def read_key(jwk: Mapping[str, Any], algorithm: Algorithm) -> PublicKey:
    """Read the key that a public JWK of an algorithm holds.

    Raises:
        KeyRejected: It is malformed, weak, private or of another type than the algorithm's.
    """
    if jwk.get("kty") != _KTY[algorithm]:
        raise KeyRejected("a key's type does not fit its algorithm")
    if PRIVATE_MEMBERS & jwk.keys():
        # Whoever can read the set can sign: such a key proves nothing any more.
        raise KeyRejected("a published key has private members")
    try:
        return _READERS[algorithm](jwk)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise KeyRejected("a key is malformed") from error


def verifying_key(key: PublicKey, algorithm: Algorithm) -> VerifyingKey:
    """Tie a public key to its one algorithm."""
    if isinstance(key, RSAPublicKey):
        return VerifyingKey(algorithm, rs256_verifier(key))
    if isinstance(key, Ed25519PublicKey):
        return VerifyingKey(algorithm, eddsa_verifier(key))
    return VerifyingKey(algorithm, es256_verifier(key))


def _read_ec(jwk: Mapping[str, Any]) -> PublicKey:
    if jwk["crv"] != "P-256":
        raise KeyRejected("an EC key is not on P-256")
    return EllipticCurvePublicNumbers(_unsigned(jwk["x"]), _unsigned(jwk["y"]), SECP256R1()).public_key()


def _read_rsa(jwk: Mapping[str, Any]) -> PublicKey:
    modulus, exponent = _unsigned(jwk["n"]), _unsigned(jwk["e"])
    if modulus.bit_length() not in RSA_BITS or exponent not in RSA_EXPONENTS:
        raise KeyRejected("an RSA key is too short, too long or has an unusual exponent")
    return RSAPublicNumbers(exponent, modulus).public_key()


def _read_okp(jwk: Mapping[str, Any]) -> PublicKey:
    if jwk["crv"] != "Ed25519":
        raise KeyRejected("an OKP key is not on Ed25519")
    return Ed25519PublicKey.from_public_bytes(base64url.decode(jwk["x"].encode()))


_READERS: dict[Algorithm, Callable[[Mapping[str, Any]], PublicKey]] = {
    Algorithm.ES256: _read_ec,
    Algorithm.RS256: _read_rsa,
    Algorithm.EDDSA: _read_okp,
}


def _unsigned(text: str) -> int:
    return int.from_bytes(base64url.decode(text.encode()), "big")


def es256_verifier(key: EllipticCurvePublicKey) -> Verify:
    """Verify ES256: R and S as 32 octets each (RFC 7518 section 3.4)."""

    def verify(signature: bytes, message: bytes) -> bool:
        if len(signature) != _ES256_BYTES:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        # Zero is the "psychic signature" of CVE-2022-21449; we do not rely on the library to know it.
        if not (0 < r < _P256_ORDER and 0 < s < _P256_ORDER):
            return False
        try:
            key.verify(encode_dss_signature(r, s), message, _ECDSA)
        except InvalidSignature:
            return False
        return True

    return verify


def rs256_verifier(key: RSAPublicKey) -> Verify:
    """Verify RS256: PKCS #1 v1.5 with SHA-256 (RFC 7518 section 3.3)."""

    def verify(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message, _PKCS1, _SHA256)
        except InvalidSignature:
            return False
        return True

    return verify


def eddsa_verifier(key: Ed25519PublicKey) -> Verify:
    """Verify Ed25519 (RFC 8037 section 3.1)."""

    def verify(signature: bytes, message: bytes) -> bool:
        try:
            key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    return verify
