"""The deployment's key for audit checkpoints: Ed25519, sealed under the master key like everything else.

Who has the store but not the master key can neither sign a checkpoint nor put another key in the place of
this one. Its public half is for whoever keeps copies elsewhere (``keyturn audit key``).
"""

from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from keyturn.core.actors import system
from keyturn.core.changes import Add, Unit
from keyturn.core.errors import Fault
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent, Sealed
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import Algorithm
from keyturn.keys.signers import generate_key
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
        if key_id != self.key_id:
            return False
        try:
            self._public.verify(signature, message)
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
