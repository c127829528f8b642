"""What every administrator's verb stands on: ports, how things are found, which version a change is for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_records import BASE, KeptAnswer
from keyturn.core.changes import Add, Change, Replace, RequireVersion, Versioned
from keyturn.core.clock import Clock
from keyturn.core.errors import InsufficientScope, NothingThere, PreconditionFailed
from keyturn.core.limits import Rate
from keyturn.core.notices import Outbox, Sender
from keyturn.core.ports import Digester, Lockout, Passwords, Sealer
from keyturn.core.profile import RingPlan
from keyturn.core.records import Credential, Organisation
from keyturn.core.requests import Call
from keyturn.core.secret import Dice, Secret
from keyturn.core.store_ports import DeploymentStore, OrganisationStore
from keyturn.core.vocabulary import Algorithm, ClientId, CredentialKind, KeyId, OrganisationId, Reason
from keyturn.directory.names import check_takers
from keyturn.directory.secret_status import status_of
from keyturn.web.administration.searches import Searches
from keyturn.wire.tables import Dialect

Facts = dict[str, Any]


class Turned(Protocol):
    """What is asked of the result of a rotation; one that was not done names no keys."""

    @property
    def active_at(self) -> datetime:
        """When the new signer takes over."""
        ...


class Withdrawn(Protocol):
    """What is asked of the result of a withdrawal."""

    @property
    def was(self) -> str:
        """What the key was in its ring."""
        ...

    @property
    def signs_from(self) -> datetime | None:
        """Until then nobody signs; None where another key signs already."""
        ...


class RingKeeper(Protocol):
    """Turns rings and takes keys out of them."""

    async def rotate(
        self,
        issuer_id: str,
        algorithm: Algorithm,
        now: datetime,
        *,
        longest_lifetime: timedelta,
        actor: str,
        request_id: str,
        organisation_id: OrganisationId | None,
    ) -> Turned:
        """Turn a ring."""
        ...

    async def withdraw(
        self,
        issuer_id: str,
        key_id: KeyId,
        now: datetime,
        *,
        longest_lifetime: timedelta,
        actor: str,
        request_id: str,
        organisation_id: OrganisationId | None,
    ) -> Withdrawn | None:
        """Take a key out of its key set at once; None where the ring does not have it."""
        ...

    async def unsafe_until(self, issuer_id: str, now: datetime, lifetime: timedelta) -> datetime | None:
        """Tell until when a token of some lifetime could outlive an issuer's key; None if none could."""
        ...


class AdminPorts(msgspec.Struct, frozen=True, kw_only=True):
    """What administrators' verbs work with.

    Args:
        dialects: Those that are on, by name.
        every_dialect: All there are: a credential also works in one that is switched on later.
        kept: What is written in the same transaction, so that a request is not done twice.
        rates: The limits there are, by the kind of counter.
        sender: Says where notices may go.
        kept_before: The expired row in whose place that is.
        searches: Those of the audit trail that are under way.
    """

    deployment: DeploymentStore
    digester: Digester
    sealer: Sealer
    passwords: Passwords
    lockout: Lockout
    rings: RingKeeper
    plan: RingPlan
    longest_lifetime: timedelta
    dialects: Mapping[str, Dialect]
    every_dialect: Mapping[str, Dialect]
    rates: Mapping[str, Rate]
    outbox: Outbox
    sender: Sender
    clock: Clock
    dice: Dice
    required: tuple[Change, ...] = ()
    kept: KeptAnswer | None = None
    kept_before: KeptAnswer | None = None
    searches: Searches = msgspec.field(default_factory=Searches)

    def wide(self, organisation_id: OrganisationId | None = None) -> DeploymentStore:
        """Give the deployment's rows, for a change to one organisation's or to none's."""
        changes = list(self.required)
        if self.kept is not None:
            kept = msgspec.structs.replace(self.kept, organisation_id=organisation_id)
            before = self.kept_before
            changes.append(Add(kept) if before is None else Replace(kept, before.version))
        return self.deployment.accompanied(*changes) if changes else self.deployment

    def inside(self, organisation: Organisation) -> OrganisationStore:
        """Give one organisation's rows."""
        return self.wide(organisation.id).organisation_store(organisation.id)

    def at(self) -> Facts:
        """Give what every verb takes that writes."""
        return {"now": self.clock.now(), "dice": self.dice}

    def for_version(self, call: Call, table: str, record: Versioned) -> "AdminPorts":
        """Give the ports for a change to the version that a call is for, and to no other.

        Raises:
            PreconditionFailed: There is a newer one.
        """
        wanted: int = call.arguments["version"]
        if record.version != wanted:
            raise PreconditionFailed(Reason.VERSION_STALE, "it was changed since that version")
        still = RequireVersion(table, record.id, wanted)
        return msgspec.structs.replace(self, required=(still,))

    def roles(self) -> frozenset[str]:
        """Name every role of the dialects that are on."""
        return frozenset(
            f"{name}:{role.name}" for name, dialect in self.dialects.items() for role in dialect.roles
        )

    def takers(self, kind: CredentialKind) -> tuple[str, ...]:
        """Name the dialects in which a kind of credential works."""
        return tuple(
            name
            for name, dialect in self.every_dialect.items()
            if any(exchange.kind is kind for route in dialect.routes for exchange in route.exchanges)
        )

    def chosen(self, kind: CredentialKind, asked: Sequence[str]) -> tuple[str, ...]:
        """Choose the dialects that a new credential works in: those asked for, else all that take its kind.

        Raises:
            OperatorError: It works in none of those.
        """
        takers = self.takers(kind)
        return check_takers(kind, asked, self.every_dialect, takers) if asked else takers


