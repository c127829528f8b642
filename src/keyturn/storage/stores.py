"""The two views of a store that ``core.ports`` names, written once over any store's reads and writer."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.changes import Change, Imported, Outcome, Record, Unit
from keyturn.core.clock import Clock
from keyturn.core.errors import Fault
from keyturn.core.limits import Rate
from keyturn.core.notices import Outbox
from keyturn.core.ports import Limits, Lockout, Recorder, Registry, Revocations, Sealer
from keyturn.core.records import (
    AuditRow,
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Project,
    Sealed,
    SigningKey,
    Team,
    User,
)
from keyturn.core.store_ports import (
    AuditHit,
    AuditPage,
    AuditSpan,
    AuditWish,
    DeploymentStore,
    Leftover,
    OrganisationStore,
    PageWish,
)
from keyturn.core.upkeep_ports import UpkeepStore
from keyturn.core.views import ClientView, UserView
from keyturn.core.vocabulary import (
    AdminTokenId,
    ClientId,
    CredentialId,
    CredentialKind,
    EntityId,
    MembershipId,
    OrganisationId,
    ProjectId,
    TeamId,
    UserId,
)
from keyturn.storage.feed import Confirmation
from keyturn.storage.lockout import Tag
from keyturn.storage.people_reads import Paged
from keyturn.storage.personal import key_place, open_personal
from keyturn.storage.reads import Reads


class ScopedRecorder(Recorder, Protocol):
    """A recorder that can also keep a unit inside one organisation."""

    async def record_inside(self, unit: Unit, organisation_id: OrganisationId) -> Outcome:
        """Commit a unit that must stay inside one organisation.

        Raises:
            Fault: The unit names another organisation.
            Unavailable: It could not be committed; nothing of it was.
        """
        ...

    async def wipe_log(self) -> bool:
        """Leave nothing that was erased in any file of the store; False while somebody still reads it."""
        ...


class Store(Protocol):
    """An open store, whatever keeps it."""

    @property
    def deployment(self) -> DeploymentStore:
        """What looks across organisations."""
        ...

    @property
    def registry(self) -> Registry:
        """Who exists, from memory where that is fresh."""
        ...

    @property
    def revocations(self) -> Revocations:
        """What was revoked before its time."""
        ...

    @property
    def recorder(self) -> Recorder:
        """The last step of every road."""
        ...

    @property
    def upkeep(self) -> UpkeepStore:
        """What upkeep keeps: leases, checkpoints, the clock's mark."""
        ...

    @property
    def outbox(self) -> Outbox:
        """The notices that somebody outside should hear of."""
        ...

    @property
    def feed(self) -> Confirmation:
        """What changed, for other caches: ``feed.on_change(listener)``."""
        ...

    def limits(self, rates: Mapping[str, Rate], tag: Tag) -> Limits:
        """Make the limits that all processes on the store share; ``tag`` hides their names at rest."""
        ...

    def lockout(self, tag: Tag) -> Lockout:
        """Make the lockout that all processes on the store share; ``tag`` hides its names at rest."""
        ...

    def stats(self) -> dict[str, float]:
        """Tell how queue, batches, disk and feed do, for metrics."""
        ...

    async def check(self) -> None:
        """Confirm for readiness that the store can be read and its tables are current (RE-11).

        Raises:
            Unavailable: It cannot, or they are not.
        """
        ...

    async def close(self) -> None:
        """Commit what waits and let go of everything."""
        ...


