"""Where private keys are made and used: in this process, or in a token that does not give them away.

A ring keeps of a key what its custody gives it, sealed: the key, or what finds it in the token. So both
kinds stand in one ring while an issuer moves from one to the other.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from keyturn.core.errors import Fault
from keyturn.core.ports import Signer
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.certificates import PrivateKey
from keyturn.keys.signers import RSA_BITS, MakeKey, generate_key, load_signer, make_private_key

REFERENCE = b"pkcs11:"
"""How the reference to a key in a token begins; no DER does."""

Certify = Callable[[PrivateKey], bytes]
"""Makes the certificate that names a key."""


class MadeKey(msgspec.Struct, frozen=True):
    """A fresh key, as a ring keeps it.

    Args:
        public_jwk: The published form; its ``kid`` names the key.
        private: What the ring seals: PKCS #8, or what finds the key in a token.
        certificate: DER, where there is one.
    """

    public_jwk: dict[str, str]
    private: bytes
    certificate: bytes | None = None

    def __repr__(self) -> str:
        """Show the public half alone: tracebacks print what they find."""
        return f"MadeKey({self.public_jwk['kid']})"


class Custody(Protocol):
    """Makes keys, and gives the signers of those it made."""

    def make(self, algorithm: Algorithm, owner: str, certify: Certify | None = None) -> MadeKey:
        """Make a key; it may take a second, so run it in a thread.

        Args:
            owner: The issuer, for people who look at a token.
            certify: Makes the certificate that names the key; None for the name that its thumbprint is.

        Raises:
            Unavailable: No key can be made now (Reason.KEY_UNAVAILABLE).
        """
        ...

    def load(self, key_id: str, algorithm: Algorithm, private: bytes, x5t: str | None = None) -> Signer:
        """Give the signer of a key that was made here, at once.

        Raises:
            Fault: It is not a key for that algorithm, or not one of this custody.
        """
        ...


class SoftwareKeys:
    """Keys in this process's memory; at rest they are PKCS #8 under the master key."""

    def __init__(self, rsa_bits: int = RSA_BITS, make_key: MakeKey = make_private_key) -> None:
        """Make keys by ``make_key``, RSA keys of ``rsa_bits``."""
        self._rsa_bits = rsa_bits
        self._make_key = make_key

    def make(self, algorithm: Algorithm, owner: str, certify: Certify | None = None) -> MadeKey:  # noqa: ARG002  # a token's
        """Make a key."""
        made = generate_key(algorithm, self._rsa_bits, certify, self._make_key)
        return MadeKey(made.public_jwk, made.pkcs8, made.certificate)

    def load(self, key_id: str, algorithm: Algorithm, private: bytes, x5t: str | None = None) -> Signer:
        """Import a key.

        Raises:
            Fault: It is not a key for that algorithm, or it is in a token.
        """
        if private.startswith(REFERENCE):
            raise Fault(f"signing key {key_id} is in a PKCS#11 token: set pkcs11.module and pkcs11.token")
        return load_signer(key_id, algorithm, private, x5t)
