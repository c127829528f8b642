"""Administrators' verbs about entities and their secrets."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.records import Credential, Entity, Organisation
from keyturn.core.requests import Call
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialId, CredentialKind, EntityId, UserId
from keyturn.directory import credentials, entities, secrets
from keyturn.directory.secrets import ReadableSecret
from keyturn.web.administration.clients import ENDED, owned
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


class Place(msgspec.Struct, frozen=True):
    """The entity that a path names, where it is."""

    organisation: Organisation
    store: OrganisationStore
    entity: Entity

    @property
    def path(self) -> str:
        """Give the entity's own path."""
        return path_in(self.organisation, "entities", self.entity.id)


async def _place(actor: Actor, call: Call, ports: AdminPorts) -> Place:
    organisation = await organisation_of(actor, call, ports)
    store = ports.inside(organisation)
    entity_id = EntityId(call.arguments["entity"])
    return Place(organisation, store, await entities.show_entity(actor, store, entity_id))


def _entity(entity: Entity) -> Facts:
    return record_facts(entity, RESOURCES["entity"])


async def _list(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    store = ports.inside(await organisation_of(actor, call, ports))
    found = await entities.list_entities(actor, store)
    return page_of(map(_entity, found), actor, call, ports.digester)


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    store, entity_id = ports.inside(organisation), wanted["id"]
    made = await entities.create_entity(
        actor, store, entity_id, wanted.get("name", entity_id), wanted["type"], **ports.at()
    )
    return tagged(_entity(made), Place(organisation, store, made).path)


async def _show(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    return tagged(_entity((await _place(actor, call, ports)).entity))


_Done = Callable[..., Awaitable[Entity]]


def _doing(do: _Done) -> AdminVerb:
    """Make the verb that does something to an entity."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        here = await _place(actor, call, ports)
        return tagged(_entity(await do(actor, here.store, here.entity.id, **ports.at())))

    return act


def _linking(do: _Done) -> AdminVerb:
    """Make the verb that links a user or takes the link away."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        here, user_id = await _place(actor, call, ports), UserId(call.arguments["user"])
        return tagged(_entity(await do(actor, here.store, here.entity.id, user_id, **ports.at())))

    return act


# --- secrets ---


def _shown(here: Place, credential: Credential, ports: AdminPorts) -> Facts:
    return credential_facts(credential, here.organisation, ports.clock.now())


def _told(here: Place, made: ReadableSecret, ports: AdminPorts) -> Facts:
    pair = (made.credential, made.secret)
    return made_facts(pair, here.organisation, f"{here.path}/secrets", ports.clock.now())


async def _list_secrets(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await secrets.entity_secrets(actor, here.store, here.entity.id)
    return page_of((_shown(here, each, ports) for each in found), actor, call, ports.digester)


async def _reset(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, days = await _place(actor, call, ports), call.arguments.get("days")
    made = await secrets.reset_secret(
        actor,
        here.store,
        here.entity.id,
        None if days is None else timedelta(days=min(days, timedelta.max.days)),
        dialects=ports.takers(CredentialKind.ENTITY_SECRET),
        sealer=ports.sealer,
        digester=ports.digester,
        **ports.at(),
    )
    return _told(here, made, ports)


async def _read(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await secrets.read_secret(actor, here.store, here.entity.id, sealer=ports.sealer, **ports.at())
    return _told(here, found, ports)


async def _secret(here: Place, call: Call) -> Credential:
    held = await here.store.credentials_of(here.entity.id, CredentialKind.ENTITY_SECRET)
    return owned(held, CredentialId(call.arguments["secret"]), "secret")


async def _show_secret(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    return tagged(_shown(here, await _secret(here, call), ports))


async def _end_secret(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await _place(actor, call, ports)
    found = await _secret(here, call)
    await credentials.end_credential(actor, here.store, found.id, ENDED, **ports.at())
    return {}


VERBS: dict[str, AdminVerb] = {
    "admin.entities.list": _list,
    "admin.entities.create": _create,
    "admin.entities.show": _show,
    "admin.entities.disable": _doing(entities.disable_entity),
    "admin.entities.enable": _doing(entities.enable_entity),
    "admin.entities.end": _doing(entities.end_entity),
    "admin.entities.link": _linking(entities.link_user),
    "admin.entities.unlink": _linking(entities.unlink_user),
    "admin.entity_secrets.list": _list_secrets,
    "admin.entity_secrets.reset": _reset,
    "admin.entity_secrets.read": _read,
    "admin.entity_secrets.show": _show_secret,
    "admin.entity_secrets.end": _end_secret,
}
