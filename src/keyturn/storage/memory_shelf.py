"""The rows of a store in memory, and the answers to every question about them; ``memory`` has the store."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar, cast

import msgspec

from keyturn.core.changes import Imported, Record, Removable, Rewind, Touch, Versioned
from keyturn.core.records import (
    AuditRow,
    Client,
    Credential,
    Organisation,
    RefreshFamily,
    Revocation,
    Sealed,
    SigningKey,
)
from keyturn.core.store_ports import LEFTOVER_NAMES, Leftover
from keyturn.core.tombstones import ERASED
from keyturn.core.views import ClientView
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, FamilyId, OrganisationId
from keyturn.storage.carry import LEFTOVERS, TOMBSTONES, R, organisation_of
from keyturn.storage.memory_admin import MemoryAdmin
from keyturn.storage.memory_people import MemoryPeople
from keyturn.storage.places import unique_names
from keyturn.storage.reads import VIEWED_KINDS
from keyturn.storage.rewinding import rewind_records
from keyturn.storage.schema import micros

_ANY = TypeVar("_ANY", bound=Record)
_Place = tuple[type[Any], str, str]


class MemoryShelf:
    """Rows in a dictionary (``carry.Shelf``), and the answers to every question (``reads.Reads``)."""

    def __init__(self) -> None:
        self.rows: dict[_Place, Record] = {}
        self.audit: list[AuditRow] = []
        self.people = MemoryPeople(self)
        self.admin = MemoryAdmin(self)

    # --- the shelf ---

    def find(self, kind: type[R], key: str) -> R | None:
        """Read a record by its id."""
        return cast("R | None", self.rows.get((kind, key, "")))

    def find_sealed(self, purpose: str, name: str) -> Sealed | None:
        """Read a sealed value by its place."""
        return cast("Sealed | None", self.rows.get((Sealed, name, purpose)))

    def holder(self, record: Record) -> Record | None:
        """Find who already has a record's id or another name of it that must be unique."""
        return self.rows.get(_place(record)) or self.rival(record)

    def rival(self, record: Record) -> Record | None:
        """Find another record of the kind that has a name of this one, its id apart."""
        names = unique_names(record)
        others = (each for each in self.all(type(record)) if each.id != record.id) if names else ()
        return next((each for each in others if any(name in names for name in unique_names(each))), None)

    def insert(self, record: Record) -> None:
        """Write a new record."""
        self.rows[_place(record)] = record

    def holder_among(self, records: Sequence[Imported]) -> Record | None:
        """Find who already has the id or another unique name of one of many records."""
        return next((held for held in map(self.holder, records) if held is not None), None)

    def insert_all(self, records: Sequence[Imported]) -> None:
        """Write many new records."""
        for record in records:
            self.insert(record)

    def update(self, record: Versioned | SigningKey | Sealed) -> None:
        """Write a record in place of the one with its id."""
        self.rows[_place(record)] = record

    def delete(self, record: Removable) -> None:
        """Delete the record with this id, if there is one."""
        self.rows.pop(_place(record), None)

    def delete_sealed(self, purpose: str, name: str) -> None:
        """Delete a sealed value by its place, if there is one."""
        self.rows.pop((Sealed, name, purpose), None)

    def touch(self, change: Touch) -> None:
        """Note the day of a credential's use, unless it is another's or a later day is noted."""
        used = self.find(Credential, change.credential_id)
        if used is None or used.organisation_id != change.organisation_id:
            return
        if used.last_used_on is None or used.last_used_on < change.day:
            self.update(msgspec.structs.replace(used, last_used_on=change.day))

    def tombstone_of(self, *lookup_hashes: bytes) -> Credential | None:
        """Find a deleted organisation's credential by one of its secret's digests."""
        ended = {each.id for each in self.all(Organisation) if each.ended_at is not None}
        held = (each for each in self.all(Credential) if each.lookup_hash in lookup_hashes)
        return next((each for each in held if each.organisation_id in ended), None)

    def rewind(self, change: Rewind) -> None:
        """End what could happen twice (``rewinding``)."""
        rewind_records(self.rows, change)

    def all(self, kind: type[_ANY]) -> list[_ANY]:
        """List all records of a kind."""
        return [record for record in self.rows.values() if isinstance(record, kind)]

    # --- the questions ---

    async def organisation(self, organisation_id: OrganisationId) -> Organisation | None:
        """Read an organisation by its id."""
        return self.find(Organisation, organisation_id)

    async def organisation_by_slug(self, slug: str) -> Organisation | None:
        """Read an organisation by its slug."""
        return next((each for each in self.all(Organisation) if each.slug == slug), None)

    async def organisations(self) -> Sequence[Organisation]:
        """Read all organisations, oldest first."""
        return sorted(self.all(Organisation), key=lambda each: (each.created_at, each.id))

    async def client(self, client_id: ClientId) -> Client | None:
        """Read a client by its id."""
        return self.find(Client, client_id)

    async def clients(self, organisation_id: OrganisationId) -> Sequence[Client]:
        """Read an organisation's clients, oldest first."""
        own = (each for each in self.all(Client) if each.organisation_id == organisation_id)
        return sorted(own, key=lambda each: (each.created_at, each.id))

    async def client_view(self, client_id: ClientId) -> ClientView | None:
        """Read a client, its organisation and what it proves itself with."""
        client = self.find(Client, client_id)
        organisation = None if client is None else self.find(Organisation, client.organisation_id)
        if client is None or organisation is None:
            return None
        held = self._credentials(organisation.id, client_id, VIEWED_KINDS)
        return ClientView(organisation, client, tuple(held))

    async def credential(self, credential_id: CredentialId) -> Credential | None:
        """Read a credential by its id."""
        return self.find(Credential, credential_id)

    async def credentials_of(
        self, organisation_id: OrganisationId, owner_id: str, kind: CredentialKind
    ) -> Sequence[Credential]:
        """Read an owner's credentials of a kind, oldest first."""
        return self._credentials(organisation_id, owner_id, {kind})

    def _credentials(
        self, organisation_id: OrganisationId, owner_id: str, kinds: Collection[CredentialKind]
    ) -> Sequence[Credential]:
        owned = (
            each
            for each in self.all(Credential)
            if (each.organisation_id, each.owner_id) == (organisation_id, owner_id) and each.kind in kinds
        )
        return sorted(owned, key=lambda each: (each.life.created_at, each.id))

    async def credential_by_hash(self, lookup_hashes: Sequence[bytes]) -> Credential | None:
        """Find a credential by one of its secret's digests."""
        return next((each for each in self.all(Credential) if each.lookup_hash in lookup_hashes), None)

    async def taken_by(self, records: Sequence[Imported]) -> Record | None:
        """Find who already has the id or another unique name of one of many records."""
        return self.holder_among(records)

    async def leftovers(self, organisation_id: OrganisationId, limit: int) -> Sequence[Leftover]:
        """Read what is left to erase of an organisation."""
        return list(islice(self._left(organisation_id), limit))

    async def leftover_counts(self, organisation_id: OrganisationId) -> Mapping[str, int]:
        """Count what is left to erase of an organisation, by ``LEFTOVER_NAMES``."""
        return Counter(LEFTOVER_NAMES[type(each)] for each in self._left(organisation_id))

    def _left(self, organisation_id: OrganisationId) -> Iterator[Leftover]:
        return (
            each
            for kind in LEFTOVERS
            for each in self.all(kind)
            if organisation_of(each) == organisation_id
            if kind not in TOMBSTONES or getattr(each, "name", ERASED) != ERASED
        )

    async def signing_keys(self, issuer_id: str, now: datetime) -> Sequence[SigningKey]:
        """Read an issuer's keys that are not retired at ``now``, oldest first."""
        ring = (key for key in self.all(SigningKey) if key.issuer_id == issuer_id)
        kept = (key for key in ring if key.retires_at is None or key.retires_at > now)
        return sorted(kept, key=lambda key: (key.published_at, key.id))

    async def sealed(self, purpose: str) -> Sequence[Sealed]:
        """Read the sealed values of a purpose, oldest first."""
        own = (each for each in self.all(Sealed) if each.purpose == purpose)
        return sorted(own, key=lambda each: (each.created_at, each.id))

    async def sealed_at(self, places: Sequence[tuple[str, str]]) -> Sequence[Sealed]:
        """Read the sealed values at some places: (purpose, name)."""
        found = (self.find_sealed(purpose, name) for purpose, name in places)
        return [sealed for sealed in found if sealed is not None]

    async def family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Read a refresh family by its id."""
        return self.find(RefreshFamily, family_id)

    async def revocations(self, after: str, limit: int) -> Sequence[tuple[str, int]]:
        """Read what is revoked, in the order of ids: each id, and the microseconds of its expiry."""
        found = sorted((each.id, micros(each.expires_at)) for each in self.all(Revocation) if each.id > after)
        return found[:limit]

    async def audit_rows(self, chain: str | None, after: int, limit: int) -> Sequence[AuditRow]:
        """Read a chain's rows after a ``seq``, or the newest of all, oldest first."""
        if chain is None:
            return self.audit[-limit:] if limit else []
        return [row for row in self.audit if row.chain == chain and row.seq > after][:limit]

    async def audit_chains(self) -> Sequence[str]:
        """Name every chain, oldest first."""
        return list(dict.fromkeys(row.chain for row in self.audit))


def _place(record: Record) -> _Place:
    return (type(record), record.id, record.purpose if isinstance(record, Sealed) else "")
