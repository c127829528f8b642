"""Administrators' verbs that find something by its id alone, wherever in the caller's reach it is.

What is beyond that reach answers like what nobody ever made (TN-02).
"""

from keyturn.core.actors import Actor
from keyturn.core.admin_facts import RESOURCES
from keyturn.core.errors import NothingThere
from keyturn.core.records import Client, Entity, User
from keyturn.core.requests import Call
from keyturn.core.vocabulary import ClientId, CredentialId, CredentialKind, EntityId, UserId
from keyturn.web.administration.ground import (
    AdminPorts,
    AdminVerb,
    Facts,
    credential_facts,
    record_facts,
    require_scope_of,
    tagged,
)
from keyturn.web.administration.pages import page_of


def _shown(found: Client | User | Entity | None, word: str, named: str, actor: Actor, resource: str) -> Facts:
    if found is None or not actor.may_act_in(found.organisation_id):
        raise NothingThere(f"no {word} {named!r}")
    return tagged(record_facts(found, RESOURCES[resource]))


async def _client(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    named = call.arguments["client"]
    view = await ports.deployment.client_view(ClientId(named.lower()))
    return _shown(None if view is None else view.client, "client", named, actor, "client")


async def _user(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    named = call.arguments["user"]
    view = await ports.deployment.user_view(UserId(named.lower()))
    return _shown(None if view is None else view.user, "user", named, actor, "user")


async def _user_by_email(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    found = await ports.deployment.user_by_email(call.arguments["filter.email"])
    there = found is not None and actor.may_act_in(found.organisation_id)
    shown = [record_facts(found, RESOURCES["user"])] if there else []
    return page_of(shown, actor, call, ports.digester)


async def _entity(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    named = call.arguments["entity"]
    return _shown(await ports.deployment.entity_by_id(EntityId(named)), "entity", named, actor, "entity")


def _credential(*kinds: CredentialKind) -> AdminVerb:
    """Make the verb that finds a credential of some kinds."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        named = call.arguments["credential"]
        credential_id = CredentialId(named.lower())
        organisation_id = await ports.deployment.organisation_of_credential(credential_id)
        if organisation_id is not None and actor.may_act_in(organisation_id):
            store = ports.deployment.organisation_store(organisation_id)
            found = await store.credential(credential_id)
            if found is not None and found.kind in kinds:
                if found.kind is CredentialKind.API_TOKEN:
                    await require_scope_of(found.owner_id, "read", actor, store)
                return tagged(credential_facts(found, await store.organisation(), ports.clock.now()))
        raise NothingThere(f"no credential {named!r}")

    return act


VERBS: dict[str, AdminVerb] = {
    "admin.clients.find": _client,
    "admin.users.find": _user,
    "admin.users.by_email": _user_by_email,
    "admin.entities.find": _entity,
    "admin.credentials.of_clients": _credential(CredentialKind.CLIENT_SECRET, CredentialKind.PUBLIC_KEY),
    "admin.credentials.of_users": _credential(CredentialKind.USER_KEY, CredentialKind.API_TOKEN),
    "admin.credentials.of_entities": _credential(CredentialKind.ENTITY_SECRET),
}
