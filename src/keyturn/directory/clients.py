"""Clients: the machines of an organisation that ask for tokens.

An ended client stays as a tombstone, so that its id is never somebody else's (TK-15).
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add
from keyturn.core.errors import OperatorError
from keyturn.core.records import AuditEvent, Client, Organisation
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore, PageWish
from keyturn.core.vocabulary import (
    CLIENT_CREDENTIALS,
    CLIENT_KINDS,
    INTROSPECT,
    PASSWORD,
    REFRESH_TOKEN,
    ClientId,
    CredentialKind,
)
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_audiences, check_choices, check_name, check_scopes
from keyturn.directory.owners import (
    change,
    check_reach,
    disable,
    enable,
    end,
    ended_credentials,
    living_organisation,
    require_living,
    there,
)

GRANTS = (CLIENT_CREDENTIALS, REFRESH_TOKEN, PASSWORD)
"""The grant types that a client may be allowed; ``password`` also needs its organisation's word."""

CLIENT_CREDENTIAL_KINDS = (*CLIENT_KINDS, CredentialKind.API_TOKEN)
"""All that a client can have: a service account has API tokens too."""

RIGHTS = (INTROSPECT,)
"""What a client may be allowed beyond asking for tokens."""

MAX_LIFETIME_SECONDS = 366 * 24 * 3600


class ClientWish(msgspec.Struct, frozen=True, kw_only=True):
    """What a client shall be.

    Args:
        audiences: The first is the default; empty for ``urn:keyturn:<slug>:api``.
        max_lifetime_seconds: A ceiling on its access tokens; None for the organisation's.
        public: It has no secret (RFC 6749 section 2.1).
        rights: What it may do beyond asking for tokens: ``introspect``.
    """

    name: str
    dialects: tuple[str, ...] = ("oauth2",)
    grants: tuple[str, ...] = (CLIENT_CREDENTIALS,)
    scopes: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    max_lifetime_seconds: int | None = None
    public: bool = False
    rights: tuple[str, ...] = ()


async def create_client(
    actor: Actor,
    store: OrganisationStore,
    wish: ClientWish,
    *,
    dialects: Collection[str],
    now: datetime,
    dice: Dice,
) -> Client:
    """Make a client, of the ``dialects`` there are; it cannot do anything until it has a secret.

    Raises:
        OperatorError: Something of the wish is not acceptable.
    """
    organisation = await living_organisation(actor, store)
    client_id = ClientId(str(uuid.UUID(bytes=dice(16), version=4)))
    client = new_client(organisation, client_id, wish, dialects, now)
    await carry_out(store, client_made(client, actor, now=now, dice=dice), Add(client))
    return client


def new_client(
    organisation: Organisation,
    client_id: ClientId,
    wish: ClientWish,
    dialects: Collection[str],
    now: datetime,
) -> Client:
    """Make a client; nothing is saved yet.

    Raises:
        OperatorError: Something of the wish is not acceptable.
    """
    members = _members(_accept(wish, dialects, organisation))
    return Client(id=client_id, organisation_id=organisation.id, created_at=now, **members)


def client_made(client: Client, actor: Actor, *, now: datetime, dice: Dice) -> AuditEvent:
    """Tell that a client was made."""
    return told(
        "client.created",
        actor,
        client.organisation_id,
        client.id,
        now=now,
        dice=dice,
        personal={"name": client.name},
    )


async def list_clients(actor: Actor, store: OrganisationStore) -> Sequence[Client]:
    """List an organisation's clients, oldest first, ended ones included."""
    check_reach(actor, store)
    return await store.clients()


async def page_clients(actor: Actor, store: OrganisationStore, wish: PageWish) -> Sequence[Client]:
    """List those of an organisation's clients that are wanted, ended ones included."""
    check_reach(actor, store)
    return await store.page(Client, wish)


async def show_client(actor: Actor, store: OrganisationStore, client_id: ClientId) -> Client:
    """Show one client.

    Raises:
        OperatorError: There is none by that id, or none for this actor: the same words (TN-02).
    """
    return there(actor, store, "client", client_id, await store.client(client_id))


async def change_client(
    actor: Actor,
    store: OrganisationStore,
    client_id: ClientId,
    wish: ClientWish,
    *,
    dialects: Collection[str],
    now: datetime,
    dice: Dice,
) -> Client:
    """Make a client what the wish says; tokens it has out keep what they were given.

    Raises:
        OperatorError: Something of the wish is not acceptable, or the client has ended.
    """
    client = await changeable_client(actor, store, client_id)
    accepted = _members(_accept(wish, dialects, await store.organisation()))
    return await change(actor, store, client, accepted, now=now, dice=dice)


async def disable_client(
    actor: Actor, store: OrganisationStore, client_id: ClientId, *, now: datetime, dice: Dice
) -> Client:
    """Issue nothing more to a client and end every token it has out; undone by enabling."""
    return await disable(actor, store, await show_client(actor, store, client_id), now=now, dice=dice)


async def enable_client(
    actor: Actor, store: OrganisationStore, client_id: ClientId, *, now: datetime, dice: Dice
) -> Client:
    """Issue to a client again; tokens from before it was disabled stay dead."""
    return await enable(actor, store, await show_client(actor, store, client_id), now=now, dice=dice)


async def end_client(
    actor: Actor, store: OrganisationStore, client_id: ClientId, *, now: datetime, dice: Dice
) -> Client:
    """End a client for good, with every token, secret and key it has; ending twice changes nothing."""
    client = await show_client(actor, store, client_id)
    credentials = [
        each for kind in CLIENT_CREDENTIAL_KINDS for each in await store.credentials_of(client.id, kind)
    ]
    ended = ended_credentials(credentials, now, "client ended")
    return await end(actor, store, client, *ended, now=now, dice=dice)


async def changeable_client(actor: Actor, store: OrganisationStore, client_id: ClientId) -> Client:
    """Read a client that has not ended.

    Raises:
        OperatorError: There is none, or it has ended.
    """
    return require_living(await show_client(actor, store, client_id))


def _accept(wish: ClientWish, dialects: Collection[str], organisation: Organisation) -> ClientWish:
    ceiling = wish.max_lifetime_seconds
    if ceiling is not None and not 1 <= ceiling <= MAX_LIFETIME_SECONDS:
        raise OperatorError(f"a client's longest lifetime is 1 to {MAX_LIFETIME_SECONDS} seconds")
    return ClientWish(
        name=check_name(wish.name),
        dialects=check_choices("dialect", wish.dialects, dialects),
        grants=check_choices("grant", wish.grants, GRANTS),
        scopes=check_scopes(wish.scopes),
        audiences=check_audiences(wish.audiences or (f"urn:keyturn:{organisation.slug}:api",)),
        max_lifetime_seconds=ceiling,
        public=wish.public,
        rights=check_choices("right", wish.rights, RIGHTS) if wish.rights else (),
    )


def _members(accepted: ClientWish) -> dict[str, Any]:
    return msgspec.structs.asdict(accepted)
