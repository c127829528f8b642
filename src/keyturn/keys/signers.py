"""Private keys that sign, one class for each algorithm, imported once (RFC 7518 section 3, RFC 8037)."""

from collections.abc import Callable
from hashlib import sha256

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from keyturn.core.errors import Fault
from keyturn.core.ports import Signer
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.certificates import PrivateKey, certificate_members
from keyturn.tokens.jwks import public_jwk

RSA_BITS = 2048
"""The default size, what the vendors' contracts have; 3072 where an operator asks (TK-13)."""

MakeKey = Callable[[Algorithm, int], PrivateKey]
"""Makes a private key, RSA of so many bits."""

_ECDSA = ECDSA(Prehashed(SHA256()))
_PKCS1 = PKCS1v15()
_SHA256 = SHA256()
_HALF_BYTES = 32
_BEFORE_R = 4


class GeneratedKey(msgspec.Struct, frozen=True):
    """A fresh key, before its private half is sealed.

    Args:
        public_jwk: The published form; its ``kid`` names the key.
        pkcs8: The private half, DER.
        certificate: DER, where there is one.
    """

    public_jwk: dict[str, str]
    pkcs8: bytes
    certificate: bytes | None = None

    def __repr__(self) -> str:
        """Show the public half alone: tracebacks print what they find."""
        return f"GeneratedKey({self.public_jwk['kid']})"


class Es256Signer:
    """ECDSA on P-256 with SHA-256."""

    algorithm = Algorithm.ES256
    elsewhere = None

    def __init__(self, key_id: str, key: EllipticCurvePrivateKey, x5t: str | None = None) -> None:
        """Sign with ``key``."""
        self.key_id, self.x5t = key_id, x5t
        self._sign = key.sign

    def sign(self, message: bytes) -> bytes:
        """Give R and S as 32 octets each (RFC 7518 section 3.4), where OpenSSL gives DER.

        That is ``30 n 02 n R 02 n S`` here, each length one octet and the numbers without leading zeros but
        where the first bit would be a sign: cut by hand, as two integers in between cost a microsecond.
        """
        der = self._sign(sha256(message).digest(), _ECDSA)
        end = _BEFORE_R + der[_BEFORE_R - 1]
        r, s = der[_BEFORE_R:end][-_HALF_BYTES:], der[end + 2 :][-_HALF_BYTES:]
        return r.rjust(_HALF_BYTES, b"\0") + s.rjust(_HALF_BYTES, b"\0")


class Rs256Signer:
    """RSA, PKCS #1 v1.5 with SHA-256."""

    algorithm = Algorithm.RS256
    elsewhere = None

    def __init__(self, key_id: str, key: RSAPrivateKey, x5t: str | None = None) -> None:
        """Sign with ``key``."""
        self.key_id, self.x5t = key_id, x5t
        self._sign = key.sign

    def sign(self, message: bytes) -> bytes:
        """Give the signature (RFC 7518 section 3.3)."""
        return self._sign(message, _PKCS1, _SHA256)


class EdDsaSigner:
    """Ed25519."""

    algorithm = Algorithm.EDDSA
    elsewhere = None

    def __init__(self, key_id: str, key: Ed25519PrivateKey, x5t: str | None = None) -> None:
        """Sign with ``key``."""
        self.key_id, self.x5t = key_id, x5t
        self.sign: Callable[[bytes], bytes] = key.sign


def make_private_key(algorithm: Algorithm, rsa_bits: int = RSA_BITS) -> PrivateKey:
    """Make a private key, from OpenSSL's generator; RSA takes 100 ms and more, so run it in a thread."""
    match algorithm:
        case Algorithm.ES256:
            return generate_private_key(SECP256R1())
        case Algorithm.RS256:
            return generate_rsa_key(public_exponent=65537, key_size=rsa_bits)
        case Algorithm.EDDSA:
            return Ed25519PrivateKey.generate()


def generate_key(
    algorithm: Algorithm,
    rsa_bits: int = RSA_BITS,
    certify: Callable[[PrivateKey], bytes] | None = None,
    make: MakeKey = make_private_key,
) -> GeneratedKey:
    """Make a key pair and the names it is published under; run it in a thread.

    Args:
        certify: Makes the certificate that names the key; None for the name that its thumbprint is.
        make: Makes the private key.
    """
    key = make(algorithm, rsa_bits)
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    certificate = certify(key) if certify is not None else None
    named = certificate_members(certificate) if certificate is not None else {}
    return GeneratedKey(public_jwk(key.public_key(), algorithm) | named, pkcs8, certificate)


def load_signer(key_id: str, algorithm: Algorithm, pkcs8: bytes, x5t: str | None = None) -> Signer:
    """Import a private key that was sealed here.

    Args:
        x5t: What names its certificate, if it has one.

    Raises:
        Fault: It is not a key for that algorithm.
    """
    # Only what we generated and sealed gets here, authenticated. OpenSSL's check of RSA primes costs 100
    # times the import, and the first token after each start would pay it.
    key = load_der_private_key(pkcs8, password=None, unsafe_skip_rsa_key_validation=True)
    match algorithm, key:
        case Algorithm.ES256, EllipticCurvePrivateKey():
            return Es256Signer(key_id, key, x5t)
        case Algorithm.RS256, RSAPrivateKey():
            return Rs256Signer(key_id, key, x5t)
        case Algorithm.EDDSA, Ed25519PrivateKey():
            return EdDsaSigner(key_id, key, x5t)
        case _:
            raise Fault(f"signing key {key_id} is not a key for {algorithm}")
