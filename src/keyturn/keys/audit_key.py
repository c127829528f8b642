"""The deployment's key for audit checkpoints: Ed25519, sealed under the master key like everything else.

Who has the store but not the master key can neither sign a checkpoint nor put another key in the place of
this one. Its public half is for whoever keeps copies elsewhere (``keyturn audit key``).
"""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from keyturn.core.actors import system
from keyturn.core.changes import Add, Unit
from keyturn.core.checkpoints import SignatureCheck
from keyturn.core.errors import Fault
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent, Sealed
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key
from keyturn.tokens import base64url
from keyturn.tokens.jwks import public_jwk

PURPOSE = "audit-checkpoint-key"
FIRST = "audit-1"
"""Fixed, so that of two nodes that make it together one loses, and takes the other's."""


class Ed25519AuditKey:
    """The ``AuditKey`` of ``core.upkeep_ports``; its id is the RFC 7638 thumbprint."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Sign with ``key``."""
        self.public_jwk = public_jwk(key.public_key(), Algorithm.EDDSA)
        self.key_id = self.public_jwk["kid"]
        self._key = key
        self._public = key.public_key()

    def sign(self, message: bytes) -> bytes:
        """Sign with Ed25519 (RFC 8032)."""
        return self._key.sign(message)

    def verify(self, key_id: str, message: bytes, signature: bytes) -> bool:
        """Tell whether a signature is by this key."""
        return _is_signed(self._public, self.key_id, key_id, message, signature)


def public_check(jwk: Mapping[str, str]) -> SignatureCheck:
    """Check signatures by the public half of an audit key, for whoever has no store.

    Raises:
        ValueError: It is no Ed25519 key (RFC 8037 section 2).
    """
    if (jwk.get("kty"), jwk.get("crv")) != ("OKP", "Ed25519"):
        raise ValueError("an audit key is an Ed25519 key: kty OKP, crv Ed25519")
    public = Ed25519PublicKey.from_public_bytes(base64url.decode(jwk.get("x", "").encode()))
    return partial(_is_signed, public, public_jwk(public, Algorithm.EDDSA)["kid"])


def _is_signed(public: Ed25519PublicKey, own_id: str, key_id: str, message: bytes, signature: bytes) -> bool:
    if key_id != own_id:
        return False
    try:
        public.verify(signature, message)
    except InvalidSignature:
        return False
    return True


class StoredAuditKeys:
    """The ``AuditKeys`` of a deployment's store."""

    def __init__(self, store: DeploymentStore, sealer: Sealer, dice: Dice) -> None:
        """Hold no key yet."""
        self._store = store
        self._sealer = sealer
        self._dice = dice
        self._key: Ed25519AuditKey | None = None

    async def find(self) -> Ed25519AuditKey | None:
        """Give the key, if one was ever made.

        Raises:
            Fault: It does not open under this master key, or is no Ed25519 key.
        """
        if self._key is None:
            for kept in await self._store.sealed(PURPOSE):
                opened = self._sealer.open(PURPOSE, kept.id, kept.value)
                key = load_der_private_key(opened, password=None)
                if not isinstance(key, Ed25519PrivateKey):
                    raise Fault("the audit key is no Ed25519 key")
                self._key = Ed25519AuditKey(key)
        return self._key

    async def find_or_make(self, now: datetime) -> Ed25519AuditKey:
        """Give the key, making it at first need."""
        key = await self.find()
        if key is None:
            made = generate_key(Algorithm.EDDSA)
            value = self._sealer.seal(PURPOSE, FIRST, made.pkcs8)
            kept = Sealed(id=FIRST, purpose=PURPOSE, value=value, created_at=now)
            born = AuditEvent(
                at=now,
                kind="audit_key.created",
                actor=system("checkpoint").name,
                request_id=uuid7(now, self._dice),
                subject=made.public_jwk["kid"],
            )
            # Lost: another node was first. Either way the one in the store is the one that counts.
            await self._store.record(Unit(changes=(Add(kept),), audit=born))
            key = await self.find()
        if key is None:
            raise Fault("the audit key was recorded and cannot be read back")
        return key