class NarrowStore:
    """One organisation's rows (``OrganisationStore``): another's answer exactly like none (TN-02)."""

    def __init__(self, organisation_id: OrganisationId, reads: Reads, recorder: ScopedRecorder) -> None:
        self._id = organisation_id
        self._reads = reads
        self._people = reads.people
        self._recorder = recorder

    @property
    def organisation_id(self) -> OrganisationId:
        """Name the organisation whose rows these are."""
        return self._id

    async def organisation(self) -> Organisation:
        """Read the organisation itself.

        Raises:
            Fault: There is none by this id.
        """
        found = await self._reads.organisation(self._id)
        if found is None:
            raise Fault("an organisation's store was made for no organisation")
        return found

    async def client(self, client_id: ClientId) -> Client | None:
        """Read one of its clients."""
        found = await self._reads.client(client_id)
        return found if found is not None and found.organisation_id == self._id else None

    async def clients(self) -> Sequence[Client]:
        """Read all its clients, oldest first."""
        return await self._reads.clients(self._id)

    async def page(self, kind: type[Paged], wish: PageWish) -> Sequence[Paged]:
        """Read those of its clients, or of the users at home in it, that are wanted."""
        return await self._people.page(kind, self._id, wish)

    async def credential(self, credential_id: CredentialId) -> Credential | None:
        """Read one of its credentials."""
        found = await self._reads.credential(credential_id)
        return found if found is not None and found.organisation_id == self._id else None

    async def credentials_of(self, owner_id: str, kind: CredentialKind) -> Sequence[Credential]:
        """Read an owner's credentials of a kind, oldest first."""
        return await self._reads.credentials_of(self._id, owner_id, kind)

    async def user(self, user_id: UserId) -> User | None:
        """Read one of the users at home in it."""
        return await self._people.one(User, self._id, user_id)

    async def user_by_name(self, name: str) -> User | None:
        """Read one of the users at home in it by canonical name, ended ones included."""
        return await self._people.user_by_name(self._id, name)

    async def users(self) -> Sequence[User]:
        """Read all users at home in it, oldest first."""
        return await self._people.all_of(User, self._id)

    async def membership(self, membership_id: MembershipId) -> Membership | None:
        """Read one of its memberships."""
        return await self._people.one(Membership, self._id, membership_id)

    async def membership_of(self, user_id: UserId) -> Membership | None:
        """Read a user's membership in it, an ended one too."""
        return await self._people.membership_of(self._id, user_id)

    async def memberships(self) -> Sequence[Membership]:
        """Read all its memberships, oldest first."""
        return await self._people.all_of(Membership, self._id)

    async def team(self, team_id: TeamId) -> Team | None:
        """Read one of its teams."""
        return await self._people.one(Team, self._id, team_id)

    async def teams(self) -> Sequence[Team]:
        """Read all its living teams, oldest first."""
        return await self._people.living(Team, self._id)

    async def project(self, project_id: ProjectId) -> Project | None:
        """Read one of its projects."""
        return await self._people.one(Project, self._id, project_id)

    async def projects(self) -> Sequence[Project]:
        """Read all its living projects, by name."""
        # Sorted here: databases disagree about the order of letters.
        return sorted(await self._people.living(Project, self._id), key=lambda each: each.name)

    async def entity(self, entity_id: EntityId) -> Entity | None:
        """Read one of its entities."""
        return await self._people.one(Entity, self._id, entity_id)

    async def entities(self) -> Sequence[Entity]:
        """Read all its entities, oldest first."""
        return await self._people.all_of(Entity, self._id)

    async def credentials(self) -> Sequence[Credential]:
        """Read all its credentials, of every kind and owner, oldest first."""
        return await self._people.all_of(Credential, self._id)

    async def leftovers(self, limit: int) -> Sequence[Leftover]:
        """Read what is left to erase of it once it has ended (``carry.LEFTOVERS``)."""
        return await self._reads.leftovers(self._id, limit)

    async def leftover_counts(self) -> Mapping[str, int]:
        """Count what is left to erase of it, by ``LEFTOVER_NAMES``."""
        return await self._reads.leftover_counts(self._id)

    async def record(self, unit: Unit) -> Outcome:
        """Commit a unit whose every change and event is this organisation's.

        Raises:
            Fault: The unit names another organisation.
            Unavailable: It could not be committed; nothing of it was.
        """
        return await self._recorder.record_inside(unit, self._id)


class _Accompanied:
    """A recorder that begins every unit with some changes."""

    def __init__(self, recorder: ScopedRecorder, changes: tuple[Change, ...]) -> None:
        self._recorder = recorder
        self._changes = changes

    async def record(self, unit: Unit) -> Outcome:
        return await self._recorder.record(self._with_more(unit))

    async def record_inside(self, unit: Unit, organisation_id: OrganisationId) -> Outcome:
        return await self._recorder.record_inside(self._with_more(unit), organisation_id)

    async def wipe_log(self) -> bool:
        return await self._recorder.wipe_log()

    def _with_more(self, unit: Unit) -> Unit:
        return msgspec.structs.replace(unit, changes=(*self._changes, *unit.changes))


