"""Clients: the machines of an organisation that ask for tokens.

An ended client stays as a tombstone, so that its id is never somebody else's (TK-15).
"""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, Replace
from keyturn.core.errors import OperatorError
from keyturn.core.life import State
from keyturn.core.ports import OrganisationStore
from keyturn.core.records import Client, Credential, Organisation
from keyturn.core.secret import Dice
from keyturn.core.vocabulary import CLIENT_CREDENTIALS, CLIENT_KINDS, INTROSPECT, REFRESH_TOKEN, ClientId
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_audiences, check_choices, check_name, check_scopes

GRANTS = (CLIENT_CREDENTIALS, REFRESH_TOKEN)
"""The grant types that a client may be allowed."""

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
    _check_reach(actor, store)
    organisation = await store.organisation()
    if organisation.ended_at is not None:
        raise OperatorError(f"organisation {organisation.slug!r} has ended")
    client = Client(
        id=ClientId(str(uuid.UUID(bytes=dice(16), version=4))),
        organisation_id=organisation.id,
        created_at=now,
        **_members(_accept(wish, dialects, organisation)),
    )
    event = told(
        "client.created",
        actor,
        organisation.id,
        client.id,
        now=now,
        dice=dice,
        personal={"name": client.name},
    )
    await carry_out(store, event, Add(client))
    return client


async def list_clients(actor: Actor, store: OrganisationStore) -> Sequence[Client]:
    """List an organisation's clients, oldest first, ended ones included."""
    _check_reach(actor, store)
    return await store.clients()


async def show_client(actor: Actor, store: OrganisationStore, client_id: ClientId) -> Client:
    """Show one client.

    Raises:
        OperatorError: There is none by that id, or none for this actor: the same words (TN-02).
    """
    client = await store.client(client_id) if actor.may_act_in(store.organisation_id) else None
    if client is None:
        raise OperatorError(f"no client {client_id!r}")
    return client


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
    names = sorted(name for name, value in accepted.items() if getattr(client, name) != value)
    if not names:
        return client
    changed = msgspec.structs.replace(client, **accepted, version=client.version + 1)
    event = told(
        "client.changed",
        actor,
        client.organisation_id,
        client.id,
        now=now,
        dice=dice,
        details={"changed": " ".join(names)},
    )
    await carry_out(store, event, Replace(changed, client.version))
    return changed


async def disable_client(
    actor: Actor, store: OrganisationStore, client_id: ClientId, *, now: datetime, dice: Dice
) -> Client:
    """Issue nothing more to a client and end every token it has out; undone by enabling."""
    client = await changeable_client(actor, store, client_id)
    if client.disabled:
        return client
    changed = msgspec.structs.replace(
        client, disabled=True, epoch=client.epoch + 1, version=client.version + 1
    )
    event = told("client.disabled", actor, client.organisation_id, client.id, now=now, dice=dice)
    await carry_out(store, event, Replace(changed, client.version))
    return changed


async def enable_client(
    actor: Actor, store: OrganisationStore, client_id: ClientId, *, now: datetime, dice: Dice
) -> Client:
    """Issue to a client again; tokens from before it was disabled stay dead."""
    client = await changeable_client(actor, store, client_id)
    if not client.disabled:
        return client
    changed = msgspec.structs.replace(client, disabled=False, version=client.version + 1)
    event = told("client.enabled", actor, client.organisation_id, client.id, now=now, dice=dice)
    await carry_out(store, event, Replace(changed, client.version))
    return changed


async def end_client(
    actor: Actor, store: OrganisationStore, client_id: ClientId, *, now: datetime, dice: Dice
) -> Client:
    """End a client for good, with every token, secret and key it has; ending twice changes nothing."""
    client = await show_client(actor, store, client_id)
    if client.ended_at is not None:
        return client
    changed = msgspec.structs.replace(
        client, ended_at=now, epoch=client.epoch + 1, version=client.version + 1
    )
    ended = [
        _end_with_owner(credential, now)
        for kind in CLIENT_KINDS
        for credential in await store.credentials_of(client.id, kind)
        if credential.life.state is not State.ENDED
    ]
    event = told(
        "client.ended",
        actor,
        client.organisation_id,
        client.id,
        now=now,
        dice=dice,
        details={"credentials_ended": str(len(ended))},
    )
    await carry_out(store, event, Replace(changed, client.version), *ended)
    return changed


async def changeable_client(actor: Actor, store: OrganisationStore, client_id: ClientId) -> Client:
    """Read a client that has not ended.

    Raises:
        OperatorError: There is none, or it has ended.
    """
    client = await show_client(actor, store, client_id)
    if client.ended_at is not None:
        raise OperatorError(f"client {client_id!r} has ended")
    return client


def _check_reach(actor: Actor, store: OrganisationStore) -> None:
    if not actor.may_act_in(store.organisation_id):
        raise OperatorError("no such organisation")


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


def _end_with_owner(credential: Credential, now: datetime) -> Replace:
    ended = msgspec.structs.replace(
        credential,
        life=credential.life.ended(now, "client ended"),
        epoch=credential.epoch + 1,
        version=credential.version + 1,
    )
    return Replace(ended, credential.version)
