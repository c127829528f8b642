"""A store in memory that means the same as the one on disk, for tests and for whoever wants to forget.

The rules of changes, the chain and the sealing are the same code; only the shelf is made of dictionaries.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

from keyturn.core.changes import Add, Lost, Outcome, Record, Recorded, Shred, Unit, Versioned
from keyturn.core.clock import Clock
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.identifiers import uuid7
from keyturn.core.limits import Rate
from keyturn.core.ports import Leftover, Limits, Lockout, Sealer
from keyturn.core.records import (
    AuditEvent,
    AuditRow,
    Client,
    ClientView,
    Credential,
    Organisation,
    RefreshFamily,
    Revocation,
    Sealed,
    SigningKey,
)
from keyturn.core.secret import Dice
from keyturn.core.vocabulary import (
    CLIENT_KINDS,
    ClientId,
    CredentialId,
    CredentialKind,
    FamilyId,
    OrganisationId,
    Reason,
)
from keyturn.storage.audit import Tail, link
from keyturn.storage.carry import R, carry_out, organisation_of, require_inside, require_sound, topics_of
from keyturn.storage.feed import Confirmation, News
from keyturn.storage.limits import MemoryLimits
from keyturn.storage.lockout import MemoryLockout, Tag
from keyturn.storage.memory_upkeep import MemoryUpkeep
from keyturn.storage.personal import PersonalKeys
from keyturn.storage.revocations import RevocationSet
from keyturn.storage.stores import WideStore

_ANY = TypeVar("_ANY", bound=Record)
_Place = tuple[type[Any], str, str]


class MemoryShelf:
    """Rows in a dictionary (``carry.Shelf``), and the answers to every question (``reads.Reads``)."""

    def __init__(self) -> None:
        self.rows: dict[_Place, Record] = {}
        self.audit: list[AuditRow] = []

    # --- the shelf ---

    def find(self, kind: type[R], key: str) -> R | None:
        """Read a record by its id."""
        return cast("R | None", self.rows.get((kind, key, "")))

    def find_sealed(self, purpose: str, name: str) -> Sealed | None:
        """Read a sealed value by its place."""
        return cast("Sealed | None", self.rows.get((Sealed, name, purpose)))

    def holder(self, record: Record) -> Record | None:
        """Find who already has a record's id or another name of it that must be unique."""
        if isinstance(record, Organisation):
            for other in self.all(Organisation):
                if record.id == other.id or record.slug == other.slug or record.api_key == other.api_key:
                    return other
            return None
        return self.rows.get(_place(record))

    def insert(self, record: Record) -> None:
        """Write a new record."""
        self.rows[_place(record)] = record

    def update(self, record: Versioned | SigningKey) -> None:
        """Write a record in place of the one with its id."""
        self.rows[_place(record)] = record

    def delete(self, record: RefreshFamily | SigningKey) -> None:
        """Delete the record with this id, if there is one."""
        self.rows.pop(_place(record), None)

    def delete_sealed(self, purpose: str, name: str) -> None:
        """Delete a sealed value by its place, if there is one."""
        self.rows.pop((Sealed, name, purpose), None)

    def tombstone_of(self, lookup_hash: bytes) -> Credential | None:
        """Find a deleted organisation's credential by its secret's digest."""
        ended = {each.id for each in self.all(Organisation) if each.ended_at is not None}
        held = (each for each in self.all(Credential) if each.lookup_hash == lookup_hash)
        return next((each for each in held if each.organisation_id in ended), None)

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
        held = self._credentials(organisation.id, client_id, CLIENT_KINDS)
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

    async def leftovers(self, organisation_id: OrganisationId, limit: int) -> Sequence[Leftover]:
        """Read what is left to erase of an organisation."""
        there: list[Leftover] = [each for each in self.all(Credential) if each.name]
        there += [each for each in self.all(Client) if each.name]
        there += self.all(RefreshFamily)
        there += self.all(SigningKey)
        return [each for each in there if organisation_of(each) == organisation_id][:limit]

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

    async def revocations(self) -> Sequence[Revocation]:
        """Read every revocation that is kept."""
        return self.all(Revocation)

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


