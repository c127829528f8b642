"""The doors to what is kept: one organisation's rows, and what looks across organisations.

Reads return facts or None and never refuse; a business outcome of a write is a returned value. Whatever
cannot be reached raises ``Unavailable``.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from keyturn.core.admin_records import AdminToken, KeptAnswer
from keyturn.core.changes import Change, Imported, Outcome, Record, Unit
from keyturn.core.notices import Delivery, Notice, Subscription
from keyturn.core.records import (
    AuditRow,
    Client,
    Credential,
    Entity,
    Membership,
    Organisation,
    Project,
    RefreshFamily,
    Sealed,
    SigningKey,
    Team,
    User,
)
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

_LISTED = TypeVar("_LISTED", Client, User)

Leftover = (
    Credential
    | Client
    | Project
    | Team
    | Membership
    | Entity
    | User
    | RefreshFamily
    | SigningKey
    | AdminToken
    | KeptAnswer
    | Subscription
    | Notice
    | Delivery
)
"""What deleting an organisation turns into a tombstone or removes."""
LEFTOVER_NAMES: dict[type[Leftover], str] = {
    Credential: "credentials",
    Client: "clients",
    Project: "projects",
    Team: "teams",
    Membership: "memberships",
    Entity: "entities",
    User: "users",
    RefreshFamily: "refresh_families",
    SigningKey: "signing_keys",
    AdminToken: "admin_tokens",
    KeptAnswer: "kept_answers",
    Subscription: "notice_subscriptions",
    Notice: "notices",
    Delivery: "notice_deliveries",
}
"""What operators read of each, where they are counted."""


class OrganisationStore(Protocol):
    """One organisation's rows; it cannot name another organisation (rule 6 of the house)."""

    @property
    def organisation_id(self) -> OrganisationId:
        """Name the organisation whose rows these are."""
        ...

    async def organisation(self) -> Organisation:
        """Read the organisation itself."""
        ...

    async def client(self, client_id: ClientId) -> Client | None:
        """Read one of its clients."""
        ...

    async def clients(self) -> Sequence[Client]:
        """Read all its clients, oldest first."""
        ...

    async def page(self, kind: type[_LISTED], wish: "PageWish") -> Sequence[_LISTED]:
        """Read those of its clients, or of the users at home in it, that are wanted."""
        ...

    async def credential(self, credential_id: CredentialId) -> Credential | None:
        """Read one of its credentials."""
        ...

    async def credentials_of(self, owner_id: str, kind: CredentialKind) -> Sequence[Credential]:
        """Read an owner's credentials of a kind, oldest first."""
        ...

    async def user(self, user_id: UserId) -> User | None:
        """Read one of the users at home in it."""
        ...

    async def user_by_name(self, name: str) -> User | None:
        """Read one of the users at home in it by canonical name, ended ones included."""
        ...

    async def users(self) -> Sequence[User]:
        """Read all users at home in it, oldest first."""
        ...

    async def membership(self, membership_id: MembershipId) -> Membership | None:
        """Read one of its memberships."""
        ...

    async def membership_of(self, user_id: UserId) -> Membership | None:
        """Read a user's membership in it, an ended one too."""
        ...

    async def memberships(self) -> Sequence[Membership]:
        """Read all its memberships, oldest first."""
        ...

    async def team(self, team_id: TeamId) -> Team | None:
        """Read one of its teams."""
        ...

    async def teams(self) -> Sequence[Team]:
        """Read all its living teams, oldest first."""
        ...

    async def project(self, project_id: ProjectId) -> Project | None:
        """Read one of its projects."""
        ...

    async def projects(self) -> Sequence[Project]:
        """Read all its living projects, by name."""
        ...

    async def entity(self, entity_id: EntityId) -> Entity | None:
        """Read one of its entities."""
        ...

    async def entities(self) -> Sequence[Entity]:
        """Read all its entities, oldest first."""
        ...

    async def credentials(self) -> Sequence[Credential]:
        """Read all its credentials, of every kind and owner, oldest first."""
        ...

    async def leftovers(self, limit: int) -> Sequence[Leftover]:
        """Read what is left to erase of it once it has ended: credentials, then their owners, families, keys.

        Retired keys included. A tombstone, which has no name any more, is no leftover.
        """
        ...

    async def leftover_counts(self) -> Mapping[str, int]:
        """Count what ``leftovers`` would give, by ``LEFTOVER_NAMES``; kinds with none are not named."""
        ...

    async def record(self, unit: Unit) -> Outcome:
        """Commit a unit whose every change and event is this organisation's.

        Raises:
            Fault: The unit names another organisation.
            Unavailable: It could not be committed; nothing of it was.
        """
        ...


class AuditPage(msgspec.Struct, frozen=True):
    """Some rows of the audit trail, oldest first, with their personal fields opened where still possible."""

    rows: tuple[AuditRow, ...]
    personal: tuple[dict[str, str] | None, ...]


class PageWish(msgspec.Struct, frozen=True, kw_only=True):
    """Which of an organisation's clients or users are wanted, and in what order.

    Args:
        equal: Fields and what they must be.
        ended: Only what has ended, or only what has not; None for both.
        sort: ``created_at`` or ``name``; the id decides between equal ones.
        after: Only what follows this value of ``sort`` and id.
    """

    equal: Mapping[str, Any] = {}
    ended: bool | None = None
    sort: str = "created_at"
    descending: bool = False
    after: tuple[datetime | str, str] | None = None
    limit: int = 50


