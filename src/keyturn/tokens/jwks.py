"""Public keys as JWKs, and the thumbprint that names them (RFC 7517, 7518, 8037, 7638)."""

import hashlib
import json
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from keyturn.core.vocabulary import Algorithm, KeyId
from keyturn.tokens import base64url

PublicKey = EllipticCurvePublicKey | RSAPublicKey | Ed25519PublicKey

THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n"), "OKP": ("crv", "kty", "x")}
"""What a thumbprint covers, in its order (RFC 7638 section 3.2, RFC 8037 section 2)."""

P256_BYTES = 32


def public_jwk(key: PublicKey, algorithm: Algorithm) -> dict[str, str]:
    """Give the JWK that is published for a key: public members only, ``kid`` its thumbprint (TK-13).

    Spec: RFC 7518 sections 6.2.1 and 6.3.1, RFC 8037 section 2.
    """
    material = key_members(key)
    return material | {"kid": thumbprint(material), "alg": algorithm.value, "use": "sig"}


def thumbprint(jwk: Mapping[str, str]) -> KeyId:
    """Name a key by the SHA-256 of its required members, base64url (RFC 7638)."""
    canonical = json.dumps(
        {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}, separators=(",", ":")
    )
    return KeyId(base64url.encode(hashlib.sha256(canonical.encode()).digest()).decode())


def key_members(key: PublicKey) -> dict[str, str]:
    """Give the members that a key's type requires, and ``kty`` (RFC 7518 section 6, RFC 8037 section 2)."""
    if isinstance(key, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(key.public_bytes_raw()).decode()}
    if isinstance(key, RSAPublicKey):
        rsa = key.public_numbers()
        # Base64urlUInt: as few octets as hold the number (RFC 7518 section 2).
        return {
            "kty": "RSA",
            "n": _unsigned(rsa.n, (rsa.n.bit_length() + 7) // 8),
            "e": _unsigned(rsa.e, (rsa.e.bit_length() + 7) // 8),
        }
    point = key.public_numbers()
    # Coordinates keep their leading zeros (RFC 7518 section 6.2.1.2).
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": _unsigned(point.x, P256_BYTES),
        "y": _unsigned(point.y, P256_BYTES),
    }


def _unsigned(number: int, length: int) -> str:
    return base64url.encode(number.to_bytes(length, "big")).decode()