class WideStore:
    """What looks across organisations (``DeploymentStore``)."""

    def __init__(self, reads: Reads, recorder: ScopedRecorder, sealer: Sealer, clock: Clock) -> None:
        self._reads = reads
        self._recorder = recorder
        self._sealer = sealer
        self._clock = clock

    def organisation_store(self, organisation_id: OrganisationId) -> OrganisationStore:
        """Narrow to one organisation."""
        return NarrowStore(organisation_id, self._reads, self._recorder)

    def accompanied(self, *changes: Change) -> DeploymentStore:
        """Give the same store, but each unit that is recorded through it begins with some changes."""
        return WideStore(self._reads, _Accompanied(self._recorder, changes), self._sealer, self._clock)

    async def admin_tokens(self) -> Sequence[AdminToken]:
        """Read all admin tokens, oldest first, ended ones included."""
        return await self._reads.admin.tokens()

    async def admin_token(self, token_id: AdminTokenId) -> AdminToken | None:
        """Read an admin token by its id."""
        return await self._reads.admin.token(token_id)

    async def kept_answer(self, answer_id: str) -> KeptAnswer | None:
        """Read what a request by an idempotency key was answered."""
        return await self._reads.admin.kept_answer(answer_id)

    async def organisations(self) -> Sequence[Organisation]:
        """Read all organisations, oldest first."""
        return await self._reads.organisations()

    async def organisation_by_slug(self, slug: str) -> Organisation | None:
        """Read an organisation by its slug, ended ones included."""
        return await self._reads.organisation_by_slug(slug)

    async def client_view(self, client_id: ClientId) -> ClientView | None:
        """Read a client with its organisation and what it proves itself with."""
        return await self._reads.client_view(client_id)

    async def organisation_by_alias(self, alias: str) -> Organisation | None:
        """Read an organisation by its id or its API key, ended ones included."""
        return await self._reads.people.organisation_by_alias(alias)

    async def user_view(self, user_id: UserId) -> UserView | None:
        """Read a user with all that a token for them could rest on."""
        return await self._reads.people.user_view(user_id)

    async def user_by_email(self, email: str) -> User | None:
        """Read a user by canonical e-mail address, ended ones included."""
        return await self._reads.people.user_by_email(email)

    async def entity_by_id(self, entity_id: EntityId) -> Entity | None:
        """Read an entity wherever it is: its id is taken in the whole deployment."""
        return await self._reads.people.entity(entity_id)

    async def organisation_of_credential(self, credential_id: CredentialId) -> OrganisationId | None:
        """Tell whose a credential is."""
        found = await self._reads.credential(credential_id)
        return None if found is None else found.organisation_id

    async def credential_by_hash(self, lookup_hashes: Sequence[bytes]) -> Credential | None:
        """Find the credential that one of a secret's digests belongs to."""
        return await self._reads.credential_by_hash(lookup_hashes)

    async def taken_by(self, records: Sequence[Imported]) -> Record | None:
        """Find who already has the id or another unique name of one of many records."""
        return await self._reads.taken_by(records)

    async def wipe_log(self) -> bool:
        """Leave nothing that was erased in any file of the store; False while somebody still reads it."""
        return await self._recorder.wipe_log()

    async def signing_keys(self, issuer_id: str) -> Sequence[SigningKey]:
        """Read an issuer's ring, every algorithm, oldest first; retired keys excepted."""
        return await self._reads.signing_keys(issuer_id, self._clock.now())

    async def sealed(self, purpose: str) -> Sequence[Sealed]:
        """Read the deployment's sealed values of a purpose, oldest first."""
        return await self._reads.sealed(purpose)

    async def audit_rows(
        self, *, chain: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[AuditRow]:
        """Read a chain's rows with ``seq > after``; without a chain the newest of all, oldest first."""
        return await self._reads.audit_rows(chain, after, limit)

    async def audit_page(self, *, chain: str | None = None, after: int = 0, limit: int = 100) -> AuditPage:
        """Read rows as ``audit_rows`` does, with their personal fields opened where still possible."""
        rows = tuple(await self._reads.audit_rows(chain, after, limit))
        return AuditPage(rows, await self._opened(rows))

    async def audit_hits(self, wish: AuditWish) -> Sequence[AuditHit]:
        """Read the rows that are wanted, newest first, with their personal fields opened where possible."""
        hits = await self._reads.admin.audit_hits(wish)
        if not wish.opened:
            return hits
        opened = await self._opened([hit.row for hit in hits])
        return [AuditHit(hit.position, hit.row, each) for hit, each in zip(hits, opened, strict=True)]

    async def audit_span(self, since: datetime | None, until: datetime | None) -> AuditSpan:
        """Tell where the rows of a time lie; some rows inside are of another time."""
        return await self._reads.admin.audit_span(since, until)

    async def _opened(self, rows: Sequence[AuditRow]) -> tuple[dict[str, str] | None, ...]:
        places = {place for row in rows if (place := key_place(row)) is not None}
        keys = {(key.purpose, key.id): key for key in await self._reads.sealed_at(sorted(places))}
        return tuple(open_personal(row, keys.get(key_place(row) or ("", "")), self._sealer) for row in rows)

    async def audit_chains(self) -> Sequence[str]:
        """Name every chain, oldest first."""
        return await self._reads.audit_chains()

    async def record(self, unit: Unit) -> Outcome:
        """Commit a unit that may name any organisation.

        Raises:
            Unavailable: It could not be committed; nothing of it was.
        """
        return await self._recorder.record(unit)