AdminVerb = Callable[[Actor, Call, AdminPorts], Awaitable[Facts]]


async def organisation_of(actor: Actor, call: Call, ports: AdminPorts) -> Organisation:
    """Find the organisation that a call's path names, by id or slug.

    Raises:
        NothingThere: There is none, or none for this actor: the same words (TN-02).
    """
    return await find_organisation(actor, call.arguments["organisation"], ports)


async def find_organisation(actor: Actor, named: str, ports: AdminPorts) -> Organisation:
    """Find an organisation by id or slug; raises like ``organisation_of``."""
    found = await ports.deployment.organisation_by_alias(named)
    if found is None or found.id != named:  # its API key is an alias for vendors' contracts
        found = await ports.deployment.organisation_by_slug(named)
    if found is None or not actor.may_act_in(found.id):
        raise NothingThere(f"no organisation {named!r}")
    return found


async def require_scope_of(owner_id: str, what: str, actor: Actor, store: OrganisationStore) -> None:
    """Ask for the scope of clients too where an API token is a client's: whoever has it is that client.

    Args:
        what: ``read`` or ``write``.

    Raises:
        InsufficientScope: The actor's token was given users only.
    """
    scope, own = f"clients:{what}", actor.admin_token
    if own is None or own.covers(scope) or await store.client(ClientId(owner_id)) is None:
        return
    raise InsufficientScope(Reason.SCOPE_MISSING, f"the token lacks the scope {scope}")


def record_facts(record: Any, names: Mapping[str, str]) -> Facts:
    """Show a record's fields, those that there are among some facts."""
    return {name: getattr(record, name) for name in names if hasattr(record, name)}


def credential_facts(credential: Credential, organisation: Organisation, now: datetime) -> Facts:
    """Show a credential, its standing and what the policy makes of its life; never its secret."""
    status, life = status_of(credential, organisation, now), credential.life
    return {
        **{name: getattr(credential, name) for name in credential.__struct_fields__ if name not in _HIDDEN},
        **{name: getattr(life, name) for name in life.__struct_fields__},
        "standing": status.standing.value,
        "expires_at": status.expires_at,
    }


def made_facts(
    made: tuple[Credential, Secret], organisation: Organisation, folder: str, now: datetime
) -> Facts:
    """Show a credential that lies in a folder together with its secret, for the one answer that tells it."""
    credential, secret = made
    facts = {**credential_facts(credential, organisation, now), "secret": secret}
    return tagged(facts, f"{folder}/{credential.id}")


_HIDDEN = frozenset({"life", "lookup_hash", "pepper_id", "verifier", "sealed", "accepted_step", "epoch"})


def path_in(organisation: Organisation, *rest: str) -> str:
    """Give the path of something of an organisation."""
    return "/".join((BASE, "organisations", organisation.id, *rest))


def tagged(facts: Facts, location: str | None = None) -> Facts:
    """Add the entity tag of a resource, and where it is."""
    version = facts.get("version")
    return {**facts, "etag": None if version is None else f'"{version}"', "location": location}
