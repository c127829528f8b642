"""A store in memory that means the same as the one on disk, for tests and for whoever wants to forget.

The rules of changes, the chain and the sealing are the same code; only the shelf is made of dictionaries.
"""

import asyncio
from collections.abc import Mapping, Sequence

from keyturn.core.admin_records import AdminToken
from keyturn.core.changes import Add, Lost, Outcome, Recorded, Shred, Unit
from keyturn.core.clock import Clock
from keyturn.core.errors import Fault, Unavailable
from keyturn.core.identifiers import uuid7
from keyturn.core.limits import Rate
from keyturn.core.ports import Limits, Lockout, Sealer
from keyturn.core.records import AuditEvent, Organisation, RefreshFamily
from keyturn.core.secret import Dice
from keyturn.core.views import ClientView, EntityView, Held, UserView
from keyturn.core.vocabulary import ClientId, EntityId, FamilyId, OrganisationId, Reason, UserId
from keyturn.storage.audit import Tail, link
from keyturn.storage.carry import carry_out, require_inside, require_sound
from keyturn.storage.feed import Confirmation, News
from keyturn.storage.ground import Point
from keyturn.storage.limits import MemoryLimits
from keyturn.storage.lockout import MemoryLockout, Tag
from keyturn.storage.memory_outbox import MemoryOutbox
from keyturn.storage.memory_shelf import MemoryShelf
from keyturn.storage.memory_upkeep import MemoryUpkeep
from keyturn.storage.personal import PersonalKeys
from keyturn.storage.revocations import RevocationSet
from keyturn.storage.status_reads import MemoryStatus
from keyturn.storage.stores import WideStore
from keyturn.storage.topics import topics_of


class MemoryStore:
    """A store that forgets everything when it goes (``stores.Store``); also its own registry and recorder."""

    def __init__(self, sealer: Sealer, clock: Clock, dice: Dice) -> None:
        self._shelf = MemoryShelf()
        self._people = self._shelf.people
        self._keys = PersonalKeys(sealer, clock, dice)
        self._clock = clock
        self._tail = Tail(uuid7(clock.now(), dice))
        self._closed = False
        self.feed = Confirmation(clock)
        self.revocations = RevocationSet(self._shelf, self.feed)
        self.upkeep = MemoryUpkeep(self._shelf)
        self.status = MemoryStatus(self._shelf)
        self.outbox = MemoryOutbox(self._shelf)
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

    def remembered_client(self, client_id: ClientId) -> ClientView | None:  # noqa: ARG002  # the port
        """Give none: here a client costs what none costs."""
        return None

    async def find_organisation_alias(self, alias: str) -> Organisation | None:
        """Find an organisation by its id or its API key, ended ones included."""
        return await self._people.organisation_by_alias(alias)

    async def find_user(self, user_id: UserId) -> UserView | None:
        """Find a user by id anywhere in the deployment, ended ones included."""
        return await self._people.user_view(user_id)

    async def find_user_at_home(self, organisation_id: OrganisationId, name: str) -> UserView | None:
        """Find a user among those at home in an organisation, ended ones included."""
        user = await self._people.user_by_name(organisation_id, name)
        return None if user is None else await self._people.user_view(user.id)

    async def find_user_by_email(self, email: str) -> UserView | None:
        """Find a user by canonical e-mail address, ended ones included."""
        user = await self._people.user_by_email(email)
        return None if user is None else await self._people.user_view(user.id)

    async def find_entity(self, entity_id: EntityId) -> EntityView | None:
        """Find an entity by its id, ended ones included."""
        return await self._people.entity_view(entity_id)

    async def find_entity_by_subject(self, subject: str) -> EntityView | None:
        """Find an entity by the ``sub`` of its tokens, ended ones included."""
        entity = await self._people.entity_by_subject(subject)
        return None if entity is None else await self._people.entity_view(entity.id)

    async def find_held(self, lookup_hashes: Sequence[bytes]) -> Held | None:
        """Find the credential that a secret is, with its owner's view."""
        credential = await self._shelf.credential_by_hash(lookup_hashes)
        if credential is None:
            return None
        owner = await self.find_user(UserId(credential.owner_id)) or await self.find_client(
            ClientId(credential.owner_id)
        )
        return None if owner is None else Held(credential, owner)

    async def find_admin_token(self, lookup_hashes: Sequence[bytes]) -> AdminToken | None:
        """Find the admin token that a secret is, ended ones included."""
        return await self._shelf.admin.token_by_hash(lookup_hashes)

    async def find_family(self, family_id: FamilyId) -> RefreshFamily | None:
        """Find a refresh family by its id, ended ones included."""
        return await self._shelf.family(family_id)

    def recall_family(self, current_hash: bytes) -> RefreshFamily | None:  # noqa: ARG002  # the port
        """Recall none: here a read costs nothing."""
        return None

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
        return {"feed_version": self.feed.at.version, "feed_age_seconds": 0.0}

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
                for event in unit.events:
                    self._append(event)
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
        version = self.feed.at.version + (1 if touched else 0)
        self.feed.apply(News(Point(version), touched, self._clock.monotonic()))
