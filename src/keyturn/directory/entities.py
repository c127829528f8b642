"""Entities: machine parties by the names others know them by, and the users who look after their secrets."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime

from keyturn.core.actors import Actor
from keyturn.core.changes import Add, RequireVersion
from keyturn.core.errors import Clash, OperatorError
from keyturn.core.records import AuditEvent, Entity
from keyturn.core.secret import Dice
from keyturn.core.store_ports import OrganisationStore
from keyturn.core.vocabulary import CredentialKind, EntityId, OrganisationId, UserId
from keyturn.directory.events import carry_out, told
from keyturn.directory.names import check_name
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

_ID = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
MAX_USERS = 100


async def create_entity(
    actor: Actor,
    store: OrganisationStore,
    entity_id: str,
    name: str,
    type_: str,
    *,
    now: datetime,
    dice: Dice,
) -> Entity:
    """Make an entity; it has no secret until one is reset.

    Raises:
        OperatorError: The id is not acceptable or taken in the deployment; ids are never used again (TK-15).
    """
    organisation = await living_organisation(actor, store)
    entity = new_entity(organisation.id, entity_id, name, type_, now=now, dice=dice)
    event = entity_made(entity, actor, now=now, dice=dice)
    await carry_out(store, event, Add(entity), taken=f"the entity id {entity_id!r} is taken")
    return entity


def new_entity(
    organisation_id: OrganisationId, entity_id: str, name: str, type_: str, *, now: datetime, dice: Dice
) -> Entity:
    """Make an entity; nothing is saved yet.

    Raises:
        OperatorError: The id, the name or the type is not acceptable.
    """
    if not _ID.fullmatch(entity_id):
        raise OperatorError("an entity's id has 1 to 100 ASCII letters, digits and inner dots, _ and -")
    return Entity(
        id=EntityId(entity_id),
        subject=str(uuid.UUID(bytes=dice(16), version=4)),
        organisation_id=organisation_id,
        name=check_name(name),
        type=check_name(type_),
        created_at=now,
    )


def entity_made(entity: Entity, actor: Actor, *, now: datetime, dice: Dice) -> AuditEvent:
    """Tell that an entity was made."""
    return told(
        "entity.created",
        actor,
        entity.organisation_id,
        entity.id,
        now=now,
        dice=dice,
        details={"type": entity.type},
        personal={"name": entity.name},
    )


async def list_entities(actor: Actor, store: OrganisationStore) -> Sequence[Entity]:
    """List an organisation's entities, oldest first, ended ones included."""
    check_reach(actor, store)
    return await store.entities()


async def show_entity(actor: Actor, store: OrganisationStore, entity_id: EntityId) -> Entity:
    """Show one entity.

    Raises:
        OperatorError: There is none by that id, or none for this actor: the same words (TN-02).
    """
    return there(actor, store, "entity", entity_id, await store.entity(entity_id))


async def link_user(
    actor: Actor, store: OrganisationStore, entity_id: EntityId, user_id: UserId, *, now: datetime, dice: Dice
) -> Entity:
    """Let a member of the organisation read and reset an entity's secret.

    Raises:
        OperatorError: There is no such entity or member, or it has enough users.
    """
    entity = require_living(await show_entity(actor, store, entity_id))
    membership = await store.membership_of(user_id)
    if membership is None or membership.ended_at is not None:
        raise OperatorError(f"no member {user_id!r}")
    users = tuple(dict.fromkeys([*entity.users, user_id]))
    if len(users) > MAX_USERS:
        raise Clash(f"an entity has at most {MAX_USERS} users")
    # Not beside the end of the membership, which takes the links that it sees.
    still = RequireVersion("membership", membership.id, membership.version)
    return await change(actor, store, entity, {"users": users}, still, now=now, dice=dice)


async def unlink_user(
    actor: Actor, store: OrganisationStore, entity_id: EntityId, user_id: UserId, *, now: datetime, dice: Dice
) -> Entity:
    """Let a user read and reset an entity's secret no longer; the secret itself stays good."""
    entity = require_living(await show_entity(actor, store, entity_id))
    users = tuple(each for each in entity.users if each != user_id)
    return await change(actor, store, entity, {"users": users}, now=now, dice=dice)


async def disable_entity(
    actor: Actor, store: OrganisationStore, entity_id: EntityId, *, now: datetime, dice: Dice
) -> Entity:
    """Issue nothing more to an entity and end every token it has out; undone by enabling."""
    return await disable(actor, store, await show_entity(actor, store, entity_id), now=now, dice=dice)


async def enable_entity(
    actor: Actor, store: OrganisationStore, entity_id: EntityId, *, now: datetime, dice: Dice
) -> Entity:
    """Issue to an entity again; tokens from before it was disabled stay dead."""
    return await enable(actor, store, await show_entity(actor, store, entity_id), now=now, dice=dice)


async def end_entity(
    actor: Actor, store: OrganisationStore, entity_id: EntityId, *, now: datetime, dice: Dice
) -> Entity:
    """End an entity for good, with its secrets and tokens; ending twice changes nothing."""
    entity = await show_entity(actor, store, entity_id)
    secrets = await store.credentials_of(entity.id, CredentialKind.ENTITY_SECRET)
    return await end(
        actor, store, entity, *ended_credentials(secrets, now, "entity ended"), now=now, dice=dice
    )
