"""The peppers under which digests of machine secrets are kept (TK-12).

A pepper is random and sealed, not derived from the master key: the master key can then be replaced without
making every client secret of the deployment wrong (design.md section 3).
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from keyturn.core.changes import Add, Unit
from keyturn.core.errors import Fault
from keyturn.core.forms import NEWEST, said
from keyturn.core.identifiers import uuid7
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent, Sealed
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore

PURPOSE = "pepper"
FIRST = "pepper-1"
"""Fixed, so that of two nodes that start together one loses, and takes the other's pepper."""

_PEPPER_BYTES = 32


class Peppers:
    """The ``Digester`` of ``core.ports``, with every pepper in memory."""

    def __init__(self, peppers: dict[str, bytes], current_pepper_id: str, decoy: bytes) -> None:
        """Digest under ``peppers``, and under ``decoy`` where an id is unknown."""
        self._current = current_pepper_id
        # A keyed digest that is begun once and copied costs a third of one that is begun each time.
        self._begun = {pepper_id: HMAC(pepper, SHA256()) for pepper_id, pepper in peppers.items()}
        self._decoy = HMAC(decoy, SHA256())

    @property
    def current_pepper_id(self) -> str:
        """Name the pepper under which new secrets are kept."""
        return self._current

    def lookup_hashes(self, secret_sha256: bytes) -> Sequence[bytes]:
        """Give the digest under every pepper there is."""
        return [self.lookup_hash(secret_sha256, pepper_id) for pepper_id in self._begun]

    def learn(self, pepper_id: str, pepper: bytes) -> None:
        """Digest under one more pepper; new secrets go on being kept under the one before."""
        self._begun[pepper_id] = HMAC(pepper, SHA256())

    def knows(self, pepper_id: str) -> bool:
        """Tell whether a pepper is in memory."""
        return pepper_id in self._begun

    def tag(self, message: bytes, pepper_id: str | None = None) -> bytes:
        """Digest a message under a pepper, the current one by default, apart from every look-up hash."""
        return _tag(self._begun.get(pepper_id or self._current, self._decoy), message)

    def tags(self, message: bytes) -> Mapping[str, bytes]:
        """Give the digest under every pepper there is, by the pepper's id."""
        return {pepper_id: _tag(begun, message) for pepper_id, begun in self._begun.items()}

    def lookup_hash(self, secret_sha256: bytes, pepper_id: str) -> bytes:
        """Give HMAC-SHA256 under a pepper; an unknown id costs the same and matches nothing."""
        digest = self._begun.get(pepper_id, self._decoy).copy()
        digest.update(secret_sha256)
        return digest.finalize()


def _tag(begun: HMAC, message: bytes) -> bytes:
    digest = begun.copy()
    # Longer than any SHA-256 that `lookup_hash` digests, so that neither can be passed off as the other.
    digest.update(b"keyturn tag: " + hashlib.sha256(message).digest())
    return digest.finalize()


async def load_peppers(store: DeploymentStore, sealer: Sealer, dice: Dice, born: AuditEvent) -> Peppers:
    """Load every pepper, making the first one where there is none.

    Args:
        store: Keeps them sealed.
        sealer: Opens them.
        dice: Gives the first pepper, and this process's decoy.
        born: The event that is recorded if the first pepper is made; its ``at`` is the time of making.

    Raises:
        Fault: A pepper does not open (wrong master key), or none could be read back.
    """
    kept = await store.sealed(PURPOSE)
    if not kept:
        value = sealer.seal(PURPOSE, FIRST, dice(_PEPPER_BYTES))
        first = Sealed(id=FIRST, purpose=PURPOSE, value=value, created_at=born.at)
        # Lost: another node was first. Either way the one in the store is the one that counts.
        # No process of an older release ever wrote to a store that has no pepper yet; two releases that begin
        # one together are nobody's upgrade.
        all_read = said(NEWEST, sealer, born.at)
        await store.record(Unit(changes=(Add(first), Add(all_read)), audit=born))
        kept = await store.sealed(PURPOSE)
    if not kept:
        raise Fault("the first pepper was recorded and cannot be read back")
    peppers = {each.id: sealer.open(PURPOSE, each.id, each.value) for each in kept}
    return Peppers(peppers, kept[-1].id, dice(_PEPPER_BYTES))


async def learn_peppers(peppers: Peppers, store: DeploymentStore, sealer: Sealer) -> None:
    """Take in the peppers of organisations that came from elsewhere while this process runs.

    Raises:
        Unavailable: The store is away.
        Fault: A pepper does not open.
    """
    for each in await store.sealed(PURPOSE):
        if not peppers.knows(each.id):
            peppers.learn(each.id, sealer.open(PURPOSE, each.id, each.value))


async def open_peppers(store: DeploymentStore, sealer: Sealer) -> dict[str, bytes]:
    """Open every pepper there is, oldest first: to take some along with the digests under them.

    Raises:
        Fault: A pepper does not open.
    """
    kept = await store.sealed(PURPOSE)
    return {each.id: sealer.open(PURPOSE, each.id, each.value) for each in kept}


async def seal_pepper(
    store: DeploymentStore, sealer: Sealer, pepper: bytes, now: datetime, dice: Dice
) -> Sealed:
    """Seal a pepper that came from elsewhere, as the oldest: the newest is the one for new secrets."""
    oldest = min((each.created_at for each in await store.sealed(PURPOSE)), default=now)
    name = f"pepper-{uuid7(now, dice)}"
    value = sealer.seal(PURPOSE, name, pepper)
    return Sealed(id=name, purpose=PURPOSE, value=value, created_at=oldest - timedelta(seconds=1))
