"""An organisation on its way to another deployment: what goes with it, and what may keep it out there.

All that is its own goes, with its identifiers: clients, users at home, their memberships in it, teams,
projects, entities, credentials, settings. What ties it to others stays: members who are at home elsewhere,
and what its users are or have in other organisations. Tokens do not go: its epoch rises on arrival.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Record
from keyturn.core.errors import Clash, NotPermitted
from keyturn.core.records import (
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
from keyturn.core.secret import Dice
from keyturn.core.store_ports import DeploymentStore
from keyturn.core.vocabulary import ClientId, UserId
from keyturn.directory.events import attempt, carry_out, told
from keyturn.directory.organisations import show_organisation
from keyturn.directory.owners import require_living

Inside = Client | User | Membership | Team | Project | Entity | Credential
"""What an organisation has of its own."""


class Household(msgspec.Struct, frozen=True, kw_only=True):
    """All records of an organisation that go with it.

    Args:
        guests_left: Members who are at home elsewhere, and stay behind.
    """

    organisation: Organisation
    clients: tuple[Client, ...]
    users: tuple[User, ...]
    memberships: tuple[Membership, ...]
    teams: tuple[Team, ...]
    projects: tuple[Project, ...]
    entities: tuple[Entity, ...]
    credentials: tuple[Credential, ...]
    guests_left: int = 0

    def records(self) -> tuple[Record, ...]:
        """Give every record, each after those that it needs."""
        return (self.organisation, *self.inside())

    def inside(self) -> tuple[Inside, ...]:
        """Give every record but the organisation's own."""
        owners = (self.clients, self.users, self.memberships, self.teams, self.projects, self.entities)
        kinds: tuple[tuple[Inside, ...], ...] = (*owners, self.credentials)
        return tuple(each for some in kinds for each in some)

    def counts(self) -> dict[str, str]:
        """Say how much it is, for people and for the trail."""
        kinds = ("clients", "users", "memberships", "teams", "projects", "entities", "credentials")
        return {kind: str(len(getattr(self, kind))) for kind in kinds} | {
            "guests_left": str(self.guests_left)
        }


async def collect(
    actor: Actor, store: DeploymentStore, slug: str, *, with_keys: bool = False, now: datetime, dice: Dice
) -> Household:
    """Read all that goes with an organisation, and tell the trail that it was read.

    Args:
        with_keys: Whether its signing keys go too, which is for the trail to know.

    Raises:
        OperatorError: There is no such organisation, it has ended, or the actor may not.
    """
    _require_reach(actor)
    organisation = require_living(await show_organisation(actor, store, slug))
    inside = store.organisation_store(organisation.id)
    users = [_at_home(each, organisation) for each in await inside.users()]
    home: set[str] = {each.id for each in users}
    memberships = await inside.memberships()
    kept = [each for each in memberships if each.user_id in home]
    entities = [
        msgspec.structs.replace(each, users=tuple(user for user in each.users if user in home))
        for each in await inside.entities()
    ]
    clients = await inside.clients()
    owners = home | {each.id for each in clients} | {each.id for each in entities}
    credentials = [each for each in await inside.credentials() if each.owner_id in owners]
    household = Household(
        organisation=organisation,
        clients=tuple(clients),
        users=tuple(users),
        memberships=tuple(kept),
        teams=tuple(await inside.teams()),
        projects=tuple(await inside.projects()),
        entities=tuple(entities),
        credentials=tuple(credentials),
        guests_left=len(memberships) - len(kept),
    )
    event = told(
        "organisation.exported",
        actor,
        organisation.id,
        organisation.id,
        now=now,
        dice=dice,
        details=household.counts() | {"signing_keys": "taken along" if with_keys else "left"},
    )
    await carry_out(inside, event)
    return household


def _at_home(user: User, organisation: Organisation) -> User:
    """Forget which organisation a user went to last, if that is another."""
    last = user.last_organisation_id
    return (
        user if last in {None, organisation.id} else msgspec.structs.replace(user, last_organisation_id=None)
    )


async def objections(store: DeploymentStore, household: Household) -> list[str]:
    """Say, all at once, what is taken in this deployment, or was once (TK-15); nothing is changed."""
    return [each async for each in _taken(store, household)]


async def _taken(store: DeploymentStore, household: Household) -> AsyncIterator[str]:
    if (objection := await _organisation_taken(store, household.organisation)) is not None:
        yield objection
    for client in household.clients:
        # Tokens name clients and users alike as their subject, so nobody gets another's id (RFC 9700 4.15).
        if await store.client_view(client.id) is not None or await store.user_view(UserId(client.id)):
            yield f"client {client.id}"
    for user in household.users:
        if (objection := await _user_taken(store, user)) is not None:
            yield objection
    for entity in household.entities:
        subject = entity.subject
        here = await store.user_view(UserId(subject)) or await store.client_view(ClientId(subject))
        if here or await store.entity_by_id(entity.id) is not None:
            yield f"entity {entity.id}"
    for credential in household.credentials:
        if await store.organisation_of_credential(credential.id) is not None:
            yield f"credential {credential.id}"


async def _organisation_taken(store: DeploymentStore, organisation: Organisation) -> str | None:
    if await store.organisation_by_slug(organisation.slug) is not None:
        return f"organisation slug {organisation.slug!r}"
    for alias in (organisation.id, organisation.api_key):
        if await store.organisation_by_alias(alias) is not None:
            return f"organisation {alias}"
    return None


async def _user_taken(store: DeploymentStore, user: User) -> str | None:
    if await store.user_view(user.id) is not None or await store.client_view(ClientId(user.id)):
        return f"user {user.id}"
    if user.email is not None and await store.user_by_email(user.email) is not None:
        return f"e-mail address {user.email} of user {user.name!r}"
    return None


async def settle(
    actor: Actor,
    store: DeploymentStore,
    household: Household,
    further: Sequence[Sealed | SigningKey],
    *,
    now: datetime,
    dice: Dice,
) -> Organisation:
    """Make an organisation that came from elsewhere, whole or not at all; tokens that it has end.

    Args:
        household: Its credentials already as this deployment keeps them.
        further: Peppers and signing keys.

    Raises:
        OperatorError: Something is taken, or the actor may not.
    """
    _require_reach(actor)
    # To the time, as a restore raises it. The next number may have been in use before: where the file came
    # from, after it was made; or here, until a restore took the organisation away again.
    epoch = max(household.organisation.epoch + 1, int(now.timestamp() * 1000))
    organisation = msgspec.structs.replace(household.organisation, epoch=epoch)
    arrived = msgspec.structs.replace(household, organisation=organisation)
    event = told(
        "organisation.imported",
        actor,
        organisation.id,
        organisation.id,
        now=now,
        dice=dice,
        details={"slug": organisation.slug, **household.counts(), "signing_keys": str(_keys_in(further))},
    )
    changes = [*map(Add, further), *map(Add, arrived.records())]
    lost = await attempt(store, event, *changes)
    if lost is not None:
        what = type(lost.change.record).__name__.lower() if isinstance(lost.change, Add) else "record"
        raise Clash(f"a {what}'s id or name is taken here, or was once; nothing was imported")
    return organisation


def _keys_in(further: Sequence[Sealed | SigningKey]) -> int:
    return sum(isinstance(each, SigningKey) for each in further)


def _require_reach(actor: Actor) -> None:
    if actor.organisation_id is not None:
        raise NotPermitted("only an operator of the deployment moves organisations")