class MemoryStore:
    """A store that forgets everything when it goes (``stores.Store``); also its own registry and recorder."""

    def __init__(self, sealer: Sealer, clock: Clock, dice: Dice) -> None:
        self._shelf = MemoryShelf()
        self._keys = PersonalKeys(sealer, clock, dice)
        self._clock = clock
        self._tail = Tail(uuid7(clock.now(), dice))
        self._closed = False
        self.feed = Confirmation(clock)
        self.revocations = RevocationSet(self._shelf, self.feed)
        self.upkeep = MemoryUpkeep(self._shelf)
        self.deployment = WideStore(self._shelf, self, sealer, clock)

    @property
    def registry(self) -> "MemoryStore":
        """Who exists: all of it is in memory already."""
        return self

    @property
    def recorder(self) -> "MemoryStore":
        """The last step of every road."""
        return self

    async def find_client(self, client_id: ClientId) -> ClientView | None:
        """Find a client by its id anywhere in the deployment, ended ones included."""
        return await self._shelf.client_view(client_id)

    def remembers(self, client_id: ClientId) -> bool:  # noqa: ARG002  # the port
        """Say no: here a client costs what none costs."""
        return False

    async def find_family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Find a refresh family by its id, ended ones included."""
        return await self._shelf.family(family_id)

    async def find_organisation(self, slug: str) -> Organisation | None:
        """Find an organisation by its slug, ended ones included."""
        return await self._shelf.organisation_by_slug(slug)

    def require_fresh(self) -> None:
        """Confirm that memory is current: it is all there is.

        Raises:
            Unavailable: The store is closed.
        """
        if self._closed:
            raise Unavailable(Reason.CACHE_STALE)

    async def record(self, unit: Unit) -> Outcome:
        """Commit a unit's changes and its audit event together, or report what it lost to.

        Raises:
            Fault: The unit contradicts itself, or holds what cannot be written.
            Unavailable: The store is closed.
        """
        return await self._record(unit, None)

    async def record_inside(self, unit: Unit, organisation_id: OrganisationId) -> Outcome:
        """Commit a unit that must stay inside one organisation; raises like ``record``."""
        require_inside(unit, organisation_id)
        return await self._record(unit, organisation_id)

    async def wipe_log(self) -> bool:
        """Leave nothing erased behind: there is no file."""
        return True

    def limits(self, rates: Mapping[str, Rate], tag: Tag) -> Limits:  # noqa: ARG002  # nothing is at rest
        """Make limits of this process, the only one there is."""
        return MemoryLimits(rates)

    def lockout(self, tag: Tag) -> Lockout:
        """Make a lockout of this process, the only one there is."""
        return MemoryLockout(tag)

    def stats(self) -> dict[str, float]:
        """Tell how the feed does; there is no queue and no disk."""
        return {"feed_version": self.feed.applied, "feed_age_seconds": 0.0}

    async def check(self) -> None:
        """Confirm for readiness that the store is open."""
        self.require_fresh()

    async def close(self) -> None:
        """Take no more units."""
        self._closed = True

    async def _record(self, unit: Unit, scope: OrganisationId | None) -> Outcome:
        require_sound(unit)
        if self._closed:
            raise Unavailable(Reason.STORE_UNAVAILABLE)
        await asyncio.sleep(0)  # as on disk, others run before the answer comes
        before = dict(self._shelf.rows)
        try:
            lost = self._carry(unit, scope)
            if lost is None:
                self._append(unit.audit)
        except Exception as error:
            self._shelf.rows = before
            self._keys.forget()
            if isinstance(error, Fault):
                raise
            raise Fault(f"a unit cannot be written: {type(error).__name__}") from None
        if lost is not None:
            self._shelf.rows = before
            if unit.audit_if_lost is not None:
                self._append(unit.audit_if_lost)
            return lost
        self._tell(unit)
        return Recorded()

    def _carry(self, unit: Unit, scope: OrganisationId | None) -> Lost | None:
        for change in unit.changes:
            lost = carry_out(change, self._shelf, scope)
            if lost is not None:
                return lost
            if isinstance(change, Shred):
                self._keys.shred(change.organisation_id, self._shelf)
            elif isinstance(change, Add) and isinstance(change.record, Organisation):
                self._shelf.insert(self._keys.made_with(change.record))
        return None

    def _append(self, event: AuditEvent) -> None:
        row = link(self._tail, event, self._keys.seal(event, self._tail, self._shelf))
        self._shelf.audit.append(row)
        self._tail = Tail(row.chain, row.seq, row.row_hash)

    def _tell(self, unit: Unit) -> None:
        touched = tuple(dict.fromkeys(topic for change in unit.changes for topic in topics_of(change)))
        version = self.feed.applied + (1 if touched else 0)
        self.feed.apply(News(version, touched, self._clock.monotonic()))
