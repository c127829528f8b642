"""The personal fields of audit rows: sealed under a key of their organisation, so that it can be shredded.

A sealed field is one byte naming the kind of key, a random nonce of 12 bytes and AES-256-GCM over the JSON,
bound to the row's chain and seq. Without the key the row still verifies, because the chain's hash covers
the sealed form. An organisation's key is made with the organisation and never again: where it is gone, new
personal fields are dropped rather than sealed under a key that outlives the shredding.
"""

from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyturn.core.clock import Clock
from keyturn.core.errors import Fault
from keyturn.core.identifiers import in_bulk
from keyturn.core.ports import Sealer
from keyturn.core.records import AuditEvent, AuditRow, Organisation, Sealed
from keyturn.core.secret import Dice
from keyturn.storage.audit import Tail
from keyturn.storage.bounded import Lru
from keyturn.storage.carry import Shelf

ORGANISATION_KEY = "organisation-audit-key"
"""The purpose of an organisation's sealed key; its name is the organisation's id."""
DEPLOYMENT_KEY = "deployment-audit-key"
"""The purpose of the key for events of no organisation that is known."""
DEPLOYMENT_KEY_ID = "deployment"

KEY_LIMIT = 20_000
"""Organisations whose key the writer keeps open, as many as ``keys`` keeps rings of."""

_OF_ORGANISATION = b"\x01"
_OF_DEPLOYMENT = b"\x02"
_NONCE_BYTES = 12
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class SealedShelf(Shelf, Protocol):
    """A shelf that also finds and deletes sealed values."""

    def find_sealed(self, purpose: str, name: str) -> Sealed | None:
        """Read a sealed value by its place."""
        ...

    def delete_sealed(self, purpose: str, name: str) -> None:
        """Delete a sealed value by its place, if there is one."""
        ...


class PersonalKeys:
    """The writer's keys for personal fields, read inside its transaction and kept open in memory.

    Args:
        sealer: Opens and seals the keys themselves.
        clock: Dates a new key.
        dice: Makes keys and nonces.
    """

    def __init__(self, sealer: Sealer, clock: Clock, dice: Dice) -> None:
        self._sealer = sealer
        self._clock = clock
        self._dice = dice
        self._nonces = in_bulk(dice)
        self._open: Lru[str | None, tuple[bytes, AESGCM]] = Lru(KEY_LIMIT)

    def made_with(self, organisation: Organisation) -> Sealed:
        """Make the key that an organisation is born with."""
        return self._make(ORGANISATION_KEY, organisation.id)

    def seal(self, event: AuditEvent, tail: Tail, shelf: SealedShelf) -> bytes | None:
        """Seal an event's personal fields for the row after ``tail``; None where there are none to keep.

        Raises:
            Fault: The master key does not open the organisation's key.
        """
        if not event.personal:
            return None
        key = self._open.get(event.organisation_id) or self._find(event.organisation_id, shelf)
        if key is None:
            return None
        mark, cipher = key
        nonce = self._nonces(_NONCE_BYTES)
        return mark + nonce + cipher.encrypt(nonce, _encode(event.personal), _place(tail.chain, tail.seq + 1))

    def shred(self, organisation_id: str, shelf: SealedShelf) -> None:
        """Destroy an organisation's key, in the store and here: what follows is sealed under nothing."""
        shelf.delete_sealed(ORGANISATION_KEY, organisation_id)
        self.drop(organisation_id)

    def drop(self, organisation_id: str) -> None:
        """Forget an organisation's key: another process has destroyed it."""
        self._open.pop(organisation_id)

    def forget(self) -> None:
        """Forget every key: one may have been made in a transaction that was undone."""
        self._open.clear()

    def _find(self, organisation_id: str | None, shelf: SealedShelf) -> tuple[bytes, AESGCM] | None:
        mark, sealed = _OF_ORGANISATION, None
        if organisation_id is not None:
            sealed = shelf.find_sealed(ORGANISATION_KEY, organisation_id)
            if sealed is None and shelf.find(Organisation, organisation_id) is not None:
                return None
        if sealed is None:
            mark, sealed = _OF_DEPLOYMENT, shelf.find_sealed(DEPLOYMENT_KEY, DEPLOYMENT_KEY_ID)
        if sealed is None:
            sealed = self._make(DEPLOYMENT_KEY, DEPLOYMENT_KEY_ID)
            shelf.insert(sealed)
        key = (mark, AESGCM(self._sealer.open(sealed.purpose, sealed.id, sealed.value)))
        # A stranger's id may yet become an organisation's; its key must then not be hidden by this entry.
        if mark == _OF_ORGANISATION or organisation_id is None:
            self._open.put(organisation_id, key)
        return key

    def _make(self, purpose: str, name: str) -> Sealed:
        value = self._sealer.seal(purpose, name, self._dice(32))
        return Sealed(id=name, purpose=purpose, value=value, created_at=self._clock.now())


def key_place(row: AuditRow) -> tuple[str, str] | None:
    """Tell under which sealed key (purpose, name) a row's personal fields lie; None if it has none."""
    if row.sealed_personal is None:
        return None
    if row.sealed_personal[:1] == _OF_ORGANISATION and row.organisation_id is not None:
        return ORGANISATION_KEY, row.organisation_id
    return DEPLOYMENT_KEY, DEPLOYMENT_KEY_ID


def open_personal(row: AuditRow, sealed_key: Sealed | None, sealer: Sealer) -> dict[str, str] | None:
    """Open a row's personal fields; None where the key has been destroyed, or does not fit any more."""
    if row.sealed_personal is None:
        return {}
    if sealed_key is None:
        return None
    nonce, body = row.sealed_personal[1 : 1 + _NONCE_BYTES], row.sealed_personal[1 + _NONCE_BYTES :]
    try:
        cipher = AESGCM(sealer.open(sealed_key.purpose, sealed_key.id, sealed_key.value))
        return _decode(cipher.decrypt(nonce, body, _place(row.chain, row.seq)))
    except (Fault, InvalidTag, msgspec.DecodeError):
        return None


def _place(chain: str, seq: int) -> bytes:
    return f"{chain}:{seq}".encode()
