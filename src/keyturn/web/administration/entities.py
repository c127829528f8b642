"""Administrators' verbs about entities and their secrets."""

from datetime import timedelta

from keyturn.core.actors import Actor
from keyturn.core.errors import InvalidRequest
from keyturn.core.requests import Call
from keyturn.core.vocabulary import CredentialKind, EntityId, Reason, UserId
from keyturn.directory import entities, secrets
from keyturn.directory.secrets import ReadableSecret
from keyturn.web.administration.ground import AdminPorts, AdminVerb, Facts, organisation_of, tagged
from keyturn.web.administration.owners import Done, Holding, Owners, Place

ENTITIES = Owners("entity", "entities", entities.show_entity)
SECRETS = Holding(ENTITIES, CredentialKind.ENTITY_SECRET, "secrets", "secret")


async def _create(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    organisation, wanted = await organisation_of(actor, call, ports), call.arguments
    store, entity_id = ports.inside(organisation), wanted["id"]
    made = await entities.create_entity(
        actor, store, entity_id, wanted.get("name", entity_id), wanted["type"], **ports.at()
    )
    return tagged(ENTITIES.facts(made), ENTITIES.path(organisation, made.id))


def _linking(do: Done) -> AdminVerb:
    """Make the verb that links a user or takes the link away."""

    async def act(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
        here, user_id = await ENTITIES.place(actor, call, ports), UserId(call.arguments["user"])
        return ENTITIES.facts(await do(actor, here.store, here.owner.id, user_id, **ports.at()))

    return act


# --- secrets ---


def _told(here: Place, made: ReadableSecret, ports: AdminPorts) -> Facts:
    return SECRETS.told(here, (made.credential, made.secret), ports)


def _period(wanted: Facts) -> timedelta | None:
    """Read how long a secret shall live; a number that no timedelta holds is longer than is allowed."""
    if "days" in wanted and "lifetime_seconds" in wanted:
        raise InvalidRequest(Reason.FIELD_INVALID, "give days or lifetime_seconds, not both")
    if "lifetime_seconds" in wanted:
        return timedelta(seconds=min(wanted["lifetime_seconds"], timedelta.max.days))
    days = wanted.get("days")
    return None if days is None else timedelta(days=min(days, timedelta.max.days))


async def _reset(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here, period = await ENTITIES.place(actor, call, ports), _period(call.arguments)
    made = await secrets.reset_secret(
        actor,
        here.store,
        EntityId(here.owner.id),
        period,
        dialects=ports.takers(CredentialKind.ENTITY_SECRET),
        sealer=ports.sealer,
        digester=ports.digester,
        **ports.at(),
    )
    return _told(here, made, ports)


async def _read(actor: Actor, call: Call, ports: AdminPorts) -> Facts:
    here = await ENTITIES.place(actor, call, ports)
    entity_id = EntityId(here.owner.id)
    found = await secrets.read_secret(actor, here.store, entity_id, sealer=ports.sealer, **ports.at())
    return _told(here, found, ports)


VERBS: dict[str, AdminVerb] = {
    "admin.entities.list": ENTITIES.listing(entities.list_entities),
    "admin.entities.create": _create,
    "admin.entities.show": ENTITIES.show,
    "admin.entities.disable": ENTITIES.doing(entities.disable_entity),
    "admin.entities.enable": ENTITIES.doing(entities.enable_entity),
    "admin.entities.end": ENTITIES.doing(entities.end_entity),
    "admin.entities.link": _linking(entities.link_user),
    "admin.entities.unlink": _linking(entities.unlink_user),
    "admin.entity_secrets.list": SECRETS.listing(secrets.entity_secrets),
    "admin.entity_secrets.reset": _reset,
    "admin.entity_secrets.read": _read,
    "admin.entity_secrets.show": SECRETS.show,
    "admin.entity_secrets.end": SECRETS.end,
}
