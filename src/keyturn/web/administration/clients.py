"""Administrators' verbs about clients, their secrets and their public keys."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.errors import InvalidRequest, NothingThere
from keyturn.core.records import Client, Credential, Organisation
from keyturn.core.requests import Call
from keyturn.core.secret import Secret
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, Reason
from keyturn.directory import clients, credentials, public_keys, rotation
from keyturn.directory.clients import ClientWish
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    credential_facts,
    made_facts,
    organisation_of,
    path_in,
    record_facts,
    tagged,
)
from keyturn.web.administration.pages import page_of

ENDED = "ended by an administrator"


class Place(msgspec.Struct, frozen=True):
    """The client that a path names, where it is."""

    organisation: Organisation
    store: OrganisationStore
    client: Client

    @property
    def path(self) -> str:
        """Give the client's own path."""
        return path_in(self.organisation, "clients", self.client.id)


async def _place(actor: Actor, call: Call, ports: AdminPorts) -> Place:
    organisation = await organisation_of(actor, call, ports)
    store = ports.inside(organisation)
    client_id = ClientId(call.arguments["client"])
    return Place(organisation, store, await clients.show_client(actor, store, client_id))


def _client(client: Client) -> Facts:
    return record_facts(client, RESOURCES["client"])


def _wish(wanted: Facts, kept: Facts) -> ClientWish:
    return ClientWish(
        **(kept | {name: wanted[name] for name in ClientWish.__struct_fields__ if name in wanted})
    )


async def _list(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    found = await clients.list_clients(actor, ports.inside(organisation))
    return page_of(map(_client, found), actor, call, ports.digester)


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    store = ports.inside(organisation)
    wish = _wish(call.arguments, {})
    made = await clients.create_client(actor, store, wish, dialects=tuple(ports.dialects), **ports.at())
    return tagged(_client(made), Place(organisation, store, made).path)


async def _show(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    return tagged(_client((await _place(actor, call, ports)).client))


async def _change(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    store = ports.for_version(call, "client", here.client).inside(here.organisation)
    kept = {name: getattr(here.client, name) for name in ClientWish.__struct_fields__}
    wish = _wish(call.arguments, kept)
    known = (*ports.dialects, *here.client.dialects)
    changed = await clients.change_client(actor, store, here.client.id, wish, dialects=known, **ports.at())
    return tagged(_client(changed))


async def _disable(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    return tagged(_client(await clients.disable_client(actor, here.store, here.client.id, **ports.at())))


async def _enable(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    return tagged(_client(await clients.enable_client(actor, here.store, here.client.id, **ports.at())))


async def _end(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    await clients.end_client(actor, here.store, here.client.id, **ports.at())
    return {}


# --- secrets and public keys ---


def _shown(here: Place, credential: Credential, ports: AdminPorts) -> Facts:
    return credential_facts(credential, here.organisation, ports.clock.now())


def _told(here: Place, made: tuple[Credential, Secret], ports: AdminPorts) -> Facts:
    return made_facts(made, here.organisation, f"{here.path}/secrets", ports.clock.now())


async def _list_secrets(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await credentials.list_client_secrets(actor, here.store, here.client.id)
    return page_of((_shown(here, each, ports) for each in found), actor, call, ports.digester)


async def _create_secret(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await _place(actor, call, ports), call.arguments
    made = await credentials.create_client_secret(
        actor,
        here.store,
        here.client.id,
        wanted.get("name", "secret"),
        digester=ports.digester,
        expires_at=wanted.get("expires_at"),
        **ports.at(),
    )
    return _told(here, made, ports)


async def _rotate_secret(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await _place(actor, call, ports), call.arguments
    made = await rotation.rotate_client_secret(
        actor,
        here.store,
        here.client.id,
        overlap_of(wanted),
        name=wanted.get("name"),
        expires_at=wanted.get("expires_at"),
        digester=ports.digester,
        **ports.at(),
    )
    return _told(here, made, ports)


def overlap_of(wanted: Facts) -> timedelta:
    """Read how long an old secret stays good; a number that no timedelta holds is too long in any case."""
    return timedelta(seconds=min(wanted["overlap_seconds"], timedelta.max.days))


async def _list_keys(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await public_keys.list_public_keys(actor, here.store, here.client.id)
    return page_of((_shown(here, each, ports) for each in found), actor, call, ports.digester)


async def _add_key(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await _place(actor, call, ports), call.arguments
    if ("jwk" in wanted) is ("pem" in wanted):
        raise InvalidRequest(Reason.FIELD_MISSING, "give jwk or pem, one of them")
    given = wanted["pem"].encode() if "pem" in wanted else msgspec.json.encode(wanted["jwk"])
    made = await public_keys.add_public_key(
        actor,
        here.store,
        here.client.id,
        given,
        wanted.get("name", "key"),
        expires_at=wanted.get("expires_at"),
        **ports.at(),
    )
    return tagged(_shown(here, made, ports), f"{here.path}/keys/{made.id}")


_Done = Callable[..., Awaitable[Credential]]


def owned(held: Sequence[Credential], credential_id: str, what: str) -> Credential:
    """Find one of an owner's credentials.

    Raises:
        NothingThere: It is none of them.
    """
    found = next((each for each in held if each.id == credential_id), None)
    if found is None:
        raise NothingThere(f"no {what} {credential_id!r}")
    return found


def _verb_on(kind: CredentialKind, slot: str, do: _Done | None, **more: Any) -> AdminVerb:
    """Make the verb that does something to a client's credential of a kind, or shows it."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        here = await _place(actor, call, ports)
        held = await here.store.credentials_of(here.client.id, kind)
        found = owned(held, CredentialId(call.arguments[slot]), slot)
        if do is not None:
            found = await do(actor, here.store, found.id, **more, **ports.at())
        return tagged(_shown(here, found, ports))

    return act


def _verbs_on(noun: str, kind: CredentialKind, slot: str) -> dict[str, AdminVerb]:
    return {
        f"admin.{noun}.show": _verb_on(kind, slot, None),
        f"admin.{noun}.disable": _verb_on(kind, slot, credentials.disable_credential),
        f"admin.{noun}.enable": _verb_on(kind, slot, credentials.enable_credential),
        f"admin.{noun}.end": _verb_on(kind, slot, credentials.end_credential, why=ENDED),
    }


VERBS: dict[str, AdminVerb] = {
    "admin.clients.list": _list,
    "admin.clients.create": _create,
    "admin.clients.show": _show,
    "admin.clients.change": _change,
    "admin.clients.disable": _disable,
    "admin.clients.enable": _enable,
    "admin.clients.end": _end,
    "admin.secrets.list": _list_secrets,
    "admin.secrets.create": _create_secret,
    "admin.secrets.rotate": _rotate_secret,
    **_verbs_on("secrets", CredentialKind.CLIENT_SECRET, "secret"),
    "admin.secrets.finish": _verb_on(CredentialKind.CLIENT_SECRET, "secret", rotation.finish_rotation),
    "admin.secrets.cancel": _verb_on(CredentialKind.CLIENT_SECRET, "secret", rotation.cancel_rotation),
    "admin.public_keys.list": _list_keys,
    "admin.public_keys.create": _add_key,
    **_verbs_on("public_keys", CredentialKind.PUBLIC_KEY, "key"),
}
