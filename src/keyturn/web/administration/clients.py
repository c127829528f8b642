"""Administrators' verbs about clients, their secrets and their public keys."""

from datetime import timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.errors import InvalidRequest
from keyturn.core.requests import Call
from keyturn.core.vocabulary import ClientId, CredentialKind, Reason
from keyturn.directory import clients, credentials, public_keys, rotation
from keyturn.directory.clients import ClientWish
from keyturn.web.administration.ground import AdminPorts, AdminVerb, Facts, organisation_of, tagged
from keyturn.web.administration.owners import Holding, Owners

CLIENTS = Owners("client", "clients", clients.show_client)
SECRETS = Holding(CLIENTS, CredentialKind.CLIENT_SECRET, "secrets", "secret")
KEYS = Holding(CLIENTS, CredentialKind.PUBLIC_KEY, "keys", "key")


def _wish(wanted: Facts, kept: Facts) -> ClientWish:
    return ClientWish(
        **(kept | {name: wanted[name] for name in ClientWish.__struct_fields__ if name in wanted})
    )


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation = await organisation_of(actor, call, ports)
    made = await clients.create_client(
        actor,
        ports.inside(organisation),
        _wish(call.arguments, {}),
        dialects=tuple(ports.dialects),
        **ports.at(),
    )
    return tagged(CLIENTS.facts(made), CLIENTS.path(organisation, made.id))


async def _change(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await CLIENTS.place(actor, call, ports)
    client = await clients.show_client(actor, here.store, ClientId(here.owner.id))
    store = ports.for_version(call, "client", client).inside(here.organisation)
    kept = {name: getattr(client, name) for name in ClientWish.__struct_fields__}
    wish = _wish(call.arguments, kept)
    known = (*ports.dialects, *client.dialects)
    changed = await clients.change_client(actor, store, client.id, wish, dialects=known, **ports.at())
    return CLIENTS.facts(changed)


# --- secrets and public keys ---


async def _create_secret(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await CLIENTS.place(actor, call, ports), call.arguments
    made = await credentials.create_client_secret(
        actor,
        here.store,
        ClientId(here.owner.id),
        wanted.get("name", "secret"),
        digester=ports.digester,
        expires_at=wanted.get("expires_at"),
        **ports.at(),
    )
    return SECRETS.told(here, made, ports)


async def _rotate_secret(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await CLIENTS.place(actor, call, ports), call.arguments
    made = await rotation.rotate_client_secret(
        actor,
        here.store,
        ClientId(here.owner.id),
        overlap_of(wanted),
        name=wanted.get("name"),
        expires_at=wanted.get("expires_at"),
        digester=ports.digester,
        **ports.at(),
    )
    return SECRETS.told(here, made, ports)


def overlap_of(wanted: Facts) -> timedelta:
    """Read how long an old secret stays good; a number that no timedelta holds is too long in any case."""
    return timedelta(seconds=min(wanted["overlap_seconds"], timedelta.max.days))


async def _add_key(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, wanted = await CLIENTS.place(actor, call, ports), call.arguments
    if ("jwk" in wanted) is ("pem" in wanted):
        raise InvalidRequest(Reason.FIELD_MISSING, "give jwk or pem, one of them")
    given = wanted["pem"].encode() if "pem" in wanted else msgspec.json.encode(wanted["jwk"])
    made = await public_keys.add_public_key(
        actor,
        here.store,
        ClientId(here.owner.id),
        given,
        wanted.get("name", "key"),
        expires_at=wanted.get("expires_at"),
        **ports.at(),
    )
    return tagged(KEYS.facts(here, made, ports), f"{here.path}/keys/{made.id}")


VERBS: dict[str, AdminVerb] = {
    "admin.clients.list": CLIENTS.listing(clients.list_clients, clients.page_clients),
    "admin.clients.create": _create,
    "admin.clients.show": CLIENTS.show,
    "admin.clients.change": _change,
    "admin.clients.disable": CLIENTS.doing(clients.disable_client),
    "admin.clients.enable": CLIENTS.doing(clients.enable_client),
    "admin.clients.end": CLIENTS.doing(clients.end_client),
    "admin.secrets.list": SECRETS.listing(credentials.list_client_secrets),
    "admin.secrets.create": _create_secret,
    "admin.secrets.rotate": _rotate_secret,
    **SECRETS.verbs("secrets"),
    "admin.secrets.finish": SECRETS.doing(rotation.finish_rotation),
    "admin.secrets.cancel": SECRETS.doing(rotation.cancel_rotation),
    "admin.public_keys.list": KEYS.listing(public_keys.list_public_keys),
    "admin.public_keys.create": _add_key,
    **KEYS.verbs("public_keys"),
}
