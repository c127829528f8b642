"""Self-signed certificates for the keys of contracts that name a key by its certificate (RFC 5280, RFC 7515).

Such a certificate proves nothing and nobody checks it: it gives the key its name. So it ends long after the
key does, and the key ring's times are what counts.
"""

import hashlib
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from keyturn.core.secret import Dice
from keyturn.tokens import base64url

PrivateKey = EllipticCurvePrivateKey | RSAPrivateKey | Ed25519PrivateKey

VALID_BEFORE = timedelta(days=1)
"""A verifier's clock may be behind."""
VALID_FOR = timedelta(days=30 * 365)
"""Longer than a key signs even where rotation is off."""
_SERIAL_BYTES = 19
"""Positive and at most 20 octets (RFC 5280 section 4.1.2.2)."""


def certify(key: PrivateKey, name: str, now: datetime, dice: Dice) -> bytes:
    """Make a key's certificate, signed by the key itself.

    Args:
        name: Becomes the common name of subject and issuer.

    Returns:
        DER.
    """
    from cryptography import x509  # a megabyte that other contracts do without
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(b"\x01" + dice(_SERIAL_BYTES)))
        .not_valid_before(now - VALID_BEFORE)
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    signed = made.sign(key, None if isinstance(key, Ed25519PrivateKey) else SHA256())
    return signed.public_bytes(Encoding.DER)


def certificate_members(certificate: bytes) -> dict[str, str]:
    """Give the members of a JWK that name a key by its certificate: ``kid`` and ``x5t``.

    SHA-1 is what ``x5t`` means (RFC 7515 section 4.1.7). It names and proves nothing: who could make a second
    certificate with it would still need a place in our key set.
    """
    thumbprint = hashlib.sha1(certificate, usedforsecurity=False).digest()
    return {"kid": thumbprint.hex().upper(), "x5t": base64url.encode(thumbprint).decode()}