class AuditWish(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of the audit trail are wanted, newest first.

    Args:
        organisation_id: Only that one's; None for all.
        equal: Fields of a row and what they must be.
        client: What a client did, and what happened to it.
        since: Not before.
        until: Before.
        before: Rows that were written before the one at this position; None for from the newest on.
        after: Rows that were written after the one at this position.
        opened: Whether personal fields are opened.
    """

    organisation_id: OrganisationId | None = None
    equal: Mapping[str, str] = {}
    client: ClientId | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    after: int = 0
    limit: int = 50
    opened: bool = True


class AuditHit(msgspec.Struct, frozen=True):
    """A row of the audit trail, its place in the order of writing, and its opened personal fields."""

    position: int
    row: AuditRow
    personal: dict[str, str] | None = None


class AuditSpan(msgspec.Struct, frozen=True):
    """Between which positions the rows of a time lie: after one, up to another.

    Args:
        oldest_at: When the oldest row that is kept was written; None of an empty trail.
    """

    after: int
    last: int
    oldest_at: datetime | None


class DeploymentStore(Protocol):
    """What looks across organisations: locate's registry, deployment operators and upkeep; few users."""

    def organisation_store(self, organisation_id: OrganisationId) -> OrganisationStore:
        """Narrow to one organisation."""
        ...

    def accompanied(self, *changes: Change) -> "DeploymentStore":
        """Give the same store, but each unit that is recorded through it begins with some changes."""
        ...

    async def organisations(self) -> Sequence[Organisation]:
        """Read all organisations, oldest first."""
        ...

    async def admin_tokens(self) -> Sequence[AdminToken]:
        """Read all admin tokens, oldest first, ended ones included."""
        ...

    async def admin_token(self, token_id: AdminTokenId) -> AdminToken | None:
        """Read an admin token by its id."""
        ...

    async def kept_answer(self, answer_id: str) -> KeptAnswer | None:
        """Read what a request by an idempotency key was answered."""
        ...

    async def organisation_by_slug(self, slug: str) -> Organisation | None:
        """Read an organisation by its slug, ended ones included: slugs are never reused."""
        ...

    async def client_view(self, client_id: ClientId) -> ClientView | None:
        """Read a client with its organisation and what it proves itself with."""
        ...

    async def organisation_by_alias(self, alias: str) -> Organisation | None:
        """Read an organisation by its id or its API key, ended ones included."""
        ...

    async def user_view(self, user_id: UserId) -> UserView | None:
        """Read a user with all that a token for them could rest on."""
        ...

    async def user_by_email(self, email: str) -> User | None:
        """Read a user by canonical e-mail address, ended ones included."""
        ...

    async def entity_by_id(self, entity_id: EntityId) -> Entity | None:
        """Read an entity wherever it is: its id is taken in the whole deployment."""
        ...

    async def organisation_of_credential(self, credential_id: CredentialId) -> OrganisationId | None:
        """Tell whose a credential is, for an operator who has only its id."""
        ...

    async def credential_by_hash(self, lookup_hashes: Sequence[bytes]) -> Credential | None:
        """Find the credential that one of a secret's digests (``Digester.lookup_hashes``) belongs to."""
        ...

    async def taken_by(self, records: Sequence[Imported]) -> Record | None:
        """Find who in the deployment already has the id or another unique name of one of many records."""
        ...

    async def wipe_log(self) -> bool:
        """Leave nothing that was erased in any file of the store; False while somebody still reads it."""
        ...

    async def signing_keys(self, issuer_id: str) -> Sequence[SigningKey]:
        """Read an issuer's ring, every algorithm, oldest first; retired keys excepted."""
        ...

    async def sealed(self, purpose: str) -> Sequence[Sealed]:
        """Read the deployment's sealed values of a purpose, oldest first."""
        ...

    async def audit_rows(
        self, *, chain: str | None = None, after: int = 0, limit: int = 100
    ) -> Sequence[AuditRow]:
        """Read a chain's rows with ``seq > after``, or the newest ``limit`` of all chains; oldest first."""
        ...

    async def audit_page(self, *, chain: str | None = None, after: int = 0, limit: int = 100) -> AuditPage:
        """Read rows as ``audit_rows`` does, with personal fields opened: for an operator, who is audited."""
        ...

    async def audit_hits(self, wish: AuditWish) -> Sequence[AuditHit]:
        """Read the rows that are wanted, newest first, with their personal fields opened where possible."""
        ...

    async def audit_span(self, since: datetime | None, until: datetime | None) -> AuditSpan:
        """Tell where the rows of a time lie, without an index: what is outside is not of that time.

        Rows are written in the order of time, give or take what clocks and queues differ by; that is allowed
        for, so some rows inside are of another time.
        """
        ...

    async def audit_chains(self) -> Sequence[str]:
        """Name every chain, oldest first."""
        ...

    async def record(self, unit: Unit) -> Outcome:
        """Commit a unit that may name any organisation.

        Raises:
            Unavailable: It could not be committed; nothing of it was.
        """
        ...
